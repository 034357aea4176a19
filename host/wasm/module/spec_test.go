package module_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// limitsForSpec are far above what the specification's tests use.
var limitsForSpec = module.RewriteLimits{TableMax: 65_536, MemoryPages: 65_536, Stack: 100_000}

// expectedRefusals are the features that wazero runs and this host does not, and
// the one limit that a test of the specification passes, and a long spelling of an
// instruction.
var expectedRefusals = []string{"is a table and no host offers one", "is a memory and no host offers one", "(24615, at most 16384)",
	"unknown instruction 0xfc 0x80"}

func spectests(t testing.TB) string {
	return filepath.Join(testenv.ModuleDir(t, "github.com/tetratelabs/wazero"), "internal", "integration_test", "spectest")
}

// versions are the directories of the specification's tests; the second holds
// most of the first.
func versions() []string {
	if underRace {
		return []string{"v2"}
	}
	return []string{"v1", "v2"}
}

func interpreter() wazero.RuntimeConfig {
	return wazero.NewRuntimeConfigInterpreter().WithCoreFeatures(api.CoreFeaturesV2)
}

func valid(r wazero.Runtime, b []byte) error {
	c, err := r.CompileModule(context.Background(), b)
	if err != nil {
		return err
	}
	return c.Close(context.Background())
}

// Every module of the specification that the engine accepts is accepted, or
// refused for a feature by name; every one that the engine refuses stays refused
// after it was rewritten; every accepted one stays valid.
func TestSpecModules(t *testing.T) {
	t.Parallel()
	r := wazero.NewRuntimeWithConfig(t.Context(), interpreter())
	defer r.Close(context.Background())
	var good, refused, bad, both int
	for _, v := range versions() {
		binaries(t, filepath.Join(spectests(t), v, "testdata"), func(name string, b []byte) {
			engine := valid(r, b)
			_, scan := module.Scan(b, module.DefaultLimits())
			out, err := module.Rewrite(b, limitsForSpec)
			if (scan == nil) != (err == nil) {
				t.Errorf("%s: scan says %v and rewrite says %v", name, scan, err)
			}
			switch {
			case engine == nil && err != nil:
				refused++
				if !slices.ContainsFunc(expectedRefusals, func(s string) bool { return strings.Contains(err.Error(), s) }) {
					t.Errorf("%s is valid and was refused: %v", name, err)
				}
			case engine == nil:
				good++
				if err := valid(r, out); err != nil {
					t.Errorf("%s was valid: %v", name, err)
				}
				if _, err := module.Scan(out, module.DefaultLimits().Rewritten()); err != nil {
					t.Errorf("%s, rewritten: %v", name, err)
				}
			case err == nil:
				bad++
				if valid(r, out) == nil {
					t.Errorf("%s was invalid (%v) and became valid", name, engine)
				}
			default:
				both++
			}
		})
	}
	t.Logf("%d accepted, %d refused for a feature; of the invalid ones %d are left to the engine and %d refused by the scan", good, refused, bad, both)
}

// command is one line of a script of the specification.
type command struct {
	Type     string `json:"type"`
	Line     int    `json:"line"`
	Filename string `json:"filename"`
	Action   struct {
		Type   string  `json:"type"`
		Module string  `json:"module"`
		Field  string  `json:"field"`
		Args   []value `json:"args"`
	} `json:"action"`
}

type value struct {
	Type     string          `json:"type"`
	LaneType string          `json:"lane_type"`
	Value    json.RawMessage `json:"value"`
}

// encode turns a value of a script into the engine's stack words.
func (v value) encode() ([]uint64, bool) {
	var s string
	if json.Unmarshal(v.Value, &s) == nil {
		if s == "null" {
			return []uint64{0}, true
		}
		n, err := strconv.ParseUint(s, 10, 64)
		return []uint64{n}, err == nil && !strings.HasSuffix(v.Type, "ref")
	}
	var lanes []string
	if json.Unmarshal(v.Value, &lanes) != nil {
		return nil, false
	}
	words, width := make([]uint64, 2), 128/len(lanes)
	for i, l := range lanes {
		n, err := strconv.ParseUint(l, 10, 64)
		if err != nil {
			return nil, false // a pattern such as nan:canonical
		}
		words[i*width/64] |= n << (i * width % 64)
	}
	return words, true
}

