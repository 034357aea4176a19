// Package abitest is the conformance kit of the skill ABI: small guests that probe
// every host function and every refusal, hostile guests, and vectors in JSON with
// what must come out. Any host can run it through [Run].
package abitest

import (
	"bytes"
	"context"
	_ "embed" // the guests and the vectors
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
)

//go:embed guests/probe.wasm
var probe []byte

//go:embed guests/courier.wasm
var courier []byte

//go:embed guests/hostile.wasm
var hostile []byte

//go:embed guests/mcp1.wasm
var mcp1 []byte

//go:embed guests/mcp2.wasm
var mcp2 []byte

//go:embed guests/command.wasm
var command []byte

//go:embed vectors.json
var vectors []byte

// Probe returns the guest that calls any host function on request: export "probe",
// input and output as Line writes and ParseLines reads.
func Probe() []byte { return bytes.Clone(probe) }

// Courier returns the guest that reads something and sends it away in one call: export
// "carry"; guests/courier.c says what it takes.
func Courier() []byte { return bytes.Clone(courier) }

// Hostile returns the guest with one attack per export; guests/hostile.c says what
// each does.
func Hostile() []byte { return bytes.Clone(hostile) }

// MCPv1 and MCPv2 return guests with one tool, echo, that answers its input as
// structured content.
func MCPv1() []byte { return bytes.Clone(mcp1) }

// MCPv2 is MCPv1 for the second ABI.
func MCPv2() []byte { return bytes.Clone(mcp2) }

// Command is MCPv1 as a WASI command.
func Command() []byte { return bytes.Clone(command) }

// Line is one request of the probe: a function, its request block and its data block.
// Neither block may hold a tab or a newline.
func Line(function, request, data string) string {
	return strings.TrimRight(function+"\t"+request+"\t"+data, "\t") + "\n"
}

// Vector is one call of one host function and what must come of it.
type Vector struct {
	Name     string          `json:"name"`
	Grant    []string        `json:"grant,omitempty"` // http, secrets, files (read only), files:rw, kv, human
	Before   [][]string      `json:"before,omitempty"`
	Function string          `json:"function"`
	Request  json.RawMessage `json:"request,omitempty"`
	Data     string          `json:"data,omitempty"`
	DataLen  int             `json:"data_len,omitempty"` // data of so many bytes
	Code     string          `json:"code,omitempty"`     // the error that is answered
	Want     json.RawMessage `json:"want,omitempty"`     // a part of the answer under "ok"
	Block    string          `json:"block,omitempty"`    // the block that the answer names
	Raw      *string         `json:"raw,omitempty"`      // the whole answer, of functions outside glovebox:host/v1
	Traps    bool            `json:"traps,omitempty"`
	Denied   bool            `json:"denied,omitempty"` // the host must have audited one refusal
}

// Vectors returns the vectors.
func Vectors() ([]Vector, error) {
	dec := json.NewDecoder(bytes.NewReader(vectors))
	dec.DisallowUnknownFields()
	var v []Vector
	if err := dec.Decode(&v); err != nil {
		return nil, fmt.Errorf("vectors: %w", err)
	}
	return v, nil
}

// Host runs one guest once. The world that it must offer, as far as grant names it:
// http answers every request to https://api.example with 200 and the body "hello";
// secrets grants gh, present, for https://api.example as a bearer token; files is one
// mount /data that holds a.txt with the content "content"; kv is empty; the human
// accepts with the content {"ok":true}. The setting "greeting" is "hei".
type Host interface {
	Run(ctx context.Context, guest []byte, export string, input []byte, grant []string) (output []byte, denials int, err error)
}

// Run runs every vector against h.
func Run(t *testing.T, h Host) {
	t.Helper()
	list, err := Vectors()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range list {
		t.Run(v.Name, func(t *testing.T) {
			t.Parallel()
			if err := v.Check(context.Background(), h); err != nil {
				t.Error(err)
			}
		})
	}
}

// Check runs one vector.
func (v Vector) Check(ctx context.Context, h Host) error {
	var input strings.Builder
	for _, b := range v.Before {
		b = append(slices.Clone(b), "", "", "")
		input.WriteString(Line(b[0], b[1], b[2]))
	}
	request := string(v.Request)
	if strings.HasPrefix(request, `"`) {
		if err := json.Unmarshal(v.Request, &request); err != nil {
			return err
		}
	}
	input.WriteString(Line(v.Function, request, v.Data+strings.Repeat("x", v.DataLen)))
	out, denials, err := h.Run(ctx, Probe(), "probe", []byte(input.String()), v.Grant)
	if v.Traps {
		if err == nil {
			return fmt.Errorf("answered %q, want a trap", out)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if (denials > 0) != v.Denied {
		return fmt.Errorf("%d refusals audited, want some: %v", denials, v.Denied)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(v.Before)+1 {
		return fmt.Errorf("%d answers, want %d: %q", len(lines), len(v.Before)+1, out)
	}
	return v.answer(lines[len(lines)-1])
}

func (v Vector) answer(line string) error {
	if v.Raw != nil {
		if line != *v.Raw {
			return fmt.Errorf("answer %q, want %q", line, *v.Raw)
		}
		return nil
	}
	text, block, _ := strings.Cut(line, "\t")
	var a struct {
		OK    any
		Error *struct{ Code, Message, Capability, Rule, Hint string }
	}
	if err := json.Unmarshal([]byte(text), &a); err != nil {
		return fmt.Errorf("answer %q: %w", line, err)
	}
	if v.Code != "" {
		if a.Error == nil || a.Error.Code != v.Code || a.Error.Message == "" {
			return fmt.Errorf("answer %s, want the error %s", text, v.Code)
		}
		return nil
	}
	if a.Error != nil || a.OK == nil {
		return fmt.Errorf("answer %s, want ok", text)
	}
	if block != v.Block {
		return fmt.Errorf("block %q, want %q", block, v.Block)
	}
	if v.Want == nil {
		return nil
	}
	var want any
	if err := json.Unmarshal(v.Want, &want); err != nil {
		return err
	}
	if !contains(a.OK, want) {
		return fmt.Errorf("answer %s, want in it %s", text, v.Want)
	}
	return nil
}

// contains reports whether got holds everything that want names.
func contains(got, want any) bool {
	w, ok := want.(map[string]any)
	if !ok {
		return reflect.DeepEqual(got, want)
	}
	g, ok := got.(map[string]any)
	if !ok {
		return false
	}
	for k, v := range w {
		if have, ok := g[k]; !ok || !contains(have, v) {
			return false
		}
	}
	return true
}
