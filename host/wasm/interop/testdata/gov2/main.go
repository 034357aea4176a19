// A plugin as hyper-mcp's Go template shapes them: all nine exports, the functions
// of extism:host/user imported through handles, tools null when there are none.
package main

import (
	"encoding/json"
	"errors"

	"github.com/extism/go-pdk"
)

//go:wasmimport extism:host/user list_roots
func hostListRoots() uint64

//go:wasmimport extism:host/user create_elicitation
func hostCreateElicitation(uint64) uint64

//go:wasmimport extism:host/user notify_logging_message
func hostNotifyLoggingMessage(uint64)

type requestContext struct {
	ID   string         `json:"id"` // a number is an error, as in the Rust plugins
	Meta map[string]any `json:"_meta"`
}

type callToolRequest struct {
	Context requestContext `json:"context"`
	Request struct {
		Name      string         `json:"name"`
		Arguments map[string]any `json:"arguments"`
	} `json:"request"`
}

type block struct {
	Type string `json:"type"`
	Text string `json:"text"`
}

type callToolResult struct {
	Meta              map[string]any `json:"_meta,omitempty"`
	Content           []block        `json:"content"`
	IsError           *bool          `json:"isError,omitempty"`
	StructuredContent map[string]any `json:"structuredContent,omitempty"`
}

//go:wasmexport list_tools
func listTools() int32 {
	var in struct {
		Context requestContext `json:"context"`
	}
	if err := pdk.InputJSON(&in); err != nil {
		return failed(err)
	}
	schema := json.RawMessage(`{"type":"object"}`)
	return output(map[string]any{"tools": []map[string]any{
		{"name": "greet", "title": "Greet", "inputSchema": schema, "annotations": map[string]any{"readOnlyHint": true}},
		{"name": "roots", "inputSchema": schema}, {"name": "ask", "inputSchema": schema}, {"name": "log", "inputSchema": schema},
	}})
}

//go:wasmexport call_tool
func callTool() int32 {
	var in callToolRequest
	if err := pdk.InputJSON(&in); err != nil {
		return failed(err)
	}
	switch in.Request.Name {
	case "greet":
		name, _ := in.Request.Arguments["name"].(string)
		return output(callToolResult{
			Content:           []block{{"text", "Hello, " + name + "!"}},
			StructuredContent: map[string]any{"name": name},
		})
	case "roots":
		return text(read(hostListRoots()))
	case "ask":
		question := pdk.AllocateString(`{"mode":"form","message":"?","requestedSchema":{}}`)
		defer question.Free()
		return text(read(hostCreateElicitation(question.Offset())))
	case "log":
		message := pdk.AllocateString(`{"level":"info","data":"hello"}`)
		defer message.Free()
		hostNotifyLoggingMessage(message.Offset())
		pdk.Log(pdk.LogTrace, "trace")
		pdk.Log(pdk.LogWarn, "warned")
		return text("logged")
	}
	return failed(errors.New("unknown tool: " + in.Request.Name))
}

func read(handle uint64) string {
	if handle == 0 {
		return "null handle"
	}
	m := pdk.FindMemory(handle)
	return string(m.ReadBytes())
}

func text(s string) int32 { return output(callToolResult{Content: []block{{"text", s}}}) }

func failed(err error) int32 {
	pdk.SetError(err)
	return -1
}

func output(v any) int32 {
	if err := pdk.OutputJSON(v); err != nil {
		return failed(err)
	}
	return 0
}

//go:wasmexport list_prompts
func listPrompts() int32 { return output(map[string]any{"prompts": nil}) }

//go:wasmexport get_prompt
func getPrompt() int32 { return failed(errors.New("method not found: prompts/get")) }

//go:wasmexport list_resources
func listResources() int32 { return output(map[string]any{"resources": nil}) }

//go:wasmexport list_resource_templates
func listResourceTemplates() int32 { return output(map[string]any{"resourceTemplates": nil}) }

//go:wasmexport read_resource
func readResource() int32 { return failed(errors.New("method not found: resources/read")) }

//go:wasmexport complete
func complete() int32 {
	return output(map[string]any{"completion": map[string]any{"values": []string{}}})
}

//go:wasmexport on_roots_list_changed
func onRootsListChanged() int32 { return 0 }

func main() {}
