package guard

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// doors says where each sink is guarded: the file, and the text that does it there.
var doors = map[Sink][]struct{ file, text string }{
	Prompt:    {{"host/agent/screen.go", "t.clean(ctx, &t.s.items[i])"}, {"host/agent/loop.go", "prompt, err := t.prompt(ctx)"}, {"host/agent/screen.go", ".guarded(g.Redact, canary)"}},
	Arguments: {{"host/agent/screen.go", "CheckJSON(ctx, p.place(guard.Arguments), args)"}, {"host/agent/dispatcher.go", "if !p.guarded(ctx, seen) {"}},
	Result:    {{"host/agent/run.go", "r.Text = p.screen(ctx, r.Text)"}, {"host/agent/run.go", "p.screenJSON(ctx, v.Canonical())"}, {"host/agent/run.go", "p.screen(ctx, clean(cut(err.Error(), 1024)))"}},
	Reply:     {{"host/agent/loop.go", "text = t.screen(ctx, text)\n\tt.reply.Text = text"}},
	Request:   {{"host/guarded.go", "d.pass(ctx, guard.Request,"}, {"broker/fetch.go", "ruleLeak"}},
	File:      {{"host/guarded.go", "d.pass(ctx, guard.File,"}, {"host/wasm/write.go", "c.services.Screen.Wrote(ctx, c.caller, p.name, data)"}},
	KV:        {{"host/guarded.go", "d.pass(ctx, guard.KV,"}},
	Question:  {{"host/guarded.go", "d.pass(ctx, guard.Question,"}},
	Memory:    {{"host/memory/memory.go", "g == nil || g.Find(w.Text) != \"\""}},
	Card:      {{"host/host.go", "secrets.Redact)"}, {"host/approval/card.go", "clean := s.cfg.Redact"}},
	Log:       {{"host/host.go", "redact.Handler(leaks.Handler(cfg.Log, h.leaks), secrets.matcher)"}},
	Audit:     {{"host/host.go", "Redactor: redactor{secrets, h.leaks}"}},
	API:       {{"host/host.go", "Redact: h.guard.RedactJSON"}, {"host/admin/encode.go", "s.redact(doc)"}, {"host/admin/server.go", "e.JSONSerializer = serializer{s}"}},
}

// TestEverySinkHasItsDoor: each sink of the package has a policy and is guarded where
// the table says, and the table has no other.
func TestEverySinkHasItsDoor(t *testing.T) {
	t.Parallel()
	root := os.DirFS("../..")
	sinks := declared(t)
	if len(sinks) != len(Policies()) || len(sinks) != len(doors) {
		t.Errorf("%d sinks are declared, %d have a policy, %d have a door", len(sinks), len(Policies()), len(doors))
	}
	for _, s := range sinks {
		if p, ok := Policies()[s]; !ok || p.Secret == "" {
			t.Errorf("%s has no policy", s)
		}
		if len(doors[s]) == 0 {
			t.Errorf("%s has no door", s)
		}
		for _, d := range doors[s] {
			src, err := fs.ReadFile(root, d.file)
			if err != nil || !strings.Contains(string(src), d.text) {
				t.Errorf("%s is not guarded in %s by %q any more", s, d.file, d.text)
			}
		}
	}
}

// declared returns the constants of type Sink in the source of this package.
func declared(t *testing.T) (sinks []Sink) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "guard.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Sink" {
			sinks = append(sinks, Sink(strings.Trim(spec.Values[0].(*ast.BasicLit).Value, `"`)))
		}
		return true
	})
	return sinks
}

// TestNothingGoesPastTheDoors: what could go around a door is used at the door only.
func TestNothingGoesPastTheDoors(t *testing.T) {
	t.Parallel()
	only := map[string][]string{ // text → files that may have it
		".Model.Next(":          {"host/agent/loop.go", "host/budget_services.go"}, // the second only counts, around the first
		".Impl.Invoke(":         {"host/agent/run.go"},
		"t.reply.Text = ":       {"host/agent/loop.go"},
		"Kind: EventText":       {"host/agent/loop.go"},
		"wasm.Services{":        {"host/guarded.go", "host/host.go", "host/runner.go", "cmd/glovebox/skill_run.go"}, // the last two: for the author, without an agent
		"agent.NewDispatcher(":  {"host/world.go"},
		"json.NewEncoder(c.":    {},
		"c.Blob(":               {},
		"c.String(":             {},
		"c.JSONBlob(":           {},
		"json.NewEncoder(w":     {},
		"io.WriteString(e.w, ":  {"host/admin/handlers.go"},
		"c.Response().Write(":   {"host/admin/encode.go", "host/admin/problem.go"},
		"admin.Listen(ctx, adm": {"host/host.go"},
	}
	dirs := []string{"host", "cmd/glovebox"}
	seen := map[string]int{}
	for _, dir := range dirs {
		err := fs.WalkDir(os.DirFS("../.."), dir, func(p string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || path.Ext(p) != ".go" || strings.HasSuffix(p, "_test.go") {
				return err
			}
			src, err := os.ReadFile("../../" + p)
			for text, files := range only {
				if strings.Contains(string(src), text) {
					seen[text]++
					if !slices.Contains(files, p) {
						t.Errorf("%s: %q is not behind a door of the guard", p, text)
					}
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, text := range []string{".Model.Next(", ".Impl.Invoke(", "t.reply.Text = ", "wasm.Services{", "agent.NewDispatcher("} {
		if seen[text] == 0 {
			t.Errorf("no file has %q: the table is stale", text)
		}
	}
	src, err := os.ReadFile("../../host/host.go")
	if err != nil || !strings.Contains(string(src), "return guarded(h.guard, s)") {
		t.Error("the services of guests are not guarded in host/host.go")
	}
	src, err = os.ReadFile("../../host/world.go")
	if err != nil || !strings.Contains(string(src), "Guard: h.guard") {
		t.Error("the dispatcher has no guard in host/world.go")
	}
}
