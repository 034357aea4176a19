// Package arch holds the rules of the source tree as data and checks them in the
// test process: which package may import which, who owns each dangerous API.
package arch

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

const module = "github.com/glovebox-dev/glovebox/"

// Rules is the architecture: rows of packages and owners of dangerous names.
type Rules struct {
	Row    map[string]int      // package directory → row; imports point to lower rows
	Owner  map[string][]string // import path, or anything below it → packages that may import it
	Caller map[string][]string // importpath.Name → packages that may use it
	Leaf   map[string][]string // package → the only packages of this module that it may import
	Guest  []string            // directories of guest code: never part of the daemon
}

type checker struct {
	rules    Rules
	report   func(format string, args ...any)
	docs     map[string][]string // package directory → files with a package comment
	seen     map[string]bool
	vars     map[string]bool     // package.variable
	assigned map[string][]string // package.name → files that assign to it
}

// Check walks every Go file below root that is part of the product and reports each
// broken rule in one sentence. Build tags are ignored on purpose: a file for another
// system cannot hide an import.
func Check(root fs.FS, rules Rules, report func(format string, args ...any)) error {
	c := &checker{rules: rules, report: report, docs: map[string][]string{}, seen: map[string]bool{},
		vars: map[string]bool{}, assigned: map[string][]string{}}
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if p != "." && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules" || name == "bin" || name == "build" || slices.Contains(rules.Guest, p)) {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		src, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		return c.file(p, src)
	})
	if err != nil {
		return fmt.Errorf("check architecture: %w", err)
	}
	c.finish()
	return nil
}

func (c *checker) finish() {
	for name, files := range c.assigned {
		if c.vars[name] {
			c.report("%s: package variable %s is assigned to: keep state in a value", files[0], name)
		}
	}
	for pkg := range c.rules.Row {
		if !c.seen[pkg] {
			c.report("the table lists %s, which does not exist: delete its row", pkg)
		}
	}
	for pkg := range c.seen {
		if n := len(c.docs[pkg]); n != 1 {
			c.report("%s has %d package comments, want exactly one: %v", pkg, n, c.docs[pkg])
		}
	}
}

func (c *checker) file(p string, src []byte) error {
	pkg := path.Dir(p)
	file, err := parser.ParseFile(token.NewFileSet(), p, src, parser.ParseComments)
	if err != nil {
		return err
	}
	if strings.HasSuffix(p, "_test.go") {
		return nil
	}
	c.seen[pkg] = true
	if file.Doc != nil {
		c.docs[pkg] = append(c.docs[pkg], path.Base(p))
	}
	if _, ok := c.rules.Row[pkg]; !ok {
		c.report("%s: package %s has no row in the table: add it", p, pkg)
		return nil
	}
	if lines := strings.Count(string(src), "\n"); lines > 500 && !strings.Contains(string(src[:min(len(src), 400)]), "DO NOT EDIT") {
		c.report("%s has %d lines, want at most 500", p, lines)
	}
	names := c.imports(p, pkg, file)
	c.uses(p, pkg, file, names)
	c.declarations(p, file)
	c.writes(p, pkg, file)
	return nil
}

// imports checks the import table and returns the name under which each import is
// known in this file.
func (c *checker) imports(p, pkg string, file *ast.File) map[string]string {
	names := map[string]string{}
	for _, spec := range file.Imports {
		imp, _ := strconv.Unquote(spec.Path.Value)
		name := path.Base(imp)
		if spec.Name != nil {
			name = spec.Name.Name
		}
		if name == "." {
			c.report("%s: dot import of %s hides what it uses", p, imp)
		}
		names[name] = imp
		if in, ok := strings.CutPrefix(imp, module); ok {
			c.inner(p, pkg, in)
		}
		for dangerous, owners := range c.rules.Owner {
			if (imp == dangerous || strings.HasPrefix(imp, dangerous+"/")) && !owns(owners, pkg) {
				c.report("%s: %s must not import %s (owners: %v)", p, pkg, imp, owners)
			}
		}
	}
	return names
}

