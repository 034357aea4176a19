// A servlet as mcp.run's generator shapes them, made with the Go PDK: describe and
// call, debug lines at every step, JSON by encoding/json, a panic for what it does
// not know.
package main

import (
	"encoding/json"
	"fmt"

	"github.com/extism/go-pdk"
)

type callRequest struct {
	Method *string `json:"method,omitempty"`
	Params struct {
		Arguments any    `json:"arguments,omitempty"`
		Name      string `json:"name"`
	} `json:"params"`
}

type content struct {
	Annotations *struct{} `json:"annotations,omitempty"`
	Data        *string   `json:"data,omitempty"`
	MimeType    *string   `json:"mimeType,omitempty"`
	Text        *string   `json:"text,omitempty"`
	Type        string    `json:"type"`
}

type callResult struct {
	Content []content `json:"content"`
	IsError *bool     `json:"isError,omitempty"`
}

type tool struct {
	Description string `json:"description"`
	InputSchema any    `json:"inputSchema"`
	Name        string `json:"name"`
}

type listResult struct {
	Tools []tool `json:"tools"`
}

//go:wasmexport describe
func describe() int32 {
	schema := map[string]any{"type": "object", "properties": map[string]any{"url": map[string]any{"type": "string"}}}
	pdk.Log(pdk.LogDebug, "Describe: setting JSON output")
	return output(listResult{Tools: []tool{{"echo the arguments", schema, "echo"}, {"get a page", schema, "get"}, {"scratch", schema, "var"}}})
}

//go:wasmexport call
func call() int32 {
	pdk.Log(pdk.LogDebug, "Call: getting JSON input")
	var in callRequest
	if err := pdk.InputJSON(&in); err != nil {
		pdk.SetError(err)
		return -1
	}
	switch in.Params.Name {
	case "echo":
		b, err := json.Marshal(in.Params.Arguments)
		if err != nil {
			pdk.SetError(err)
			return -1
		}
		return said(string(b), false)
	case "get":
		return get(in.Params.Arguments)
	case "var":
		pdk.SetVar("k", []byte("kept"))
		return said(string(pdk.GetVar("k")), false)
	}
	panic("unknown tool " + in.Params.Name)
}

// get sends a request and allocates again before it reads the body: a host that
// reuses the request's block too early corrupts the answer.
func get(args any) int32 {
	m, _ := args.(map[string]any)
	url, _ := m["url"].(string)
	req := pdk.NewHTTPRequest(pdk.MethodGet, url)
	req.SetHeader("accept", "text/plain")
	res := req.Send()
	filler := pdk.AllocateString("allocated between the request and the reading of its answer")
	defer filler.Free()
	body := string(res.Body())
	return said(fmt.Sprintf("%d %s", res.Status(), body), res.Status() >= 400)
}

func said(text string, isError bool) int32 {
	return output(callResult{Content: []content{{Text: &text, Type: "text"}}, IsError: &isError})
}

func output(v any) int32 {
	if err := pdk.OutputJSON(v); err != nil {
		pdk.SetError(err)
		return -1
	}
	return 0
}

func main() {}
