package abi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Bounds of what a module says about itself and answers.
const (
	MaxTools       = maxTools // tools of one module
	MaxContent     = 64       // content items of one result
	MaxDescription = maxText  // bytes; a longer one is cut
	MaxSchema      = 64 * KiB // bytes
	MaxSchemaDepth = 32       // nesting
	maxTitle       = 256      // bytes
	maxURI         = 8 * KiB  // bytes
)

// ErrAnswer is the cause of every refusal of DecodeTools and DecodeCallResult.
var ErrAnswer = errors.New("malformed answer of the module")

// ErrAnswerTooLarge is the cause when an answer is well-formed but over a bound.
var ErrAnswerTooLarge = errors.New("answer of the module is too large")

func answerErrorf(path, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %s", ErrAnswer, path, fmt.Sprintf(format, args...))
}

// DecodeTools decodes {"tools":[…]}, the answer of list_tools (hyper-mcp v2) and of
// describe (v1, mcp.run). Unknown fields are ignored, annotations too: they are
// claims on which nothing rests. A wrong type, a malformed name, two names that
// differ by case only, or a schema over its bounds is an error that names the field;
// a description is cut at MaxDescription. A missing inputSchema admits any object.
func DecodeTools(b []byte) ([]Tool, error) {
	top, err := answerObject(b)
	if err != nil {
		return nil, err
	}
	var list []json.RawMessage
	if err := top.take("tools", "a list", &list); err != nil {
		return nil, err
	}
	if len(list) > MaxTools {
		return nil, fmt.Errorf("%w: tools: %d exceed the limit of %d", ErrAnswerTooLarge, len(list), MaxTools)
	}
	tools := make([]Tool, 0, len(list))
	seen := map[string]bool{}
	for i, raw := range list {
		t, err := decodeTool(fmt.Sprintf("tools[%d]", i), raw)
		if err != nil {
			return nil, err
		}
		folded := strings.ToLower(string(t.Name))
		if seen[folded] {
			return nil, answerErrorf(fmt.Sprintf("tools[%d].name", i), "%q is there twice (case does not count)", t.Name)
		}
		seen[folded] = true
		tools = append(tools, t)
	}
	return tools, nil
}

func decodeTool(path string, raw json.RawMessage) (Tool, error) {
	o, err := objectAt(path, raw)
	if err != nil {
		return Tool{}, err
	}
	var t Tool
	var name string
	if err := errors.Join(o.take("name", "a string", &name), o.take("title", "a string", &t.Title),
		o.take("description", "a string", &t.Description)); err != nil {
		return Tool{}, err
	}
	t.Name = ToolName(name)
	if err := t.Name.Check(); err != nil {
		return Tool{}, answerErrorf(path+".name", "%s", err)
	}
	t.Title, t.Description = cut(t.Title, maxTitle), cut(t.Description, MaxDescription)
	if t.InputSchema, err = o.schema("inputSchema"); err != nil {
		return Tool{}, err
	}
	if t.InputSchema == nil {
		t.InputSchema = json.RawMessage(`{"type":"object"}`)
	}
	t.OutputSchema, err = o.schema("outputSchema")
	return t, err
}

// cut shortens text to at most n bytes, the mark included, between two characters.
func cut(s string, n int) string {
	const mark = "…"
	if len(s) <= n {
		return s
	}
	n -= len(mark)
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n] + mark
}

// DecodeCallResult decodes {"content":[…],"isError"?,"structuredContent"?}, the answer
// of call_tool and of call. The text, data and structured content of all items
// together may have maxBytes bytes. Unknown fields are ignored; a wrong or unknown
// type is an error that names the field.
func DecodeCallResult(b []byte, maxBytes int64) (CallResult, error) {
	top, err := answerObject(b)
	if err != nil {
		return CallResult{}, err
	}
	var r CallResult
	var list []json.RawMessage
	var structured map[string]json.RawMessage
	if err := errors.Join(top.take("content", "a list", &list), top.take("isError", "true or false", &r.IsError),
		top.take("structuredContent", "an object", &structured)); err != nil {
		return CallResult{}, err
	}
	if len(list) > MaxContent {
		return CallResult{}, fmt.Errorf("%w: content: %d items exceed the limit of %d", ErrAnswerTooLarge, len(list), MaxContent)
	}
	if structured != nil {
		r.StructuredContent = compactJSON(top.values["structuredContent"])
	}
	size := int64(len(r.StructuredContent))
	r.Content = make([]Content, 0, len(list))
	for i, raw := range list {
		c, err := decodeContent(fmt.Sprintf("content[%d]", i), raw)
		if err != nil {
			return CallResult{}, err
		}
		size += int64(len(c.Text) + len(c.Data))
		if c.Resource != nil {
			size += int64(len(c.Resource.Text) + len(c.Resource.Blob))
		}
		r.Content = append(r.Content, c)
	}
	if size > maxBytes {
		return CallResult{}, fmt.Errorf("%w: content of %d bytes exceeds limits.output of %d", ErrAnswerTooLarge, size, maxBytes)
	}
	return r, nil
}

