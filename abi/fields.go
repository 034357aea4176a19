package abi

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// FieldError is what a Check method returns about one of its value's parts: Path is
// relative to the value, such as methods[0].
type FieldError struct {
	Path string
	Err  error
}

// Error implements error.
func (e *FieldError) Error() string { return e.Path + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *FieldError) Unwrap() error { return e.Err }

func fieldErrorf(path, format string, args ...any) error {
	return &FieldError{Path: path, Err: fmt.Errorf(format, args...)}
}

type checker interface{ Check() error }

// checkTree calls Check on v and everything below it, children first, and returns
// the path of the first mistake.
func checkTree(v reflect.Value, path string) (string, error) {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return "", nil
		}
		return checkTree(v.Elem(), path)
	case reflect.Struct:
		for _, f := range yamlFields(v.Type()) {
			if p, err := checkField(v.Field(f.index), joinPath(path, f.name), f.required); err != nil {
				return p, err
			}
		}
	case reflect.Slice:
		for i := range v.Len() {
			if p, err := checkTree(v.Index(i), fmt.Sprintf("%s[%d]", path, i)); err != nil {
				return p, err
			}
		}
	case reflect.Map:
		for _, key := range sortedKeys(v) {
			item := reflect.New(v.Type().Elem()).Elem() // addressable, for Check on pointers
			item.Set(v.MapIndex(key))
			if p, err := checkTree(item, joinPath(path, key.String())); err != nil {
				return p, err
			}
		}
	}
	return checkSelf(v, path)
}

// checkField leaves optional fields alone that were not given.
func checkField(v reflect.Value, path string, required bool) (string, error) {
	if !required && v.IsZero() {
		return "", nil
	}
	return checkTree(v, path)
}

func checkSelf(v reflect.Value, path string) (string, error) {
	var c checker
	if v.CanAddr() {
		c, _ = v.Addr().Interface().(checker)
	}
	if c == nil {
		return "", nil
	}
	err := c.Check()
	var fe *FieldError
	if errors.As(err, &fe) {
		return joinPath(path, fe.Path), fe.Err
	}
	return path, err
}

type yamlField struct {
	name     string
	index    int
	required bool
}

// yamlFields lists the keys of a struct type in the order of its fields.
func yamlFields(t reflect.Type) []yamlField {
	var fields []yamlField
	for i := range t.NumField() {
		name, option, _ := strings.Cut(t.Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" || !t.Field(i).IsExported() {
			continue
		}
		fields = append(fields, yamlField{name, i, option == "required"})
	}
	return fields
}

func fieldNames(fields []yamlField) []string {
	names := make([]string, len(fields))
	for i, f := range fields {
		names[i] = f.name
	}
	return names
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) })
	return keys
}

var plainPathRE = regexp.MustCompile(`^[A-Za-z0-9_/-][A-Za-z0-9_/.\[\]-]{0,127}$`)

func joinPath(path, name string) string {
	switch {
	case name == "":
		return path
	case path == "":
		return quoteKey(name)
	case strings.HasPrefix(name, "["):
		return path + name
	}
	return path + "." + quoteKey(name)
}

// quoteKey keeps a strange key from breaking out of the path that quotes it. Paths
// of FieldErrors are made of plain keys already.
func quoteKey(name string) string {
	if plainPathRE.MatchString(name) {
		return name
	}
	return fmt.Sprintf("%q", clip(name))
}

func kindName(t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		return kindName(t.Elem())
	}
	switch t {
	case reflect.TypeFor[Size]():
		return "a size such as 64MiB"
	case reflect.TypeFor[Duration]():
		return "a duration such as 10s"
	}
	switch t.Kind() {
	case reflect.Struct, reflect.Map:
		if t == reflect.TypeFor[Date]() {
			return "a date such as 2027-01-31"
		}
		return "a mapping"
	case reflect.Slice:
		return "a list"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	}
	return "a number"
}

func tagName(tag string) string {
	switch tag {
	case "!!str":
		return "a string"
	case "!!int", "!!float":
		return "a number"
	case "!!bool":
		return "a boolean"
	case "!!map":
		return "a mapping"
	case "!!seq":
		return "a list"
	case "!!timestamp":
		return "a date"
	}
	return "nothing"
}

func quoteHint(n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Value == "" {
		return ""
	}
	return fmt.Sprintf(" (write %q)", clip(n.Value))
}

// didYouMean returns a hint if one of names is close to got.
func didYouMean(got string, names []string) string {
	if best := closest(got, names, max(2, len(got)/3)); best != "" {
		return fmt.Sprintf(" (did you mean %q?)", best)
	}
	return ""
}

// closest returns the name with the least edit distance to got, if it is at most far.
func closest(got string, names []string, far int) string {
	if len(got) > 256 {
		return ""
	}
	best, least := "", far+1
	for _, name := range names {
		if len(name) > 256 {
			continue
		}
		if d := editDistance(strings.ToLower(got), strings.ToLower(name)); d < least {
			best, least = name, d
		}
	}
	return best
}

// editDistance is Levenshtein's, over bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := diagonal
			if a[i-1] != b[j-1] {
				cost++
			}
			diagonal = row[j]
			row[j] = min(cost, row[j]+1, row[j-1]+1)
		}
	}
	return row[len(b)]
}
