package wasm

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
)

// screen refuses what holds a word.
type screen struct{ word []byte }

func (s screen) look(data []byte) *abi.Problem {
	if bytes.Contains(data, s.word) {
		return &abi.Problem{Code: abi.CodeDenied, Capability: "files", Rule: "guard/secret", Message: "no"}
	}
	return nil
}

func (s screen) Wrote(_ context.Context, _ abi.Caller, _ string, data []byte) *abi.Problem {
	return s.look(data)
}

func (s screen) Read(_ context.Context, _ abi.Caller, _ string, data []byte) *abi.Problem {
	return s.look(data)
}

// TestFilesPassTheScreen: content and names of each function that writes, and content
// that is read, are looked at before anything happens.
func TestFilesPassTheScreen(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	for name, data := range map[string]string{"fine": "plain", "holds": "a WORD b"} {
		if err := os.WriteFile(filepath.Join(c.inside, name), []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	do := func(function, request, data string) string {
		out, err := c.engine.Call(t.Context(), raw(abitest.Probe(), "probe", abitest.Line(function, request, data), func(inv *Invocation) {
			inv.Rights.Files = []abi.FileRight{c.right}
			inv.Services.Screen = screen{[]byte("WORD")}
		}))
		if err != nil {
			t.Fatal(err)
		}
		return code(string(out.Raw))
	}
	for _, tt := range []struct{ function, request, data, want string }{
		{"fs_write", `{"path":"/data/new"}`, "the WORD", "denied"},
		{"fs_write", `{"path":"/data/fine","mode":"append"}`, "WORD", "denied"},
		{"fs_write", `{"path":"/data/fine","mode":"replace"}`, "WORD", "denied"},
		{"fs_write", `{"path":"/data/new-WORD"}`, "x", "denied"},
		{"fs_write", `{"path":"/data/WORD/x","mkdirs":true}`, "x", "denied"},
		{"fs_mkdir", `{"path":"/data/WORD"}`, "", "denied"},
		{"fs_rename", `{"from":"/data/fine","to":"/data/WORD"}`, "", "denied"},
		{"fs_read", `{"path":"/data/holds"}`, "", "denied"},
		{"fs_read", `{"path":"/data/holds","offset":2,"length":4}`, "", "denied"},
		{"fs_read", `{"path":"/data/fine"}`, "", "ok"},
		{"fs_write", `{"path":"/data/fine","mode":"append"}`, " text", "ok"},
	} {
		if got := do(tt.function, tt.request, tt.data); got != tt.want {
			t.Errorf("%s %s: %s, want %s", tt.function, tt.request, got, tt.want)
		}
	}
	list, err := os.ReadDir(c.inside)
	if err != nil || fmt.Sprint(list) != "[- fine - holds]" {
		t.Errorf("left behind: %v, error %v", list, err)
	}
	if data, err := os.ReadFile(filepath.Join(c.inside, "fine")); err != nil || string(data) != "plain text" {
		t.Errorf("%q, error %v", data, err)
	}
}
