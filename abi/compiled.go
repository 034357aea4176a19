package abi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"
	"strings"
)

// MaxManifest bounds skill.manifest.json, in bytes.
const MaxManifest = 4 * MiB

// ErrManifest is the cause of every refusal of DecodeCompiled and EncodeCompiled.
var ErrManifest = errors.New("refused skill manifest")

// Compiled is skill.manifest.json: the author's request together with the digests of
// the bundle and the tools that the module itself lists. The daemon reads only this
// file and the module.
type Compiled struct {
	Schema     string   `json:"schema"` // SchemaManifest
	Manifest   Manifest `json:"manifest"`
	Module     Digest   `json:"module"`
	ModuleSize int64    `json:"module_size"`     // bytes
	Tools      []Tool   `json:"tools"`           // as the module lists them, by name
	Files      []File   `json:"files,omitempty"` // every other file of the bundle, by name
}

// File is one file of a bundle.
type File struct {
	Name   string `json:"name"` // slash-separated, relative to the skill's folder
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"` // bytes
}

// EncodeCompiled writes the one canonical text of c: tools and files by name, schemas
// with sorted keys, two spaces of indent. The same skill has the same bytes, so that
// its digest means something. It refuses what DecodeCompiled would refuse.
func EncodeCompiled(c *Compiled) ([]byte, error) {
	canonical := *c
	canonical.Schema = SchemaManifest
	canonical.Tools = slices.Clone(c.Tools)
	for i := range canonical.Tools {
		t := &canonical.Tools[i]
		for _, schema := range []*json.RawMessage{&t.InputSchema, &t.OutputSchema} {
			if *schema == nil {
				continue
			}
			var err error
			if *schema, err = canonicalJSON(*schema); err != nil {
				return nil, fmt.Errorf("%w: tool %s: %w", ErrManifest, t.Name, err)
			}
		}
	}
	if canonical.Tools == nil {
		canonical.Tools = []Tool{}
	}
	slices.SortFunc(canonical.Tools, func(a, b Tool) int { return strings.Compare(string(a.Name), string(b.Name)) })
	canonical.Files = slices.Clone(c.Files)
	slices.SortFunc(canonical.Files, func(a, b File) int { return strings.Compare(a.Name, b.Name) })
	if err := canonical.check(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	b, err := marshalPlain(canonical)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b, "", "  "); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrManifest, err)
	}
	if out.Len() > MaxManifest {
		return nil, fmt.Errorf("%w: %d bytes exceed the limit of 4 MiB", ErrManifest, out.Len())
	}
	return out.Bytes(), nil
}

// marshalPlain is json.Marshal without escapes for HTML; the text ends in a newline.
func marshalPlain(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return buf.Bytes(), err
}

// canonicalJSON sorts keys, drops white space and escapes what cannot be seen; numbers
// keep their text.
func canonicalJSON(raw json.RawMessage) (json.RawMessage, error) {
	if err := CheckJSON(raw, MaxSchemaDepth); err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	b, err := marshalPlain(v)
	return visibleJSON(bytes.TrimSpace(b)), err
}

// DecodeCompiled reads the text that EncodeCompiled writes, and nothing else: another
// spelling of the same manifest is an error too. file is the name that explanations
// cite.
func DecodeCompiled(file string, b []byte) (*Compiled, error) {
	fail := func(err error) error { return fmt.Errorf("%s: %w: %w", file, ErrManifest, err) }
	if len(b) > MaxManifest {
		return nil, fail(fmt.Errorf("%d bytes exceed the limit of 4 MiB", len(b)))
	}
	if err := CheckJSON(b, MaxJSONDepth); err != nil {
		return nil, fail(err)
	}
	var c Compiled
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, fail(errors.New(strings.TrimPrefix(err.Error(), "json: ")))
	}
	if c.Schema != SchemaManifest {
		return nil, fail(fmt.Errorf("schema: %q; this build reads %s", clip(c.Schema), SchemaManifest))
	}
	canonical, err := EncodeCompiled(&c)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if !bytes.Equal(canonical, b) {
		return nil, fail(errors.New("not in its canonical form (make it again: glovebox skill build)"))
	}
	c.Manifest.pos = Positions{file: file}
	return &c, nil
}

// check holds the manifest to its rules and the descriptors to the tools.
func (c *Compiled) check() error {
	if path, err := checkTree(reflect.ValueOf(&c.Manifest), ""); err != nil {
		return fmt.Errorf("manifest: %s: %w", path, err)
	}
	if _, err := ParseDigest(string(c.Module)); err != nil {
		return fmt.Errorf("module: %w", err)
	}
	if c.ModuleSize <= 0 {
		return fmt.Errorf("module_size: %d", c.ModuleSize)
	}
	if err := c.checkTools(); err != nil {
		return err
	}
	if err := c.checkDescriptors(); err != nil {
		return err
	}
	return c.checkFiles()
}