// Whatever the specification's scripts call gives the same results, traps and
// memory before and after rewriting, and leaves the depth at zero.
func TestSpecBehaviourIsUnchanged(t *testing.T) {
	t.Parallel()
	native := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(api.CoreFeaturesV2)
	compiled := []string{"call.json", "return.json", "br.json", "loop.json", "func.json", "block.json", "if.json", "call_indirect.json", "br_table.json", "fac.json"}
	for _, v := range versions() {
		dir := filepath.Join(spectests(t), v, "testdata")
		scripts, err := filepath.Glob(filepath.Join(dir, "*.json"))
		if err != nil || len(scripts) == 0 {
			t.Fatalf("no scripts in %s: %v", dir, err)
		}
		t.Run(v, func(t *testing.T) {
			t.Parallel()
			calls := 0
			for _, s := range scripts {
				config := interpreter()
				if slices.Contains(compiled, filepath.Base(s)) {
					config = native
				} else if underRace {
					continue
				}
				calls += compareScript(t, s, config)
			}
			t.Logf("%d calls compared", calls)
			if calls < 10_000 && !underRace {
				t.Errorf("only %d calls were compared", calls)
			}
		})
	}
}

// pair is the same module as it was and rewritten.
type pair struct {
	old, new api.Module
	memory   bool
}

func compareScript(t *testing.T, path string, config wazero.RuntimeConfig) (calls int) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var script struct{ Commands []command }
	if err := json.Unmarshal(b, &script); err != nil {
		t.Fatal(err)
	}
	ctx := t.Context()
	a, z := wazero.NewRuntimeWithConfig(ctx, config), wazero.NewRuntimeWithConfig(ctx, config)
	defer a.Close(ctx)
	defer z.Close(ctx)
	spectest, err := os.ReadFile(filepath.Join(spectests(t), "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []wazero.Runtime{a, z} {
		if _, err := r.InstantiateWithConfig(ctx, spectest, wazero.NewModuleConfig().WithName("spectest")); err != nil {
			t.Fatal(err)
		}
	}
	var now pair
	for _, c := range script.Commands {
		where := fmt.Sprintf("%s:%d %s", filepath.Base(path), c.Line, c.Action.Field)
		switch c.Type {
		case "module":
			now = instantiate(t, ctx, a, z, filepath.Join(filepath.Dir(path), c.Filename))
		case "assert_return", "assert_trap", "action":
			if now.old == nil || c.Action.Type != "invoke" || c.Action.Module != "" {
				continue
			}
			if compareCall(t, ctx, where, now, c) {
				calls++
			}
		}
	}
	return calls
}

func instantiate(t *testing.T, ctx context.Context, a, z wazero.Runtime, path string) pair {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil || filepath.Ext(path) != ".wasm" {
		return pair{}
	}
	out, err := module.Rewrite(b, limitsForSpec)
	if err != nil {
		return pair{}
	}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions()
	old, err1 := a.InstantiateWithConfig(ctx, b, config)
	renewed, err2 := z.InstantiateWithConfig(ctx, out, config)
	if (err1 == nil) != (err2 == nil) {
		t.Errorf("%s: instantiation was %v and became %v", filepath.Base(path), err1, err2)
	}
	if err1 != nil || err2 != nil {
		return pair{}
	}
	report, err := module.Scan(b, module.DefaultLimits())
	return pair{old, renewed, err == nil && report.HasMemory}
}

func compareCall(t *testing.T, ctx context.Context, where string, p pair, c command) bool {
	t.Helper()
	var args []uint64
	for _, v := range c.Action.Args {
		w, ok := v.encode()
		if !ok {
			return false
		}
		args = append(args, w...)
	}
	f, g := p.old.ExportedFunction(c.Action.Field), p.new.ExportedFunction(c.Action.Field)
	if f == nil || g == nil {
		t.Errorf("%s: the export is there %t, rewritten %t", where, f != nil, g != nil)
		return false
	}
	want, err1 := f.Call(ctx, args...)
	got, err2 := g.Call(ctx, args...)
	if (err1 == nil) != (err2 == nil) || (err1 != nil && cause(err1) != cause(err2)) {
		t.Errorf("%s: ended with %v, rewritten %v", where, err1, err2)
	}
	for i, rt := range f.Definition().ResultTypes() {
		if rt == api.ValueTypeExternref || rt == 0x70 {
			return true // an address in the host
		}
		if err1 == nil && i < len(want) && want[i] != got[i] {
			t.Errorf("%s: result %#x, rewritten %#x", where, want[i], got[i])
		}
	}
	if p.memory {
		m, n := p.old.Memory(), p.new.Memory()
		size := min(m.Size(), 4096) // the scripts write near the start
		x, _ := m.Read(0, size)
		y, _ := n.Read(0, size)
		if m.Size() != n.Size() || string(x) != string(y) {
			t.Errorf("%s: the memory differs", where)
		}
	}
	d := p.new.ExportedGlobal(module.DepthGlobal)
	if err2 == nil && d.Get() != 0 {
		t.Errorf("%s: the depth is %d after a call that returned", where, d.Get())
	}
	if m, ok := d.(api.MutableGlobal); ok {
		m.Set(0) // as it stays after a trap
	}
	return true
}

// cause is the first line of a trap without its stack.
func cause(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}
