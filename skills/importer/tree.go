package importer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/canon"
	"go.yaml.in/yaml/v3"
)

// parseTree reads JSON, or YAML without anchors, aliases and tags, as nil, bool, json.Number,
// string, []any and map[string]any.
func parseTree(data []byte) (any, error) {
	if len(data) > abi.MaxYAML {
		return nil, fmt.Errorf("%d bytes exceed the limit of %d", len(data), abi.MaxYAML)
	}
	if text := bytes.TrimSpace(data); len(text) > 0 && (text[0] == '{' || text[0] == '[') {
		v, err := canon.Parse(data, canon.Limits{Depth: abi.MaxYAMLDepth, Rounds: true})
		return v.Any(), err
	}
	if !utf8.Valid(data) {
		return nil, errors.New("the text is not valid UTF-8")
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil {
		return nil, err
	}
	if err := dec.Decode(&second); !errors.Is(err, io.EOF) {
		return nil, errors.New("the file holds more than one document")
	}
	return node(&doc, 0)
}

func node(n *yaml.Node, depth int) (any, error) {
	switch {
	case depth > abi.MaxYAMLDepth:
		return nil, fmt.Errorf("line %d: nested deeper than %d", n.Line, abi.MaxYAMLDepth)
	case n.Kind == yaml.AliasNode || n.Anchor != "" || n.Style&yaml.TaggedStyle != 0 || n.ShortTag() == "!!merge":
		return nil, fmt.Errorf("line %d: anchors, aliases, merge keys and tags are not read", n.Line)
	}
	switch n.Kind {
	case yaml.DocumentNode:
		return node(n.Content[0], depth)
	case yaml.SequenceNode:
		list := []any{}
		for _, c := range n.Content {
			v, err := node(c, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.Style&yaml.TaggedStyle != 0 || key.ShortTag() == "!!merge" {
				return nil, fmt.Errorf("line %d: a key is no plain text", key.Line)
			}
			if _, twice := m[key.Value]; twice {
				return nil, fmt.Errorf("line %d: the key %.80q is there twice", key.Line, key.Value)
			}
			v, err := node(n.Content[i+1], depth+1)
			if err != nil {
				return nil, err
			}
			m[key.Value] = v
		}
		return m, nil
	}
	switch n.ShortTag() {
	case "!!null":
		return nil, nil
	case "!!bool":
		return n.Value == "true" || n.Value == "True" || n.Value == "TRUE", nil
	case "!!int", "!!float":
		return json.Number(n.Value), nil
	}
	return n.Value, nil
}

// object is a mapping of the foreign configuration. What nobody took from it is reported.
type object struct {
	s     *Skill
	path  string
	m     map[string]any
	taken []string
}

// in reads v as the mapping at path; anything else is left.
func (s *Skill) in(path string, v any) *object {
	m, ok := v.(map[string]any)
	if !ok && v != nil {
		s.leave(path, "it is no mapping")
	}
	return &object{s: s, path: path, m: m}
}

func (o *object) at(key string) string {
	quoted := strconv.Quote(key) // a key can hide something too
	return strings.TrimPrefix(o.path+"."+quoted[1:len(quoted)-1], ".")
}

func (o *object) take(key string) any {
	o.taken = append(o.taken, key)
	return o.m[key]
}

func (o *object) object(key string) *object { return o.s.in(o.at(key), o.take(key)) }

// text takes a string; another type is left.
func (o *object) text(key string) string {
	v := o.take(key)
	text, ok := v.(string)
	if !ok && v != nil {
		o.s.leave(o.at(key), "it is no text")
	}
	return text
}

func (o *object) list(key string) []any {
	v := o.take(key)
	list, ok := v.([]any)
	if !ok && v != nil {
		o.s.leave(o.at(key), "it is no list")
	}
	return list
}

// number takes a whole number that is not negative.
func (o *object) number(key string) (int64, bool) {
	v := o.take(key)
	if v == nil {
		return 0, false
	}
	if n, ok := v.(json.Number); ok {
		if i, err := n.Int64(); err == nil && i >= 0 {
			return i, true
		}
	}
	o.s.leave(o.at(key), "it is no whole number")
	return 0, false
}

// drop leaves keys for one reason.
func (o *object) drop(why string, keys ...string) {
	for _, key := range keys {
		if o.take(key) != nil {
			o.s.leave(o.at(key), "%s", why)
		}
	}
}

// ignore passes over keys that decide nothing.
func (o *object) ignore(keys ...string) { o.taken = append(o.taken, keys...) }

// rest leaves what nobody took.
func (o *object) rest() {
	for _, key := range o.keys() {
		if !slices.Contains(o.taken, key) {
			o.s.leave(o.at(key), "this host knows nothing like it")
		}
	}
}

func (o *object) keys() []string {
	keys := make([]string, 0, len(o.m))
	for key := range o.m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
