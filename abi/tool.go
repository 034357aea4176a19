package abi

import "encoding/json"

// Tool is what a module says about one of its tools (MCP tools/list entry).
// Everything in it is the guest's claim: no decision rests on it.
type Tool struct {
	Name         ToolName        `json:"name"`
	Title        string          `json:"title,omitempty"`
	Description  string          `json:"description,omitempty"`
	InputSchema  json.RawMessage `json:"inputSchema"`
	OutputSchema json.RawMessage `json:"outputSchema,omitempty"`
}

// Content is one item of a tool's result (MCP content block).
type Content struct {
	Type     string           `json:"type"` // text, image, audio, resource, resource_link
	Text     string           `json:"text,omitempty"`
	Data     string           `json:"data,omitempty"` // base64
	MIMEType string           `json:"mimeType,omitempty"`
	Resource *ResourceContent `json:"resource,omitempty"`
	URI      string           `json:"uri,omitempty"`
	Name     string           `json:"name,omitempty"`
}

// ResourceContent is an embedded resource.
type ResourceContent struct {
	URI      string `json:"uri"`
	Text     string `json:"text,omitempty"`
	Blob     string `json:"blob,omitempty"` // base64
	MIMEType string `json:"mimeType,omitempty"`
}

// CallResult is the result of one tool call. Guest text: bounded, untrusted.
type CallResult struct {
	Content           []Content       `json:"content"`
	IsError           bool            `json:"isError,omitempty"`
	StructuredContent json.RawMessage `json:"structuredContent,omitempty"`
}
