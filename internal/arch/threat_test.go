package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

var (
	threatRowRE  = regexp.MustCompile(`(?m)^\| (T\d+) \|.*\|([^|]*)\|$`)
	threatAnyRE  = regexp.MustCompile(`(?m)^\| *T\d+`)
	threatTestRE = regexp.MustCompile("`([\\w/]+)\\.((?:Test|Fuzz)\\w+)`")
)

// TestThreatModelNamesTests holds each row of THREAT_MODEL.md to tests that exist.
func TestThreatModelNamesTests(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../THREAT_MODEL.md")
	if err != nil {
		t.Fatal(err)
	}
	found, err := testFunctions(os.DirFS("../.."))
	if err != nil {
		t.Fatal(err)
	}
	rows := threatRowRE.FindAllStringSubmatch(string(doc), -1)
	if all := threatAnyRE.FindAllString(string(doc), -1); len(rows) == 0 || len(all) != len(rows) {
		t.Fatalf("%d rows begin with an id, %d have the form of a row", len(all), len(rows))
	}
	ids := map[string]bool{}
	for _, row := range rows {
		if ids[row[1]] {
			t.Errorf("%s occurs twice", row[1])
		}
		ids[row[1]] = true
		names := threatTestRE.FindAllStringSubmatch(row[2], -1)
		if len(names) == 0 {
			t.Errorf("%s names no test", row[1])
		}
		if ticks := strings.Count(row[2], "`"); ticks != 2*len(names) {
			t.Errorf("%s: %d names are quoted, %d have the form package.TestName", row[1], ticks/2, len(names))
		}
		for _, n := range names {
			if !found[n[1]+"."+n[2]] {
				t.Errorf("%s names %s.%s, which does not exist", row[1], n[1], n[2])
			}
		}
	}
}

// testFunctions returns "package/dir.TestName" for each test and fuzz target.
func testFunctions(root fs.FS) (map[string]bool, error) {
	found := map[string]bool{}
	err := fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "node_modules") {
			return fs.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(root, p)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), p, src, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				found[path.Dir(p)+"."+fn.Name.Name] = true
			}
		}
		return nil
	})
	return found, err
}
