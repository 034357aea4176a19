package abi

import (
	"bytes"
	"encoding"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Bounds of one YAML file.
const (
	MaxYAML      = 256 * KiB // bytes
	MaxYAMLDepth = 32        // nested mappings and sequences
)

// FileError is a mistake in a file that a person wrote. Its text is
// "file:line:col: key.path: what", as compilers print it; line 0 leaves the place out.
type FileError struct {
	File      string
	Line, Col int    // from 1
	Path      string // such as needs.http[0].methods
	Err       error
}

// Error implements error.
func (e *FileError) Error() string {
	var b strings.Builder
	b.WriteString(e.File)
	if e.Line > 0 {
		fmt.Fprintf(&b, ":%d:%d", e.Line, e.Col)
	}
	if e.Path != "" {
		b.WriteString(": " + e.Path)
	}
	return b.String() + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *FileError) Unwrap() error { return e.Err }

// Positions says where the keys of a decoded file stand. The zero value knows none.
type Positions struct {
	file string
	at   map[string]position
}

type position struct{ line, col int }

// At returns "file:line" of the key path, "file: path" when the line is not known,
// or the path alone when there is no file.
func (p Positions) At(path string) string {
	at, ok := p.at[path]
	switch {
	case ok:
		return p.file + ":" + strconv.Itoa(at.line)
	case p.file != "":
		return p.file + ": " + path
	}
	return path
}

// Error wraps err as a FileError at the key path, or at its nearest parent.
func (p Positions) Error(path string, err error) error {
	e := &FileError{File: p.file, Path: path, Err: err}
	for near := path; ; near = parentPath(near) {
		if at, ok := p.at[near]; ok {
			e.Line, e.Col = at.line, at.col
			break
		}
		if near == "" {
			break
		}
	}
	if e.File == "" {
		return fmt.Errorf("%s: %w", path, err)
	}
	return e
}

func parentPath(path string) string {
	if i := strings.LastIndexAny(path, ".["); i >= 0 {
		return path[:i]
	}
	return ""
}

// DecodeYAML decodes data, which is the content of the named file, into a pointer
// to a struct. It takes one document of the plain core of YAML: an unknown,
// duplicate or null key, a wrong type, an anchor, alias, merge key, tag, second
// document, byte order mark, or more than MaxYAML bytes is a *FileError.
//
// Only exported fields with a yaml:"name" tag are keys; yaml:"name,required" must be
// present. Booleans, strings, integers (2e9 if it is integral), floats, slices,
// maps with string keys, structs, pointers and encoding.TextUnmarshaler are decoded.
// Every decoded value with a method Check() error is then checked, children first;
// a *FieldError from a Check is reported at the key that it names.
func DecodeYAML(file string, data []byte, into any) error {
	_, err := DecodeYAMLPositions(file, data, into)
	return err
}

// DecodeYAMLPositions is DecodeYAML for callers that report on single keys later.
func DecodeYAMLPositions(file string, data []byte, into any) (Positions, error) {
	d := yamlDecoder{Positions{file: file, at: map[string]position{}}}
	target := reflect.ValueOf(into)
	if target.Kind() != reflect.Pointer || target.IsNil() || target.Elem().Kind() != reflect.Struct {
		return d.pos, fmt.Errorf("%s: decode into %T: want a pointer to a struct", file, into)
	}
	root, err := d.parse(data)
	if err != nil {
		return d.pos, err
	}
	if err := d.value(root, target.Elem(), "", 0); err != nil {
		return d.pos, err
	}
	if path, err := checkTree(target.Elem(), ""); err != nil {
		return d.pos, d.pos.Error(path, err)
	}
	return d.pos, nil
}

type yamlDecoder struct{ pos Positions }

func (d *yamlDecoder) parse(data []byte) (*yaml.Node, error) {
	fail := func(line int, format string, args ...any) error {
		e := &FileError{File: d.pos.file, Err: fmt.Errorf(format, args...)}
		if line > 0 {
			e.Line, e.Col = line, 1
		}
		return e
	}
	switch {
	case len(data) > MaxYAML:
		return nil, fail(0, "%d bytes exceed the limit of 256 KiB", len(data))
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")), bytes.HasPrefix(data, []byte("\xff\xfe")), bytes.HasPrefix(data, []byte("\xfe\xff")):
		return nil, fail(1, "the file begins with a byte order mark; save it as plain UTF-8")
	case !utf8.Valid(data):
		return nil, fail(invalidUTF8Line(data), "the text is not valid UTF-8")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, fail(1, "the file is empty")
		}
		line, msg := yamlMessage(err)
		return nil, fail(line, "%s", msg)
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		if err != nil {
			line, msg := yamlMessage(err)
			return nil, fail(line, "%s", msg)
		}
		return nil, fail(second.Line, "second document; a file holds exactly one")
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, fail(1, "the file is empty")
	}
	return doc.Content[0], nil
}

