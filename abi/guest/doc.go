// Package guest is the Go SDK for skills: tools from plain functions, with the JSON
// Schema of their arguments taken from a struct, and the host's capabilities as
// methods of a Context.
//
// A skill is a main package with three declarations:
//
//	type helloInput struct {
//		Name string `json:"name" desc:"Whom to greet"`
//	}
//
//	func hello(ctx guest.Context, in helloInput) (guest.Result, error) {
//		return guest.Text("Hello, " + in.Name + "!"), nil
//	}
//
//	var skill = guest.New(guest.Tool("hello", "Greet somebody by name.", hello))
//
//	//go:wasmexport list_tools
//	func listTools() int32 { return skill.ListTools() }
//
//	//go:wasmexport call_tool
//	func callTool() int32 { return skill.CallTool() }
//
//	func main() {}
//
// and is built with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o skill.wasm .
//
// What a guest asks of the host and was not granted comes back as a [Denied] error,
// never as a trap. Functions of the host that a skill does not call are not imported
// by its module, so that "glovebox skill inspect" shows what it can reach at most.
//
// The logic of a skill runs under "go test" on the author's machine as well: [Fake]
// stands in for the host. The package imports the standard library and go-pdk only.
package guest
