package compile_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/sandbox"
)

func TestFirst(t *testing.T) {
	sp := sandbox.New(t.Context())
	t.Logf("%+v", sp.Status())
	s, err := compile.Open(compile.Config{Dir: filepath.Join(t.TempDir(), "c"), Key: make([]byte, 32), Confine: sp})
	if err != nil {
		t.Fatal(err)
	}
	out, _ := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	files, _ := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "wasm", "*.wasm"))
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		a, err := s.Get(t.Context(), b, compile.Options{TableMax: 65536, MemoryPages: 1024, Stack: 10000})
		if err != nil {
			t.Error(f, err)
			continue
		}
		d := time.Since(start)
		start = time.Now()
		r, c, err := a.Instantiable(t.Context())
		if err != nil {
			t.Error(f, err)
			continue
		}
		p, err := a.Report().Profile()
		t.Log(filepath.Base(f), len(b), d, time.Since(start), len(c.ExportedFunctions()), p, err, a.Report().Capabilities())
		r.Close(t.Context())
	}
	_ = wazero.NewModuleConfig
}
