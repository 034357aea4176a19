package main

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi/guest"
)

func TestQuery(t *testing.T) {
	t.Parallel()
	shop := `{"items":[{"name":"tea","price":4.50},{"name":"cake","price":12},{"name":"pot","price":30}],"id":9007199254740993}`
	for _, c := range []struct {
		name, filter string
		data         any
		raw          bool
		want         string
	}{
		{"a field of a value", ".a", map[string]any{"a": 1}, false, "1"},
		{"a field of text", ".items[0].name", shop, false, `"tea"`},
		{"raw strings", ".items[].name", shop, true, "tea\ncake\npot"},
		{"select and sum", "[.items[] | select(.price > 10) | .price] | add", shop, false, "42"},
		{"big integers keep their digits", ".id", shop, false, "9007199254740993"},
		{"JSON lines become a list", "map(.n) | add", "{\"n\":1}\n{\"n\":2}\n", false, "3"},
		{"nothing", "empty", "{}", false, "(no results)"},
		{"null is a value", ".x", "{}", false, "null"},
		{"no environment", "env | length", "{}", false, "0"},
		{"a broken filter says where", ".a[", "{}", false, "the filter does not parse at character"},
		{"a failing filter says why", ".a.b", `{"a":1}`, false, "expected an object but got: number"},
		{"bad data says where", ".", "{\"a\":\n  oops}", false, "line 2, column 3"},
		{"no data", ".", "", false, "the data is empty"},
		{"too many results", "range(1e9)", "{}", false, "narrow it"},
		{"no modules", `import "x" as x; .`, "{}", false, "does not compile"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &guest.Fake{}
			r, err := f.Run(skill, "query", map[string]any{"filter": c.filter, "data": c.data, "raw": c.raw})
			if err != nil {
				t.Fatal(err)
			}
			if got := r.String(); got != c.want && !(r.IsError && strings.Contains(got, c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestFormat(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, in, want string }{
		{"indented", `{"data":"{\"a\":[1,2]}"}`, "{\n  \"a\": [\n    1,\n    2\n  ]\n}"},
		{"compact", `{"data":{"a": [1, 2]},"compact":true}`, `{"a":[1,2]}`},
		{"a duplicate key and a long number are kept", `{"data":"{\"a\":1.00,\"a\":2}","compact":true}`, `{"a":1.00,"a":2}`},
		{"a trailing comma is located", `{"data":"[1,\n2,]"}`, "line 2, column 3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := &guest.Fake{}
			r, err := f.Run(skill, "format", json.RawMessage(c.in))
			if err != nil {
				t.Fatal(err)
			}
			if got := r.String(); got != c.want && !(r.IsError && strings.Contains(got, c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
