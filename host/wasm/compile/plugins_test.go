//go:build linux

package compile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// Every plugin that real authors sent compiles and loads.
func TestRealPluginsCompile(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(testenv.ModuleDir(t, "github.com/extism/go-sdk"), "wasm", "*.wasm"))
	if err != nil || len(files) == 0 {
		t.Fatal("no plugin was found", err)
	}
	f := open(t, nil)
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if compile.Slowdown > 1 && len(b) > 100_000 {
			continue // would take minutes under the race detector
		}
		began := time.Now()
		a, err := f.Get(t.Context(), abi.NewBlob(b), options)
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		compiled := time.Since(began)
		began = time.Now()
		r, _, err := a.Instantiable(t.Context())
		if err != nil {
			t.Errorf("%s: %v", filepath.Base(file), err)
			continue
		}
		t.Logf("%-24s %8d bytes, compile %v, load %v, holds %d", filepath.Base(file), len(b), compiled.Round(time.Millisecond), time.Since(began).Round(10*time.Microsecond), a.Bytes())
		if err := r.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
}

// The version in every key is that of go.mod.
func TestVersionOfTheEngine(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if want := fmt.Sprintf("\tgithub.com/tetratelabs/wazero %s\n", compile.WazeroVersion); !bytes.Contains(b, []byte(want)) {
		t.Errorf("go.mod does not require wazero %s", compile.WazeroVersion)
	}
}
