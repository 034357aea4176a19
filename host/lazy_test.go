package host

import (
	"os"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm"
)

// TestStartReadsNoModule: the daemon is ready before it has looked at a skill, and what
// the compiler's cache holds is not read ahead of its first call.
func TestStartReadsNoModule(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if f.world != nil {
		t.Error("New looked at the skills")
	}
	if c := f.ask("calc.evaluate", `{"expression":"6*7"}`); c.Text != "42" { // compiles
		t.Fatalf("the call: %+v", c)
	}
	w, err := f.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range w.skills {
		if s.Bundle.Name() != "calc" {
			continue
		}
		rights, err := f.rights(s.Bundle, s.Admission.Proof(), s.Agents[0])
		if err != nil {
			t.Fatal(err)
		}
		read := false
		src := wasm.Source{Digest: s.Bundle.Manifest.Module, Read: func() (abi.Blob, error) { read = true; return abi.Blob{}, os.ErrNotExist }}
		if err := f.chamber.Prepare(t.Context(), src, rights.Limits); err != nil || read {
			t.Errorf("%s: read %v, %v", s.Bundle.Name(), read, err)
		}
	}
}
