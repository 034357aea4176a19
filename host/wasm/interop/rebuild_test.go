package interop_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

const examples = "../../../examples"

// TestCommittedModulesMatchTheirSources builds each committed module again, in a
// copy of its folder elsewhere, and compares the bytes: nobody has to believe a
// binary in the repository.
func TestCommittedModulesMatchTheirSources(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name, dir, need string
		probe           func() error
		modules         []string
		args            []string
	}{
		{"calc in C", examples + "/calc", "clang", clang, []string{"skill.wasm"}, nil},
		{"textstat in Rust", examples + "/textstat", "rustc", rust, []string{"skill.wasm"}, nil},
		{"units in AssemblyScript", examples + "/units", "asc", assemblyScript, []string{"skill.wasm"}, []string{"MODULES=" + absolute(t, examples+"/units/node_modules")}},
		{"plugins of other shapes in C", "testdata", "clang", clang, []string{"v1.wasm", "v2.wasm", "void.wasm", "badtype.wasm"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			testenv.Need(t, tc.need, tc.probe)
			testenv.Need(t, "made-by", func() error { return otherCompiler(tc.need) })
			dir := t.TempDir()
			copySources(t, tc.dir, dir)
			run(t, dir, append([]string{"make", "--silent"}, tc.args...)...)
			for _, m := range tc.modules {
				want, got := readFile(t, filepath.Join(tc.dir, m)), readFile(t, filepath.Join(dir, m))
				if !bytes.Equal(want, got) {
					t.Errorf("%s/%s is not what its sources compile to: committed %s (%d bytes), built %s (%d bytes); see to it with: make -C %[1]s",
						tc.dir, m, abi.DigestOf(want), len(want), abi.DigestOf(got), len(got))
				}
			}
		})
	}
}

// madeBy names what made the committed modules. Another compiler may well make other
// bytes, which proves nothing; the one of asc is pinned by package-lock.json.
var madeBy = map[string][]struct {
	argv []string
	want string
}{
	"clang": {
		{[]string{"clang-19", "--version"}, "version 19.1.7"},
		{[]string{"dpkg-query", "--show", "wasi-libc"}, "0.0~git20220510.9886d3d-2"},
	},
	"rustc": {{[]string{"/usr/bin/rustc", "--version"}, "rustc 1.63.0"}},
}

// otherCompiler reports a compiler that is there in another version.
func otherCompiler(need string) error {
	for _, made := range madeBy[need] {
		out, err := exec.Command(made.argv[0], made.argv[1:]...).Output()
		if err == nil && !strings.Contains(string(out), made.want) {
			return fmt.Errorf("the modules were made by %q: %s says %s", made.want, made.argv[0], out)
		}
	}
	return nil
}

// clang compiles something, since a compiler without the linker is none.
func clang() error {
	dir, err := os.MkdirTemp("", "probe")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	src := filepath.Join(dir, "p.c")
	if err := os.WriteFile(src, []byte("#include <math.h>\nint f(double x) { return sin(x) > 0; }\n"), 0o600); err != nil {
		return err
	}
	out, err := exec.Command("clang-19", "--target=wasm32-wasi", "--sysroot=/usr", "-mexec-model=reactor", "-o", filepath.Join(dir, "p.wasm"), src).CombinedOutput()
	if err != nil {
		return fmt.Errorf("clang-19 with wasi-libc: %w: %s", err, out)
	}
	return nil
}

func rust() error {
	out, err := exec.Command("/usr/bin/rustc", "--print", "target-libdir", "--target", "wasm32-unknown-unknown").Output()
	if err != nil {
		return fmt.Errorf("rustc: %w", err)
	}
	if std, err := filepath.Glob(filepath.Join(strings.TrimSpace(string(out)), "libstd-*.rlib")); err != nil || len(std) == 0 {
		return errors.New("rustc has no standard library for wasm32-unknown-unknown")
	}
	return testenv.Program("wasm-ld-14")()
}

func assemblyScript() error {
	if _, err := os.Stat(examples + "/units/node_modules/assemblyscript/bin/asc.js"); err != nil {
		return fmt.Errorf("the packages of examples/units are not installed: %w", err)
	}
	return testenv.Program("node")()
}

func copySources(t *testing.T, from, to string) {
	t.Helper()
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		switch {
		case d.IsDir() && d.Name() == "node_modules":
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		case strings.HasSuffix(rel, ".wasm"):
			return nil
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		t.Fatal(err)
	}
}

func run(t *testing.T, dir string, argv ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func absolute(t *testing.T, path string) string {
	t.Helper()
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}
