package abi_test

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// A skill asks, the operator grants less, and one call is bound to what it names.
func Example() {
	manifest, err := abi.DecodeManifest("skill.yaml", []byte(`
schema: glovebox/skill/v1
name: webpage
version: 1.0.0
abi: extism-mcp/v2
module: skill.wasm
description: Read a web page
tools:
  - {name: read, effect: egress, args: {url: control}, recipients: [/url]}
needs:
  http:
    - {argument: url, methods: [GET, HEAD], paths: ["/**"]}
  kv: {max_bytes: 1MiB}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	grant, err := abi.DecodeGrant("grants/webpage.yaml", []byte(`
schema: glovebox/grant/v1
skill: webpage
agents: [main]
allow:
  http:
    - {argument: url, methods: [GET], paths: ["/**"]}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	rights, why, err := abi.Effective(manifest, grant, abi.GlobalPolicy{}, "main", abi.Proof{}, time.Now())
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, x := range why {
		fmt.Printf("%t %s: %s%s, asked at %s\n", x.Granted, x.Right, x.Why, x.Grant, x.Request)
	}
	call, err := rights.Bind(json.RawMessage(`{"url":"https://News.example/today"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(call.HTTP[0].Origin, call.HTTP[0].Methods, call.HTTP[0].Rule)
	// Output:
	// true http GET the origin of argument url /**: grants/webpage.yaml:7, asked at skill.yaml:12
	// false kv 1MiB: not granted, asked at skill.yaml:13
	// https://news.example [GET] grants/webpage.yaml:7
}