func (c *checker) inner(p, pkg, in string) {
	if only, ok := c.rules.Leaf[pkg]; ok && !slices.Contains(only, in) {
		c.report("%s: %s may import only %v of this module, not %s", p, pkg, only, in)
		return
	}
	to, ok := c.rules.Row[in]
	if !ok {
		c.report("%s: %s imports %s, which has no row in the table", p, pkg, in)
		return
	}
	from := c.rules.Row[pkg]
	if to > from || to == from && !strings.HasPrefix(pkg, in+"/") {
		c.report("%s: %s (row %d) must not import %s (row %d)", p, pkg, from, in, to)
	}
}

// owns tells whether pkg is one of owners; "dir/..." stands for dir and all below it.
func owns(owners []string, pkg string) bool {
	for _, o := range owners {
		if dir, ok := strings.CutSuffix(o, "/..."); ok && (pkg == dir || strings.HasPrefix(pkg, dir+"/")) || o == pkg {
			return true
		}
	}
	return false
}

func (c *checker) uses(p, pkg string, file *ast.File, names map[string]string) {
	ast.Inspect(file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		id, ok := sel.X.(*ast.Ident)
		if !ok || names[id.Name] == "" {
			return true
		}
		what := names[id.Name] + "." + sel.Sel.Name
		if owners, listed := c.rules.Caller[what]; listed && !owns(owners, pkg) {
			c.report("%s: %s must not use %s (owners: %v)", p, pkg, what, owners)
		}
		return true
	})
	for _, group := range file.Comments {
		for _, comment := range group.List {
			if strings.HasPrefix(comment.Text, "//go:linkname") {
				c.report("%s: go:linkname is nobody's", p)
			}
		}
	}
}

// declarations refuses init functions and package variables that something could
// change: registries and flags belong to values that are passed.
func (c *checker) declarations(p string, file *ast.File) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				c.report("%s: no init functions: pass what is needed to a constructor", p)
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				c.variable(p, spec.(*ast.ValueSpec), d.Doc)
			}
		}
	}
}

// variable admits guards (var _ T), embedded files and values that are never
// reassigned; types that are state by nature are refused.
func (c *checker) variable(p string, spec *ast.ValueSpec, doc *ast.CommentGroup) {
	embedded := doc != nil && slices.ContainsFunc(doc.List, func(l *ast.Comment) bool { return strings.HasPrefix(l.Text, "//go:embed") })
	for _, name := range spec.Names {
		if name.Name == "_" || embedded {
			continue
		}
		if len(spec.Values) == 0 {
			c.report("%s: package variable %s has no initial value: it exists to be changed", p, name.Name)
		}
	}
	ast.Inspect(spec, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if id, ok := sel.X.(*ast.Ident); ok && (id.Name == "sync" || id.Name == "atomic") {
			c.report("%s: package variable of type %s.%s is shared mutable state", p, id.Name, sel.Sel.Name)
		}
		return true
	})
}

// writes notes each package variable of this file and each name that a function
// assigns to without having declared it; finish joins them over the package's files.
func (c *checker) writes(p, pkg string, file *ast.File) {
	for _, decl := range file.Decls {
		if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.VAR {
			for _, spec := range d.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					c.vars[pkg+"."+name.Name] = true
				}
			}
		}
	}
	note := func(lhs ast.Expr) {
		if index, ok := lhs.(*ast.IndexExpr); ok {
			lhs = index.X
		}
		id, ok := lhs.(*ast.Ident)
		if !ok || id.Name == "_" {
			return
		}
		if obj := id.Obj; obj == nil || obj.Kind == ast.Var && file.Scope.Lookup(id.Name) == obj {
			c.assigned[pkg+"."+id.Name] = append(c.assigned[pkg+"."+id.Name], p)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch s := n.(type) {
		case *ast.AssignStmt:
			if s.Tok != token.DEFINE {
				for _, lhs := range s.Lhs {
					note(lhs)
				}
			}
		case *ast.IncDecStmt:
			note(s.X)
		}
		return true
	})
}