func decodeContent(path string, raw json.RawMessage) (Content, error) {
	o, err := objectAt(path, raw)
	if err != nil {
		return Content{}, err
	}
	var c Content
	if err := o.take("type", "a string", &c.Type); err != nil {
		return Content{}, err
	}
	switch c.Type {
	case "text":
		if !o.has("text") {
			return Content{}, answerErrorf(path+".text", "missing")
		}
		return c, o.take("text", "a string", &c.Text)
	case "image", "audio":
		if err := errors.Join(o.take("data", "a string", &c.Data), o.mimeType(&c.MIMEType)); err != nil {
			return Content{}, err
		}
		return c, checkBase64(path+".data", c.Data)
	case "resource":
		if !o.has("resource") {
			return Content{}, answerErrorf(path+".resource", "missing")
		}
		c.Resource, err = decodeResource(path+".resource", o.values["resource"])
		return c, err
	case "resource_link":
		return c, errors.Join(o.uri(&c.URI), o.take("name", "a string", &c.Name), o.mimeType(&c.MIMEType))
	}
	return Content{}, answerErrorf(path+".type", "%q; want text, image, audio, resource or resource_link", clip(c.Type))
}

func decodeResource(path string, raw json.RawMessage) (*ResourceContent, error) {
	o, err := objectAt(path, raw)
	if err != nil {
		return nil, err
	}
	var r ResourceContent
	if err := errors.Join(o.uri(&r.URI), o.take("text", "a string", &r.Text), o.take("blob", "a string", &r.Blob), o.mimeType(&r.MIMEType)); err != nil {
		return nil, err
	}
	return &r, checkBase64(path+".blob", r.Blob)
}

func checkBase64(path, s string) error {
	for _, c := range []byte(s) {
		if c == '\n' || c == '\r' { // the decoder would skip them
			return answerErrorf(path, "not base64")
		}
	}
	enc := base64.StdEncoding
	if len(s)%4 != 0 {
		enc = base64.RawStdEncoding
	}
	if _, err := enc.DecodeString(s); err != nil {
		return answerErrorf(path, "not base64")
	}
	return nil
}

// answer is one JSON object of a module's answer, at a path.
type answer struct {
	path   string
	values map[string]json.RawMessage
}

func answerObject(b []byte) (answer, error) {
	if len(bytes.TrimSpace(b)) == 0 {
		return answer{}, fmt.Errorf("%w: it is empty", ErrAnswer)
	}
	if err := CheckJSON(b, MaxJSONDepth); err != nil {
		return answer{}, fmt.Errorf("%w: %w", ErrAnswer, err)
	}
	return objectAt("", b)
}

// objectAt decodes an object; its keys are matched exactly, unlike encoding/json's.
func objectAt(path string, raw json.RawMessage) (answer, error) {
	o := answer{path: path}
	if err := json.Unmarshal(raw, &o.values); err != nil || o.values == nil {
		if path == "" {
			path = "answer"
		}
		return o, answerErrorf(path, "want an object")
	}
	return o, nil
}

func (o answer) at(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// has reports whether the key is there; null counts as absent, as optional fields of
// some languages come out as null.
func (o answer) has(key string) bool {
	v, ok := o.values[key]
	return ok && string(bytes.TrimSpace(v)) != "null"
}

// take decodes the key into dst if it is there.
func (o answer) take(key, want string, dst any) error {
	if !o.has(key) {
		return nil
	}
	if err := json.Unmarshal(o.values[key], dst); err != nil {
		return answerErrorf(o.at(key), "want %s", want)
	}
	return nil
}

func (o answer) uri(dst *string) error {
	if err := o.take("uri", "a string", dst); err != nil {
		return err
	}
	if *dst == "" || len(*dst) > maxURI {
		return answerErrorf(o.at("uri"), "want 1 to %d bytes", maxURI)
	}
	return nil
}

func (o answer) mimeType(dst *string) error {
	if err := o.take("mimeType", "a string", dst); err != nil {
		return err
	}
	if !printableASCII(*dst, 128) {
		return answerErrorf(o.at("mimeType"), "want at most 128 printable characters")
	}
	return nil
}

// schema returns the JSON Schema at the key, compact, or nil if it is absent.
func (o answer) schema(key string) (json.RawMessage, error) {
	if !o.has(key) {
		return nil, nil
	}
	raw := compactJSON(o.values[key])
	if raw[0] != '{' {
		return nil, answerErrorf(o.at(key), "want an object")
	}
	if len(raw) > MaxSchema {
		return nil, fmt.Errorf("%w: %s: %d bytes exceed the limit of 64 KiB", ErrAnswerTooLarge, o.at(key), len(raw))
	}
	if err := CheckJSON(raw, MaxSchemaDepth); err != nil {
		return nil, answerErrorf(o.at(key), "%s", err)
	}
	return raw, nil
}

// compactJSON drops the white space of a text that CheckJSON accepted, and escapes what
// cannot be seen in it.
func compactJSON(raw json.RawMessage) json.RawMessage {
	var buf bytes.Buffer
	if err := json.Compact(&buf, raw); err != nil {
		return raw
	}
	return visibleJSON(buf.Bytes())
}
