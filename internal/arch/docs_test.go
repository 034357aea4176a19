package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	fenceRE  = regexp.MustCompile("(?ms)^```(\\w*)\n(.*?)^```$")
	inlineRE = regexp.MustCompile("`([^`\n]+)`")
	// A command line of ours: at its beginning, or behind what starts another command.
	commandRE = regexp.MustCompile(`(?:^|[|;&(]\s*)(?:sudo -u \S+ )?(?:\S*/)?glovebox\s+([^|;&#)]*)`)
	flagRE    = regexp.MustCompile(`(?:^|\s)--([a-z-]+)`)
	linkRE    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	unfinRE   = regexp.MustCompile(`\b(TODO|FIXME|TBD|XXX)\b`)
	ruleRE    = regexp.MustCompile(`^(agent|api|approval|asks|budget|compile|denials|door|egress|files|gate|grant|guard|kv|module|oauth|phase|sampling|secret)/[a-z][a-z-]*$`)
)

// TestDocsNameWhatExists holds the pages that people read to the tree: commands, flags,
// links, routes of the API and rules.
func TestDocsNameWhatExists(t *testing.T) {
	t.Parallel()
	pages := readPages(t)
	tree, flags := commands(t)
	for name, text := range pages {
		for _, line := range commandLines(text) {
			checkCommand(t, name, line, tree, flags)
		}
		for _, link := range linkRE.FindAllStringSubmatch(text, -1) {
			checkLink(t, name, link[1], pages)
		}
		if word := unfinRE.FindString(text); word != "" {
			t.Errorf("%s: %s in a page that is read", name, word)
		}
	}
	for _, route := range routes(t) {
		if !strings.Contains(pages["docs/program.md"], "`"+route+"`") {
			t.Errorf("docs/program.md does not tell of %s", route)
		}
	}
	for _, rule := range ruleNames(t) {
		if !strings.Contains(pages["docs/reference/rules.md"], "`"+rule+"`") {
			t.Errorf("docs/reference/rules.md does not tell of the rule %s", rule)
		}
	}
}

func readPages(t *testing.T) map[string]string {
	t.Helper()
	pages := map[string]string{}
	add := func(p string) {
		b, err := os.ReadFile(filepath.Join("../..", p))
		if err != nil {
			t.Fatal(err)
		}
		pages[p] = string(b)
	}
	root := os.DirFS("../..")
	top, err := fs.Glob(root, "*.md")
	if err != nil || len(top) == 0 {
		t.Fatalf("no pages at the root: %v", err)
	}
	for _, p := range top {
		add(p)
	}
	err = fs.WalkDir(root, "docs", func(p string, d fs.DirEntry, err error) error {
		if err == nil && path.Ext(p) == ".md" {
			add(p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return pages
}

// commandLines returns what follows "glovebox" in fenced shell blocks and in code
// within a line.
func commandLines(text string) []string {
	var lines []string
	for _, block := range fenceRE.FindAllStringSubmatch(text, -1) {
		if block[1] != "sh" && block[1] != "console" {
			continue
		}
		for line := range strings.Lines(strings.ReplaceAll(block[2], "\\\n", " ")) {
			for _, m := range commandRE.FindAllStringSubmatch(strings.TrimSpace(line), -1) {
				lines = append(lines, m[1])
			}
		}
	}
	for _, m := range inlineRE.FindAllStringSubmatch(fenceRE.ReplaceAllString(text, ""), -1) {
		if c := commandRE.FindStringSubmatch(m[1]); c != nil {
			lines = append(lines, c[1])
		}
	}
	return lines
}

// verb is one command with its sub-commands.
type verb map[string]verb

func checkCommand(t *testing.T, page, line string, tree verb, flags map[string]bool) {
	t.Helper()
	for _, m := range flagRE.FindAllStringSubmatch(line, -1) {
		if !flags[m[1]] {
			t.Errorf("%s: glovebox %s: there is no flag --%s", page, strings.TrimSpace(line), m[1])
		}
	}
	at := tree
	words := strings.Fields(line)
	for i := 0; i < len(words) && len(at) > 0; i++ {
		if strings.HasPrefix(words[i], "-") {
			if words[i] == "--state" || words[i] == "--config" {
				i++
			}
			continue
		}
		for _, one := range strings.Split(words[i], `\|`) { // new\|build in a table
			if _, ok := at[one]; !ok {
				t.Errorf("%s: glovebox %s: there is no command %q", page, strings.TrimSpace(line), words[i])
				return
			}
			if !strings.Contains(words[i], `\|`) {
				at = at[one]
			}
		}
		if strings.Contains(words[i], `\|`) {
			return
		}
	}
}

func checkLink(t *testing.T, page, link string, pages map[string]string) {
	t.Helper()
	if strings.Contains(link, "://") || strings.HasPrefix(link, "mailto:") {
		return
	}
	file, anchor, _ := strings.Cut(link, "#")
	target := page
	if file != "" {
		target = path.Join(path.Dir(page), file)
		if _, err := os.Stat(filepath.Join("../..", target)); err != nil {
			t.Errorf("%s links to %s, which does not exist", page, link)
			return
		}
	}
	if text, ok := pages[target]; ok && anchor != "" && !slices.Contains(headings(text), anchor) {
		t.Errorf("%s links to %s, and %s has no such heading", page, link, target)
	}
}

// headings returns the anchors of a page as its renderers make them.
func headings(text string) []string {
	var list []string
	for line := range strings.Lines(fenceRE.ReplaceAllString(text, "")) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			anchor := strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case r == '-' || r == '_' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z':
					return r
				}
				return -1
			}, strings.ToLower(strings.TrimSpace(title)))
			list = append(list, anchor)
		}
	}
	return list
}

