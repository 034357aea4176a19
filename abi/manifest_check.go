package abi

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// Bounds of the lists in a manifest or a grant.
const (
	maxTools   = 256
	maxEntries = 64 // of each other list
	maxArgs    = 64
)

// DecodeManifest decodes and checks a skill.yaml; file is the name that errors and
// explanations cite. See DecodeYAML for what it refuses.
func DecodeManifest(file string, data []byte) (*Manifest, error) {
	var m Manifest
	pos, err := DecodeYAMLPositions(file, data, &m)
	if err != nil {
		return nil, err
	}
	m.pos = pos
	return &m, nil
}

// Check reports what in m contradicts itself or cannot be enforced by this build.
// Its parts are checked by their own Check methods.
func (m *Manifest) Check() error {
	switch {
	case m.Schema != SchemaSkill:
		return fieldErrorf("schema", "%q; this build reads %s", clip(m.Schema), SchemaSkill)
	case checkVersion(m.Version) != nil:
		return &FieldError{"version", checkVersion(m.Version)}
	case !moduleRE.MatchString(m.Module):
		return fieldErrorf("module", "%q; want the name of a .wasm file beside the manifest", clip(m.Module))
	case m.Description == "":
		return fieldErrorf("description", "empty")
	case checkText(m.Description) != nil:
		return &FieldError{"description", checkText(m.Description)}
	case m.Stateful:
		return &FieldError{"stateful", notEnforced("every call gets a fresh instance")}
	case m.Isolation == "reset":
		return &FieldError{"isolation", notEnforced("every call gets a fresh instance")}
	case m.Isolation != "" && m.Isolation != "fresh":
		return &FieldError{"isolation", oneOf(m.Isolation, "fresh")}
	case m.ABI == ProfileRaw && len(m.Tools) == 0:
		return fieldErrorf("tools", "missing; abi %s calls the exports that are named here", ProfileRaw)
	}
	if err := m.checkTools(); err != nil {
		return err
	}
	if err := m.checkHTTP(); err != nil {
		return err
	}
	if err := m.checkFlows(); err != nil {
		return err
	}
	return m.checkNames()
}

func checkVersion(v string) error {
	if len(v) > 64 || !semver.IsValid("v"+v) || semver.Canonical("v"+v)+semver.Build("v"+v) != "v"+v {
		return fmt.Errorf("%q; want a semantic version such as 1.4.0", clip(v))
	}
	return nil
}

func (m *Manifest) checkTools() error {
	if len(m.Tools) > maxTools {
		return fieldErrorf("tools", "%d tools exceed the limit of %d", len(m.Tools), maxTools)
	}
	seen := map[string]ToolName{}
	for i, t := range m.Tools {
		folded := strings.ToLower(string(t.Name))
		if other, dup := seen[folded]; dup {
			return fieldErrorf(fmt.Sprintf("tools[%d].name", i), "%q is too like the tool %q", t.Name, other)
		}
		seen[folded] = t.Name
	}
	return nil
}

// checkHTTP checks what the http needs say about arguments and secrets.
func (m *Manifest) checkHTTP() error {
	for i, h := range m.Needs.HTTP {
		at := fmt.Sprintf("needs.http[%d]", i)
		if h.Argument != "" {
			if err := m.checkArgument(h.Argument); err != nil {
				return &FieldError{at + ".argument", err}
			}
		}
		if h.Auth == "" {
			continue
		}
		j := slices.IndexFunc(m.Needs.Secrets, func(s SecretNeed) bool { return s.Name == h.Auth })
		switch {
		case j < 0:
			return fieldErrorf(at+".auth", "no secret %q in needs.secrets%s", h.Auth, didYouMean(string(h.Auth), m.secretNames()))
		case h.Argument != "":
			return fieldErrorf(at+".auth", "a secret cannot go to an origin that an argument chooses")
		case !slices.ContainsFunc(m.Needs.Secrets[j].Only, h.Origin.Matches):
			return fieldErrorf(at+".auth", "secret %q is bound to %v, none of which is %s", h.Auth, m.Needs.Secrets[j].Only, h.Origin)
		}
	}
	return nil
}