// checkTools accepts only what DecodeTools could have returned.
func (c *Compiled) checkTools() error {
	b, err := marshalPlain(map[string]any{"tools": c.Tools})
	if err != nil {
		return fmt.Errorf("tools: %w", err)
	}
	again, err := DecodeTools(b)
	if err != nil {
		return err
	}
	return SameTools(c.Tools, again)
}

// checkDescriptors wants every descriptor to be about a tool and about arguments
// that its schema has.
func (c *Compiled) checkDescriptors() error {
	for i, d := range c.Manifest.Tools {
		j := slices.IndexFunc(c.Tools, func(t Tool) bool { return t.Name == d.Name })
		if j < 0 {
			return fmt.Errorf("manifest: tools[%d].name: the module has no tool %q%s", i, d.Name, didYouMean(string(d.Name), toolNames(c.Tools)))
		}
		names, open := argumentNames(c.Tools[j].InputSchema)
		if open {
			continue
		}
		for _, arg := range slices.Sorted(maps.Keys(d.Args)) {
			if !slices.Contains(names, arg) {
				return fmt.Errorf("manifest: tools[%d].args: tool %s has no argument %q%s", i, d.Name, arg, didYouMean(arg, names))
			}
		}
		for _, r := range d.Recipients {
			if head, _ := pointerHead(r); !slices.Contains(names, head) {
				return fmt.Errorf("manifest: tools[%d].recipients: tool %s has no argument %q%s", i, d.Name, head, didYouMean(head, names))
			}
		}
	}
	return nil
}

func toolNames(tools []Tool) []string {
	names := make([]string, len(tools))
	for i, t := range tools {
		names[i] = string(t.Name)
	}
	return names
}

// argumentNames lists the properties of an input schema; open says that it has none
// to compare with.
func argumentNames(schema json.RawMessage) (names []string, open bool) {
	var s struct {
		Properties map[string]json.RawMessage `json:"properties"`
	}
	if json.Unmarshal(schema, &s) != nil || s.Properties == nil {
		return nil, true
	}
	return slices.Sorted(maps.Keys(s.Properties)), false
}

func (c *Compiled) checkFiles() error {
	const most = 4096
	if len(c.Files) > most {
		return fmt.Errorf("files: %d exceed the limit of %d", len(c.Files), most)
	}
	for i, f := range c.Files {
		at := fmt.Sprintf("files[%d]", i)
		if !fs.ValidPath(f.Name) || f.Name == "." || len(f.Name) > 512 || strings.ContainsFunc(f.Name, func(r rune) bool {
			return r == '\\' || r == ':' || isSpaceOrControl(r) && r != ' '
		}) {
			return fmt.Errorf("%s.name: %q; want a relative path without dot segments", at, clip(f.Name))
		}
		if f.Name == c.Manifest.Module || i > 0 && f.Name == c.Files[i-1].Name {
			return fmt.Errorf("%s.name: %q is there twice", at, f.Name)
		}
		if _, err := ParseDigest(string(f.Digest)); err != nil {
			return fmt.Errorf("%s.digest: %w", at, err)
		}
		if f.Size < 0 {
			return fmt.Errorf("%s.size: %d", at, f.Size)
		}
	}
	return nil
}

// SameTools reports the first difference between the tools that a manifest pins and
// those that the module lists: another set, name, title, description or schema. The
// order of tools and of keys in schemas does not matter.
func SameTools(pinned, listed []Tool) error {
	byName := func(a, b Tool) int { return strings.Compare(string(a.Name), string(b.Name)) }
	pinned, listed = slices.SortedFunc(slices.Values(pinned), byName), slices.SortedFunc(slices.Values(listed), byName)
	for i := range max(len(pinned), len(listed)) {
		switch {
		case i == len(listed), i < len(pinned) && pinned[i].Name < listed[i].Name:
			return fmt.Errorf("tool %s of the manifest is not in the module", pinned[i].Name)
		case i == len(pinned), pinned[i].Name > listed[i].Name:
			return fmt.Errorf("tool %s of the module is not in the manifest", listed[i].Name)
		}
		a, b := pinned[i], listed[i]
		switch {
		case a.Title != b.Title:
			return fmt.Errorf("tool %s: the module says another title than the manifest", a.Name)
		case a.Description != b.Description:
			return fmt.Errorf("tool %s: the module says another description than the manifest", a.Name)
		case !sameJSON(a.InputSchema, b.InputSchema):
			return fmt.Errorf("tool %s: the module says another inputSchema than the manifest", a.Name)
		case !sameJSON(a.OutputSchema, b.OutputSchema):
			return fmt.Errorf("tool %s: the module says another outputSchema than the manifest", a.Name)
		}
	}
	return nil
}

func sameJSON(a, b json.RawMessage) bool {
	if len(a) == 0 || len(b) == 0 {
		return len(a) == len(b)
	}
	ca, errA := canonicalJSON(a)
	cb, errB := canonicalJSON(b)
	return errA == nil && errB == nil && bytes.Equal(ca, cb)
}
