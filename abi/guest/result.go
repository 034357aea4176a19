package guest

import (
	"encoding/json"
	"fmt"
)

// Content is one item of a result (MCP content block).
type Content struct {
	Type     string `json:"type"` // text, image, audio
	Text     string `json:"text,omitempty"`
	Data     []byte `json:"data,omitempty"` // travels as base64
	MIMEType string `json:"mimeType,omitempty"`
}

// Result is what a tool answers. The host bounds it and treats it as untrusted.
type Result struct {
	Content    []Content       `json:"content"`
	IsError    bool            `json:"isError,omitempty"`
	Structured json.RawMessage `json:"structuredContent,omitempty"`
}

// Text returns a result of plain text.
func Text(s string) Result { return Result{Content: []Content{{Type: "text", Text: s}}} }

// Textf is Text with a format.
func Textf(format string, args ...any) Result { return Text(fmt.Sprintf(format, args...)) }

// Markdown returns a result of Markdown text.
func Markdown(s string) Result {
	return Result{Content: []Content{{Type: "text", Text: s, MIMEType: "text/markdown"}}}
}

// Error returns a result that says that the tool could not do what it was asked, in
// words for the reader. A returned error has the same effect.
func Error(s string) Result {
	r := Text(s)
	r.IsError = true
	return r
}

// JSON returns v as indented text and, where v is an object, as structured content.
func JSON(v any) (Result, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return Result{}, fmt.Errorf("encode the result: %w", err)
	}
	r := Text(string(b))
	if len(b) > 0 && b[0] == '{' {
		r.Structured = b
	}
	return r, nil
}

// With returns r with v as its structured content.
func (r Result) With(v any) (Result, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return Result{}, fmt.Errorf("encode the structured result: %w", err)
	}
	r.Structured = b
	return r, nil
}

// String returns the text of all items, joined by newlines.
func (r Result) String() string {
	s := ""
	for i, c := range r.Content {
		if i > 0 {
			s += "\n"
		}
		s += c.Text
	}
	return s
}
