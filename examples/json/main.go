// Command json is a skill that queries and formats JSON with the jq language. It
// needs nothing: it sees the data of the call and reaches no file and no network.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/abi/guest"
	"github.com/itchyny/gojq"
)

type queryInput struct {
	Filter string          `json:"filter" desc:"jq filter, such as .items[] | select(.price > 10) | .name" min:"1" max:"10000" example:".items[].name"`
	Data   json.RawMessage `json:"data" desc:"The JSON: a value, or a string that holds JSON text"`
	Raw    bool            `json:"raw,omitempty" desc:"Write strings without quotes"`
}

type formatInput struct {
	Data    json.RawMessage `json:"data" desc:"The JSON: a value, or a string that holds JSON text"`
	Compact bool            `json:"compact,omitempty" desc:"One line without spaces instead of indented lines"`
}

var skill = guest.New(
	guest.Tool("query", "Run a jq filter over JSON data: pick fields, select, map, sort, group, count, sum or reshape. "+
		"Use it to extract or transform JSON.", query).Titled("Query JSON with jq"),
	guest.Tool("format", "Check that text is valid JSON and pretty-print or minify it; an error names the line and column.", format).
		Titled("Format JSON"),
)

//go:wasmexport list_tools
func listTools() int32 { return skill.ListTools() }

//go:wasmexport call_tool
func callTool() int32 { return skill.CallTool() }

func main() {}

// Bounds of the output; the host bounds time, memory and bytes as well.
const (
	maxResults = 10_000
	maxOutput  = 900_000 // bytes
)

func query(_ guest.Context, in queryInput) (guest.Result, error) {
	data, err := value(in.Data)
	if err != nil {
		return guest.Result{}, err
	}
	q, err := gojq.Parse(in.Filter)
	if err != nil {
		return guest.Result{}, syntaxError(in.Filter, err)
	}
	code, err := gojq.Compile(q)
	if err != nil {
		return guest.Result{}, fmt.Errorf("the filter does not compile: %w", err)
	}
	var b strings.Builder
	iter := code.Run(data)
	for n := 0; ; n++ {
		v, ok := iter.Next()
		if !ok {
			if n == 0 {
				return guest.Text("(no results)"), nil
			}
			return guest.Text(strings.TrimSuffix(b.String(), "\n")), nil
		}
		if err, ok := v.(error); ok {
			var halt *gojq.HaltError
			if errors.As(err, &halt) && halt.Value() == nil {
				return guest.Text(strings.TrimSuffix(b.String(), "\n")), nil
			}
			return guest.Result{}, fmt.Errorf("the filter failed: %w", err)
		}
		if s, ok := v.(string); ok && in.Raw {
			b.WriteString(s + "\n")
		} else {
			out, err := gojq.Marshal(v)
			if err != nil {
				return guest.Result{}, fmt.Errorf("encode a result: %w", err)
			}
			b.Write(indent(out))
			b.WriteByte('\n')
		}
		if n >= maxResults || b.Len() > maxOutput {
			return guest.Result{}, fmt.Errorf("the filter gives more than %d results or %d bytes: narrow it, for instance with first(…) or limit(10; …)", maxResults, maxOutput)
		}
	}
}

// indent lays out a result; one that is short stays on its line.
func indent(b []byte) []byte {
	if len(b) <= 80 {
		return b
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return b
	}
	return out.Bytes()
}

func format(_ guest.Context, in formatInput) (guest.Result, error) {
	raw, err := text(in.Data)
	if err != nil {
		return guest.Result{}, err
	}
	var out bytes.Buffer
	if in.Compact {
		err = json.Compact(&out, raw)
	} else {
		err = json.Indent(&out, bytes.TrimSpace(raw), "", "  ")
	}
	if err != nil {
		return guest.Result{}, located(raw, err)
	}
	return guest.Text(out.String()), nil
}

// text returns the JSON text of an argument: a string holds it, any other value is it.
func text(arg json.RawMessage) ([]byte, error) {
	arg = bytes.TrimSpace(arg)
	if len(arg) == 0 {
		return nil, errors.New("the data is empty")
	}
	if arg[0] != '"' {
		return arg, nil
	}
	var s string
	if err := json.Unmarshal(arg, &s); err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	if strings.TrimSpace(s) == "" {
		return nil, errors.New("the data is empty")
	}
	return []byte(s), nil
}

// value decodes an argument with its numbers as they are written.
func value(arg json.RawMessage) (any, error) {
	raw, err := text(arg)
	if err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, located(raw, err)
	}
	if d.More() {
		// Several values in a row, as in a log of JSON lines, become one list.
		all := []any{v}
		for d.More() {
			var next any
			if err := d.Decode(&next); err != nil {
				return nil, located(raw, err)
			}
			all = append(all, next)
		}
		return all, nil
	}
	return v, nil
}

// located says at which line and column the data breaks.
func located(raw []byte, err error) error {
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return fmt.Errorf("the data is not valid JSON: %w", err)
	}
	before := raw[:min(max(int(syntax.Offset)-1, 0), len(raw))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := len([]rune(string(before[bytes.LastIndexByte(before, '\n')+1:]))) + 1
	return fmt.Errorf("the data is not valid JSON: line %d, column %d: %w", line, column, err)
}

func syntaxError(filter string, err error) error {
	var p *gojq.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("the filter does not parse at character %d of %q: %w", p.Offset, filter, err)
	}
	return fmt.Errorf("the filter does not parse: %w", err)
}