// sources parses the files of one package that are no tests.
func sources(t *testing.T, dir string) []*ast.File {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("../..", dir, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, f)
	}
	if len(files) == 0 {
		t.Fatalf("no source in %s", dir)
	}
	return files
}

// commands reads the tree of commands and the names of all flags from the source of
// the command line, without running it.
func commands(t *testing.T) (verb, map[string]bool) {
	t.Helper()
	funcs, flags := map[string]*ast.FuncDecl{}, map[string]bool{"help": true}
	for _, f := range sources(t, "cmd/glovebox") {
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok {
				funcs[fn.Name.Name] = fn
			}
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if sel, isSel := callee(call, ok); isSel && len(call.Args) > 2 && strings.Contains(sel, "Var") {
				if name := literal(call.Args[1]); name != "" {
					flags[name] = true
				}
			}
			return true
		})
	}
	_, tree := command(funcs, "root", nil)
	tree["help"] = verb{}
	if len(tree) < 5 || len(tree["skill"]) < 5 || !flags["state"] {
		t.Fatalf("the commands were not understood: %v, flags %v", tree, slices.Collect(maps.Keys(flags)))
	}
	return tree, flags
}

func callee(call *ast.CallExpr, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	sel, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return "", false
	}
	return sel.Sel.Name, true
}

func literal(e ast.Expr) string {
	if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
		if s, err := strconv.Unquote(lit.Value); err == nil {
			return s
		}
	}
	return ""
}

// command interprets a function that returns a cobra command: its name and what it
// adds. args are those of the call.
func command(funcs map[string]*ast.FuncDecl, name string, args []ast.Expr) (string, verb) {
	fn := funcs[name]
	if fn == nil {
		return "", nil
	}
	var params []string
	for _, p := range fn.Type.Params.List {
		for _, n := range p.Names {
			params = append(params, n.Name)
		}
	}
	use, sub := "", verb{}
	ast.Inspect(fn, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.KeyValueExpr:
			if key, ok := n.Key.(*ast.Ident); ok && key.Name == "Use" && use == "" {
				use = literal(n.Value)
				if sum, ok := n.Value.(*ast.BinaryExpr); ok { // verb + " [ID]"
					if p, ok := sum.X.(*ast.Ident); ok {
						if i := slices.Index(params, p.Name); i >= 0 && i < len(args) {
							use = literal(args[i])
						}
					}
				}
			}
		case *ast.CallExpr:
			if called, ok := callee(n, true); ok && called == "AddCommand" {
				for _, a := range n.Args {
					if child, ok := a.(*ast.CallExpr); ok {
						if called, ok := callee(child, true); ok {
							if word, below := command(funcs, called, child.Args); word != "" {
								sub[word] = below
							}
						}
					}
				}
			} else if ok && use == "" && strings.HasSuffix(called, "Command") && funcs[called] != nil {
				use, _ = command(funcs, called, n.Args) // a command made of another
			}
		}
		return true
	})
	word, _, _ := strings.Cut(use, " ")
	return word, sub
}

// routes lists the routes of the API as "METHOD /path".
func routes(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, f := range sources(t, "host/admin") {
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			method, isSel := callee(call, ok)
			if !isSel || !slices.Contains([]string{"GET", "POST", "PUT", "DELETE", "PATCH"}, method) || len(call.Args) < 2 {
				return true
			}
			p := literal(call.Args[0])
			if on, ok := call.Fun.(*ast.SelectorExpr).X.(*ast.Ident); ok && on.Name == "api" {
				p = "/api" + p
			}
			if strings.HasPrefix(p, "/") {
				list = append(list, method+" "+p)
			}
			return true
		})
	}
	if len(list) < 5 {
		t.Fatalf("the routes were not understood: %v", list)
	}
	return list
}

// ruleNames lists the stable names of rules that refusals cite.
func ruleNames(t *testing.T) []string {
	t.Helper()
	seen := map[string]bool{}
	for dir := range Glovebox().Row {
		if strings.HasPrefix(dir, "internal/") && dir != "internal/guard" || dir == "abi/abitest" || dir == "host/wasm/module/modtest" {
			continue
		}
		for _, f := range sources(t, dir) {
			ast.Inspect(f, func(n ast.Node) bool {
				if _, ok := n.(*ast.ImportSpec); ok {
					return false
				}
				if e, ok := n.(ast.Expr); ok && ruleRE.MatchString(literal(e)) {
					seen[literal(e)] = true
				}
				return true
			})
		}
	}
	return slices.Sorted(maps.Keys(seen))
}
