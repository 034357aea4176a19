package main

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
)

var (
	yamlBlockRE = regexp.MustCompile("(?ms)^```yaml\n(.*?)^```$")
	schemaRE    = regexp.MustCompile(`(?m)^schema: glovebox/(\w+)/v1$`)
)

// TestDocumentedFilesLoad decodes every file that the documentation shows as a daemon
// would: an example that is refused teaches the wrong thing.
func TestDocumentedFilesLoad(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for page, text := range documentation(t) {
		for i, block := range yamlBlockRE.FindAllStringSubmatch(text, -1) {
			kind := schemaRE.FindStringSubmatch(block[1])
			if kind == nil {
				t.Errorf("%s: yaml block %d names no schema", page, i+1)
				continue
			}
			if err := load(kind[1], fmt.Sprintf("%s/%d.yaml", page, i+1), []byte(block[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
			seen[kind[1]]++
		}
	}
	for _, kind := range []string{"skill", "grant", "config", "test"} {
		if seen[kind] == 0 {
			t.Errorf("no page shows a file of schema glovebox/%s/v1", kind)
		}
	}
}

func load(kind, file string, data []byte) (err error) {
	switch kind {
	case "skill":
		_, err = abi.DecodeManifest(file, data)
	case "grant":
		_, err = abi.DecodeGrant(file, data)
	case "config":
		_, err = config.Parse("/docs/"+file, data)
	case "test":
		_, err = skills.DecodeTests(file, data)
	default:
		err = fmt.Errorf("%s: schema glovebox/%s/v1 is not known", file, kind)
	}
	return err
}

// documentation returns the pages that people read.
func documentation(t *testing.T) map[string]string {
	t.Helper()
	root, pages := os.DirFS("../.."), map[string]string{}
	names := []string{"README.md"}
	err := fs.WalkDir(root, "docs", func(p string, _ fs.DirEntry, err error) error {
		if path.Ext(p) == ".md" {
			names = append(names, p)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := fs.ReadFile(root, name)
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = string(b)
	}
	return pages
}

// TestDocumentedLimits holds the table of limits against the code, field by field.
func TestDocumentedLimits(t *testing.T) {
	t.Parallel()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", "reference", "limits.md"))
	if err != nil {
		t.Fatal(err)
	}
	standard, most := reflect.ValueOf(abi.DefaultLimits()), reflect.ValueOf(abi.MaxLimits())
	for i := range standard.NumField() {
		name := standard.Type().Field(i).Tag.Get("json")
		row := fmt.Sprintf("| `%s` | %s | %s |", name, limitText(standard.Field(i)), limitText(most.Field(i)))
		if !strings.Contains(string(b), row) {
			t.Errorf("docs/reference/limits.md lacks the row %s", row)
		}
	}
	if rows := strings.Count(string(b), "\n| `"); rows != standard.NumField() {
		t.Errorf("docs/reference/limits.md has %d rows for %d limits", rows, standard.NumField())
	}
}

func limitText(v reflect.Value) string {
	switch {
	case v.Type() == reflect.TypeFor[time.Duration]():
		return time.Duration(v.Int()).String()
	case v.Kind() == reflect.Int64:
		return abi.Size(v.Int()).String()
	}
	return fmt.Sprint(v.Int())
}
