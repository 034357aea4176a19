package atom

import (
	"encoding/json"
	"reflect"
	"testing"
)

// A pointer finds what it names, and in lists everything of that name.
func TestFollow(t *testing.T) {
	t.Parallel()
	var v any
	if err := json.Unmarshal([]byte(`{"a/b":{"~":1},"who":[{"mail":"x"},{"mail":["y","z"]},7],"":{"":2}}`), &v); err != nil {
		t.Fatal(err)
	}
	for pointer, want := range map[string]string{
		"/a~1b/~0": `1`, "/who/mail": `["x",["y","z"],null]`, "/who/1/mail": `["x",["y","z"],null]`, "/who/-": `[{"mail":"x"},{"mail":["y","z"]},7]`,
		"/none": `null`, "/none/x": `null`, "/who/mail/0": `[null,["y","z"],null]`, "//": `2`,
	} {
		got, err := json.Marshal(Follow(v, pointer))
		if err != nil || !reflect.DeepEqual(string(got), want) {
			t.Errorf("%s: %s, want %s", pointer, got, want)
		}
	}
	if First("/a~1b/c") != "a/b" || First("/") != "" {
		t.Error("the first step is not read")
	}
}

// FuzzFollow: no pointer fails on any value.
func FuzzFollow(f *testing.F) {
	f.Add("/a/0/b", []byte(`{"a":[{"b":1}]}`))
	f.Fuzz(func(t *testing.T, pointer string, doc []byte) {
		var v any
		if json.Unmarshal(doc, &v) == nil {
			Follow(v, "/"+pointer)
			First("/" + pointer)
		}
	})
}
