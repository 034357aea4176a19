package skills

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Language is what a skill is written in.
type Language string

// The languages that New starts and Build knows the tools of.
const (
	Go             Language = "go"
	C              Language = "c"
	AssemblyScript Language = "as"
	Rust           Language = "rust"
)

// ErrToolMissing is wrapped by the error of a build whose compiler is not installed.
var ErrToolMissing = errors.New("the compiler is not installed")

// goFlags make the module depend on the source and the compiler only.
var goFlags = []string{"build", "-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="}

// tool is what a language needs on the author's machine.
type tool struct {
	program string // looked for in PATH
	install string // the command that brings it
}

var tools = map[Language][]tool{
	Go: {{"go", "see https://go.dev/dl/ (Go 1.26 or newer)"}},
	C: {{"make", "apt-get install -y make"},
		{"clang-19", "apt-get install -y clang-19 lld-19 wasi-libc libclang-rt-19-dev-wasm32"}},
	AssemblyScript: {{"make", "apt-get install -y make"}, {"node", "apt-get install -y nodejs npm"}},
	Rust: {{"make", "apt-get install -y make"},
		{"rustc", "apt-get install -y rustc libstd-rust-dev-wasm32 lld-14"}},
}

// detect tells the language of a folder by its sources, which may lie one folder down.
func detect(dir string) (Language, error) {
	found := map[Language]bool{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if rel != "." && (strings.HasPrefix(name, ".") || strings.Contains(rel, string(filepath.Separator)) ||
				slices.Contains([]string{"node_modules", "tests", "testdata", "third_party", "target", "references", "assets"}, name)) {
				return fs.SkipDir
			}
			return nil
		}
		switch filepath.Ext(rel) {
		case ".go":
			found[Go] = true
		case ".c":
			found[C] = true
		case ".ts":
			found[AssemblyScript] = true
		case ".rs":
			found[Rust] = true
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("look for sources in %s: %w", dir, err)
	}
	for _, l := range []Language{Go, Rust, AssemblyScript, C} {
		if found[l] {
			return l, nil
		}
	}
	return "", &Error{
		What: fmt.Sprintf("no source in a known language in %s: want .go, .c, .rs or .ts files", dir),
		Hint: "to take a module that is built already, pass --prebuilt",
	}
}

// compileSource runs the compiler of the skill's language: go build for Go, the
// folder's own Makefile with the module as its target for the others.
func compileSource(ctx context.Context, src *Source, o BuildOptions, run Toolchain) (Language, error) {
	lang, err := detect(src.Dir)
	if err != nil {
		return "", err
	}
	for _, t := range tools[lang] {
		if _, err := lookup(t.program, o.Env); err != nil {
			return "", &Error{
				Err:  ErrToolMissing,
				What: fmt.Sprintf("skill %q is written in %s, and %q is not in PATH", src.Manifest.Name, lang, t.program),
				Hint: t.install,
			}
		}
	}
	program := tools[lang][0].program
	dir, argv := src.Dir, []string{"", src.Manifest.Module}
	env := slices.Clone(o.Env)
	if lang == Go {
		argv = append(append([]string{""}, goFlags...), "-o", src.Manifest.Module, ".")
		if o.sources != "" {
			dir, argv[len(argv)-2] = o.sources, filepath.Join(src.Dir, src.Manifest.Module)
		}
		env = append(env, "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0")
	} else if _, err := os.Stat(filepath.Join(src.Dir, "Makefile")); err != nil {
		return "", &Error{
			What: fmt.Sprintf("skill %q has no Makefile", src.Manifest.Name),
			Hint: fmt.Sprintf("write one with the target %s, or start from \"glovebox skill new NAME --lang %s\"", src.Manifest.Module, lang),
		}
	}
	if lang == AssemblyScript {
		if _, err := os.Stat(filepath.Join(src.Dir, "node_modules")); err != nil {
			return "", &Error{
				Err:  ErrToolMissing,
				What: fmt.Sprintf("the packages that skill %q is built with are not installed", src.Manifest.Name),
				Hint: fmt.Sprintf("cd %s && npm ci", src.Dir),
			}
		}
	}
	if argv[0], err = lookup(program, o.Env); err != nil {
		return "", err
	}
	if err := run(ctx, dir, argv, env, o.Out); err != nil {
		return "", fmt.Errorf("compile skill %q: %w", src.Manifest.Name, err)
	}
	return lang, nil
}

// lookup finds a program in the PATH of env. Relative entries are not searched.
func lookup(program string, env []string) (string, error) {
	path := ""
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, "PATH="); ok {
			path = v
		}
	}
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue
		}
		file := filepath.Join(dir, program)
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	return "", fmt.Errorf("%q is not in PATH: %w", program, fs.ErrNotExist)
}