// checkArgument wants an argument that names a destination to be declared, as control.
func (m *Manifest) checkArgument(name string) error {
	declared := false
	var names []string
	for _, t := range m.Tools {
		role, ok := t.Args[name]
		if ok && role != RoleControl {
			return fmt.Errorf("tool %s declares %q as %s; an argument that chooses a destination is control", t.Name, name, role)
		}
		declared = declared || ok
		names = append(names, slices.Collect(maps.Keys(t.Args))...)
	}
	if !declared {
		return fmt.Errorf("no tool declares an argument %q (add args: {%s: control} to it)%s", name, name, didYouMean(name, names))
	}
	return nil
}

func (m *Manifest) secretNames() []string {
	var names []string
	for _, s := range m.Needs.Secrets {
		names = append(names, string(s.Name))
	}
	return names
}

// checkNames refuses duplicates, and a config key that hides a secret of that name.
func (m *Manifest) checkNames() error {
	n := m.Needs
	if err := tooMany("needs.http", len(n.HTTP)); err != nil {
		return err
	}
	if err := unique("needs.secrets", "name", n.Secrets, func(s SecretNeed) string { return string(s.Name) }); err != nil {
		return err
	}
	if err := unique("needs.files", "mount", n.Files, func(f FileNeed) string { return f.Mount }); err != nil {
		return err
	}
	if err := unique("needs.config", "key", n.Config, func(c ConfigNeed) string { return c.Key }); err != nil {
		return err
	}
	if err := unique("needs.flows", "from", n.Flows, FlowNeed.String); err != nil {
		return err
	}
	for i, c := range n.Config {
		if slices.Contains(m.secretNames(), c.Key) {
			return fieldErrorf(fmt.Sprintf("needs.config[%d].key", i), "%q is a secret already; config_get answers its placeholder", c.Key)
		}
	}
	return nil
}

func tooMany(path string, n int) error {
	if n > maxEntries {
		return fieldErrorf(path, "%d entries exceed the limit of %d", n, maxEntries)
	}
	return nil
}

func unique[T any](path, key string, list []T, name func(T) string) error {
	if err := tooMany(path, len(list)); err != nil {
		return err
	}
	seen := map[string]bool{}
	for i, item := range list {
		if n := name(item); seen[n] {
			return fieldErrorf(fmt.Sprintf("%s[%d].%s", path, i, key), "%q is there twice", n)
		} else {
			seen[n] = true
		}
	}
	return nil
}

// Check accepts the profiles that a manifest can name.
func (p Profile) Check() error {
	return oneOf(string(p), string(ProfileMCPv2), string(ProfileMCPv1), string(ProfileRaw), string(ProfileCommand))
}

// Check accepts a well-formed descriptor.
func (d Descriptor) Check() error {
	if err := d.Name.Check(); err != nil {
		return &FieldError{"name", err}
	}
	if len(d.Args) > maxArgs {
		return fieldErrorf("args", "%d arguments exceed the limit of %d", len(d.Args), maxArgs)
	}
	for name := range d.Args {
		if !identRE.MatchString(name) {
			return fieldErrorf("args", "argument name %q; want a letter, then at most 63 of A-Z a-z 0-9 _ . -", clip(name))
		}
	}
	if err := tooMany("recipients", len(d.Recipients)); err != nil {
		return err
	}
	for i, r := range d.Recipients {
		if err := d.checkRecipient(r); err != nil {
			return &FieldError{fmt.Sprintf("recipients[%d]", i), err}
		}
	}
	return nil
}

func (d Descriptor) checkRecipient(pointer string) error {
	name, ok := pointerHead(pointer)
	switch {
	case !ok:
		return fmt.Errorf("%q; want a JSON Pointer into the arguments, such as /to", clip(pointer))
	case len(d.Args) == 0:
		return nil
	case d.Args[name] == RoleUnknown:
		return fmt.Errorf("%q points at an argument that args does not declare%s", pointer, didYouMean(name, slices.Collect(maps.Keys(d.Args))))
	case d.Args[name] != RoleControl:
		return fmt.Errorf("%q names who receives bytes, so the argument's role is control, not %s", pointer, d.Args[name])
	}
	return nil
}

// pointerHead returns the first reference token of an RFC 6901 pointer.
func pointerHead(pointer string) (string, bool) {
	rest, ok := strings.CutPrefix(pointer, "/")
	if !ok || len(pointer) > 256 {
		return "", false
	}
	for i := range len(rest) {
		if rest[i] == '~' && (i+1 == len(rest) || rest[i+1] != '0' && rest[i+1] != '1') {
			return "", false
		}
	}
	head, _, _ := strings.Cut(rest, "/")
	return strings.NewReplacer("~1", "/", "~0", "~").Replace(head), head != ""
}