var yamlErrorRE = regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`)

// yamlMessage takes the line out of the parser's message.
func yamlMessage(err error) (line int, msg string) {
	m := yamlErrorRE.FindStringSubmatch(strings.SplitN(err.Error(), "\n", 2)[0])
	if m == nil {
		return 0, clip(err.Error())
	}
	line, _ = strconv.Atoi(m[1])
	return line, m[2]
}

func invalidUTF8Line(data []byte) int {
	line := 1
	for len(data) > 0 {
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			break
		}
		if r == '\n' {
			line++
		}
		data = data[n:]
	}
	return line
}

func (d *yamlDecoder) fail(n *yaml.Node, path, format string, args ...any) error {
	return &FileError{File: d.pos.file, Line: n.Line, Col: n.Column, Path: path, Err: fmt.Errorf(format, args...)}
}

// plain refuses the parts of YAML that make one text mean two things.
func (d *yamlDecoder) plain(n *yaml.Node, path string) error {
	switch {
	case n.Kind == yaml.AliasNode:
		return d.fail(n, path, "aliases (*%s) are not allowed", clip(n.Value))
	case n.Anchor != "":
		return d.fail(n, path, "anchors (&%s) are not allowed", clip(n.Anchor))
	case n.Style&yaml.TaggedStyle != 0:
		return d.fail(n, path, "tags (%s) are not allowed", clip(n.Tag))
	case n.Kind == yaml.ScalarNode && n.ShortTag() == "!!merge":
		return d.fail(n, path, "merge keys (<<) are not allowed")
	}
	return nil
}

// value decodes n into v.
func (d *yamlDecoder) value(n *yaml.Node, v reflect.Value, path string, depth int) error {
	if _, seen := d.pos.at[path]; !seen {
		d.pos.at[path] = position{n.Line, n.Column}
	}
	if err := d.plain(n, path); err != nil {
		return err
	}
	if depth > MaxYAMLDepth {
		return d.fail(n, path, "nested deeper than %d", MaxYAMLDepth)
	}
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" {
		return d.fail(n, path, "empty value; want %s (remove the key to leave it out)", kindName(v.Type()))
	}
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		return d.value(n, v.Elem(), path, depth)
	}
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		if n.Kind != yaml.ScalarNode {
			return d.wrongType(n, v, path)
		}
		if err := u.UnmarshalText([]byte(n.Value)); err != nil {
			return d.fail(n, path, "%w", err)
		}
		return nil
	}
	switch v.Kind() {
	case reflect.Struct:
		return d.structure(n, v, path, depth)
	case reflect.Map:
		return d.mapping(n, v, path, depth)
	case reflect.Slice:
		if n.Kind != yaml.SequenceNode {
			return d.wrongType(n, v, path)
		}
		v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
		for i, item := range n.Content {
			if err := d.value(item, v.Index(i), fmt.Sprintf("%s[%d]", path, i), depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	return d.scalar(n, v, path)
}

func (d *yamlDecoder) structure(n *yaml.Node, v reflect.Value, path string, depth int) error {
	if n.Kind != yaml.MappingNode {
		return d.wrongType(n, v, path)
	}
	fields := yamlFields(v.Type())
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		name, sub, err := d.key(key, path, seen)
		if err != nil {
			return err
		}
		index := -1
		for _, f := range fields {
			if f.name == name {
				index = f.index
			}
		}
		if index < 0 {
			return d.fail(key, sub, "unknown key%s", didYouMean(name, fieldNames(fields)))
		}
		if err := d.value(n.Content[i+1], v.Field(index), sub, depth+1); err != nil {
			return err
		}
	}
	for _, f := range fields {
		if f.required && !seen[f.name] {
			return d.fail(n, joinPath(path, f.name), "missing")
		}
	}
	return nil
}

// key checks one key of a mapping and notes where it stands.
func (d *yamlDecoder) key(key *yaml.Node, path string, seen map[string]bool) (name, sub string, err error) {
	if err := d.plain(key, path); err != nil {
		return "", "", err
	}
	if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
		return "", "", d.fail(key, path, "a key must be a string%s", quoteHint(key))
	}
	name = key.Value
	sub = joinPath(path, name)
	if seen[name] {
		return "", "", d.fail(key, sub, "duplicate key")
	}
	seen[name] = true
	d.pos.at[sub] = position{key.Line, key.Column}
	return name, sub, nil
}

func (d *yamlDecoder) mapping(n *yaml.Node, v reflect.Value, path string, depth int) error {
	if n.Kind != yaml.MappingNode {
		return d.wrongType(n, v, path)
	}
	v.Set(reflect.MakeMap(v.Type()))
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, sub, err := d.key(n.Content[i], path, seen)
		if err != nil {
			return err
		}
		item := reflect.New(v.Type().Elem()).Elem()
		if err := d.value(n.Content[i+1], item, sub, depth+1); err != nil {
			return err
		}
		v.SetMapIndex(reflect.ValueOf(name).Convert(v.Type().Key()), item)
	}
	return nil
}

func (d *yamlDecoder) scalar(n *yaml.Node, v reflect.Value, path string) error {
	if n.Kind != yaml.ScalarNode {
		return d.wrongType(n, v, path)
	}
	tag := n.ShortTag()
	switch v.Kind() {
	case reflect.String:
		if tag != "!!str" {
			return d.fail(n, path, "want a string, got %s%s", tagName(tag), quoteHint(n))
		}
		v.SetString(n.Value)
		return nil
	case reflect.Bool:
		if tag != "!!bool" || (n.Value != "true" && n.Value != "false") {
			return d.fail(n, path, "want true or false, got %q", clip(n.Value))
		}
		v.SetBool(n.Value == "true")
		return nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		i, ok := integer(n)
		if !ok || v.OverflowInt(i) {
			return d.fail(n, path, "want an integer below 2^%d, got %q", v.Type().Bits()-1, clip(n.Value))
		}
		v.SetInt(i)
		return nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		i, ok := integer(n)
		if !ok || i < 0 || v.OverflowUint(uint64(i)) {
			return d.fail(n, path, "want an integer from 0 and below 2^%d, got %q", v.Type().Bits(), clip(n.Value))
		}
		v.SetUint(uint64(i))
		return nil
	case reflect.Float32, reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if (tag != "!!int" && tag != "!!float") || err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			return d.fail(n, path, "want a number, got %q", clip(n.Value))
		}
		v.SetFloat(f)
		return nil
	}
	return d.fail(n, path, "the program cannot decode a %s", v.Type())
}

var integerRE = regexp.MustCompile(`^-?(0|[1-9][0-9]{0,18})$`)

// integer accepts decimal digits, and an exponent if the value is integral and exact.
func integer(n *yaml.Node) (int64, bool) {
	switch tag := n.ShortTag(); {
	case tag == "!!int" && integerRE.MatchString(n.Value):
		i, err := strconv.ParseInt(n.Value, 10, 64)
		return i, err == nil
	case tag == "!!float":
		f, err := strconv.ParseFloat(n.Value, 64)
		return int64(f), err == nil && f == math.Trunc(f) && math.Abs(f) <= 1<<53
	}
	return 0, false
}

func (d *yamlDecoder) wrongType(n *yaml.Node, v reflect.Value, path string) error {
	got := tagName(n.ShortTag())
	return d.fail(n, path, "want %s, got %s", kindName(v.Type()), got)
}
