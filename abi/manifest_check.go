package abi

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strconv"
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

// Check accepts a need of exactly one kind of destination.
func (h HTTPNeed) Check() error {
	if err := checkDestination(h.Origin, h.Argument); err != nil {
		return err
	}
	return errors.Join(checkRequests(h.Methods, h.Paths, h.MaxResponse), checkWhy(h.Why))
}

func checkDestination(origin OriginPattern, argument string) error {
	switch {
	case origin == "" && argument == "":
		return fieldErrorf("origin", "missing; give origin, or argument for the origin of the URL in an argument of the call")
	case origin != "" && argument != "":
		return fieldErrorf("argument", "give either origin or argument")
	case argument != "" && !identRE.MatchString(argument):
		return fieldErrorf("argument", "%q; want the name of an argument", clip(argument))
	}
	return nil
}

func checkRequests(methods, paths []string, size Size) error {
	if len(methods) == 0 {
		return fieldErrorf("methods", "empty; name each, such as [GET]")
	}
	if len(paths) == 0 {
		return fieldErrorf("paths", `empty; write ["/**"] for all`)
	}
	if len(methods) > maxEntries || len(paths) > maxEntries {
		return fieldErrorf("paths", "more than %d entries", maxEntries)
	}
	for i, m := range methods {
		if !methodRE.MatchString(m) || m == "CONNECT" || m == "TRACE" || m == "TRACK" {
			return fieldErrorf(fmt.Sprintf("methods[%d]", i), "%q; want a method in upper case such as GET (CONNECT and TRACE are never sent)", clip(m))
		}
	}
	for i, p := range paths {
		if err := checkPathPattern(p); err != nil {
			return &FieldError{fmt.Sprintf("paths[%d]", i), err}
		}
	}
	return checkSize("max_response", size, MaxLimits().HTTPResponse)
}

func checkSize(path string, size Size, most int64) error {
	if size < 0 || int64(size) > most {
		return fieldErrorf(path, "%s exceeds the ceiling of %s", size, Size(most))
	}
	return nil
}

func checkWhy(why string) error {
	if err := checkText(why); err != nil {
		return &FieldError{"why", err}
	}
	return nil
}

// Check accepts a secret with exact origins and one position.
func (s SecretNeed) Check() error {
	if len(s.Only) == 0 || len(s.Only) > maxEntries {
		return fieldErrorf("only", "want 1 to %d exact origins", maxEntries)
	}
	for i, o := range s.Only {
		if o.Scheme() != "https" && !o.loopback() {
			return fieldErrorf(fmt.Sprintf("only[%d]", i), "%s; a secret travels over https, or over http to a loopback address", o)
		}
	}
	return checkWhy(s.Why)
}

// Check accepts exactly one position.
func (s InjectSpec) Check() error {
	kinds := 0
	for _, set := range []bool{s.Bearer, s.Header != "", s.Query != "", s.Basic != ""} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("want exactly one of bearer: true, header, query and basic")
	case s.Format != "" && s.Header == "":
		return fieldErrorf("format", "belongs to header")
	case s.Format != "" && (strings.Count(s.Format, "{}") != 1 || !printableASCII(s.Format, 128)):
		return fieldErrorf("format", "%q; want printable text with exactly one {}", clip(s.Format))
	case s.Header != "" && !injectable(s.Header):
		return fieldErrorf("header", "%q cannot carry a secret", clip(s.Header))
	case s.Query != "" && !identRE.MatchString(s.Query):
		return fieldErrorf("query", "%q; want the name of a parameter", clip(s.Query))
	case s.Basic != "" && (strings.Contains(s.Basic, ":") || !printableASCII(s.Basic, 128)):
		return fieldErrorf("basic", "%q; want a user name without a colon", clip(s.Basic))
	}
	return nil
}

func printableASCII(s string, most int) bool {
	return len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// injectable refuses the headers that steer the connection or its routing.
func injectable(header string) bool {
	h := strings.ToLower(header)
	switch h {
	case "host", "connection", "content-length", "content-type", "transfer-encoding", "upgrade", "te", "trailer",
		"keep-alive", "expect", "cookie", "set-cookie", "range", "origin", "referer", "via", "forwarded":
		return false
	}
	return headerRE.MatchString(header) && !strings.HasPrefix(h, "proxy-") && !strings.HasPrefix(h, "sec-") && !strings.HasPrefix(h, "x-forwarded-")
}

// Injection returns the position that the broker understands.
func (s InjectSpec) Injection() Injection {
	switch {
	case s.Bearer:
		return Injection{Kind: InjectBearer}
	case s.Header != "":
		return Injection{Kind: InjectHeader, Name: s.Header, Format: s.Format}
	case s.Query != "":
		return Injection{Kind: InjectQuery, Name: s.Query}
	case s.Basic != "":
		return Injection{Kind: InjectBasic, User: s.Basic}
	}
	return Injection{}
}

// Check accepts ro and rw.
func (a Access) Check() error { return oneOf(string(a), string(AccessRead), string(AccessWrite)) }

// Check accepts a mount of one segment.
func (f FileNeed) Check() error {
	if err := checkMount(f.Mount, f.Access, f.MaxBytes); err != nil {
		return err
	}
	if f.Root != "" && f.Root != "workspace" {
		return fieldErrorf("root", `%q; want "workspace": a host path stands only in the grant`, clip(f.Root))
	}
	return checkWhy(f.Why)
}

func checkMount(mount string, access Access, size Size) error {
	switch {
	case !mountRE.MatchString(mount) || path.Clean(mount) != mount:
		return fieldErrorf("mount", "%q; want a slash and one name, such as /data", clip(mount))
	case access == AccessRead && size != 0:
		return fieldErrorf("max_bytes", "nothing is stored below a mount with access ro")
	case size < 0:
		return fieldErrorf("max_bytes", "negative")
	}
	return nil
}

// Check accepts a store within the ceiling.
func (k KVNeed) Check() error {
	if k.Scope != "" && k.Scope != "agent" {
		return &FieldError{"scope", notEnforced("keys are kept per skill and agent")}
	}
	return errors.Join(checkSize("max_bytes", k.MaxBytes, MaxLimits().KVBytes), checkWhy(k.Why))
}

// Check accepts a key with a default of its type.
func (c ConfigNeed) Check() error {
	if !identRE.MatchString(c.Key) {
		return fieldErrorf("key", "%q; want a letter, then at most 63 of A-Z a-z 0-9 _ . -", clip(c.Key))
	}
	if c.Type != "" {
		if err := oneOf(c.Type, "string", "integer", "number", "boolean"); err != nil {
			return &FieldError{"type", err}
		}
	}
	if c.Default != nil {
		if err := c.accepts(*c.Default); err != nil {
			return &FieldError{"default", err}
		}
	}
	return checkWhy(c.Why)
}

// accepts reports whether value is a value of the key's type.
func (c ConfigNeed) accepts(value string) error {
	var err error
	switch c.Type {
	case "integer":
		_, err = strconv.ParseInt(value, 10, 64)
	case "number":
		_, err = strconv.ParseFloat(value, 64)
	case "boolean":
		err = oneOf(value, "true", "false")
	}
	if err != nil {
		return fmt.Errorf("%q; want the text of a value of type %s", clip(value), c.Type)
	}
	return checkText(value)
}

// Check accepts ask: true.
func (h HumanNeed) Check() error {
	if !h.Ask {
		return fieldErrorf("ask", "false asks for nothing; remove needs.human")
	}
	return checkWhy(h.Why)
}
