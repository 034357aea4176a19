package abi

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	"golang.org/x/mod/semver"
)

// DecodeGrant decodes and checks a grant; file is the name that explanations and
// denials cite, so give the short one: grants/NAME.yaml.
func DecodeGrant(file string, data []byte) (*Grant, error) {
	var g Grant
	pos, err := DecodeYAMLPositions(file, data, &g)
	if err != nil {
		return nil, err
	}
	g.pos = pos
	return &g, nil
}

// EncodeGrant writes the YAML text that DecodeGrant reads. It refuses a grant that
// DecodeGrant would refuse.
func EncodeGrant(g *Grant) ([]byte, error) {
	text, err := encodeYAML(g)
	if err != nil {
		return nil, fmt.Errorf("encode grant of %q: %w", g.Skill, err)
	}
	if _, err := DecodeGrant("grants/"+string(g.Skill)+".yaml", text); err != nil {
		return nil, fmt.Errorf("encode grant: %w", err)
	}
	return text, nil
}

// EncodeManifest writes the YAML text that DecodeManifest reads. It refuses a manifest
// that DecodeManifest would refuse.
func EncodeManifest(m *Manifest) ([]byte, error) {
	text, err := encodeYAML(m)
	if err != nil {
		return nil, fmt.Errorf("encode manifest of %q: %w", m.Name, err)
	}
	if _, err := DecodeManifest("skill.yaml", text); err != nil {
		return nil, fmt.Errorf("encode manifest: %w", err)
	}
	return text, nil
}

func encodeYAML(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	var doc yaml.Node // JSON is YAML in flow style; what is left is to lay it out
	if err := yaml.Unmarshal(buf.Bytes(), &doc); err != nil {
		return nil, err
	}
	blockStyle(&doc)
	buf.Reset()
	out := yaml.NewEncoder(&buf)
	out.SetIndent(2)
	err := errors.Join(out.Encode(&doc), out.Close())
	return buf.Bytes(), err
}

// blockStyle drops the flow style and the quotes that are not needed; short lists of
// words stay on one line.
func blockStyle(n *yaml.Node) {
	n.Style = 0
	words := n.Kind == yaml.SequenceNode
	for _, child := range n.Content {
		blockStyle(child)
		words = words && child.Kind == yaml.ScalarNode
	}
	if words {
		n.Style = yaml.FlowStyle
	}
}

// Check reports what in g contradicts itself or cannot be enforced by this build.
func (g *Grant) Check() error {
	if g.Schema != SchemaGrant {
		return fieldErrorf("schema", "%q; this build reads %s", clip(g.Schema), SchemaGrant)
	}
	for key, value := range g.Config {
		if !identRE.MatchString(key) {
			return fieldErrorf("config", "key %q; want a letter, then at most 63 of A-Z a-z 0-9 _ . -", clip(key))
		}
		if err := checkText(value); err != nil {
			return &FieldError{"config." + key, err}
		}
	}
	if err := errors.Join(tooMany("allow.http", len(g.Allow.HTTP)), tooMany("config", len(g.Config))); err != nil {
		return err
	}
	if err := unique("allow.secrets", "name", g.Allow.Secrets, func(s SecretGrant) string { return string(s.Name) }); err != nil {
		return err
	}
	if err := unique("allow.files", "mount", g.Allow.Files, func(f FileGrant) string { return f.Mount }); err != nil {
		return err
	}
	if err := unique("allow.flows", "from", g.Allow.Flows, FlowGrant.String); err != nil {
		return err
	}
	return unique("agents", "", g.Agents, func(a AgentID) string { return string(a) })
}

// Check accepts an issuer with an identity, or a key.
func (p Publisher) Check() error {
	switch {
	case p.Key == "" && (p.Issuer == "" || p.Identity == ""), p.Key != "" && (p.Issuer != "" || p.Identity != ""):
		return errors.New("want either key, or issuer and identity")
	case p.Key != "":
		if sum, err := base64.StdEncoding.Strict().DecodeString(p.Key); err != nil || len(sum) != sha256.Size {
			return fieldErrorf("key", "%q; want the base64 text of 32 bytes (see it with: glovebox skill verify DIR)", clip(p.Key))
		}
		return nil
	}
	if err := checkText(p.Issuer); err != nil {
		return &FieldError{"issuer", err}
	}
	if err := checkText(p.Identity); err != nil {
		return &FieldError{"identity", err}
	}
	return nil
}

// admits reports whether s signed in the name of p.
func (p Publisher) admits(s Signer) bool { return p == Publisher(s) && p.Check() == nil }

var sha256RE = regexp.MustCompile(`^[0-9a-f]{64}$`)

// Check accepts one kind of pin.
func (p Pin) Check() error {
	switch {
	case (p.SHA256 == "") == (p.Version == ""):
		return errors.New("want exactly one of sha256 and version")
	case p.SHA256 != "" && !sha256RE.MatchString(strings.TrimPrefix(p.SHA256, "sha256:")):
		return fieldErrorf("sha256", "%q; want 64 lower-case hexadecimal digits", clip(p.SHA256))
	case p.Version != "":
		if _, err := matchVersion(p.Version, "0.0.0"); err != nil {
			return &FieldError{"version", err}
		}
	}
	return nil
}

// holds reports whether the pin admits this manifest.
func (p Pin) holds(version string, digest Digest) bool {
	if p.SHA256 != "" {
		return digest != "" && digest.Hex() == strings.TrimPrefix(p.SHA256, "sha256:")
	}
	ok, err := matchVersion(p.Version, version)
	return ok && err == nil
}

// matchVersion evaluates comparisons such as ">=1.4.0 <2": all must hold. A bare
// version stands for equality; missing parts are zero.
func matchVersion(constraint, version string) (bool, error) {
	terms := strings.Fields(constraint)
	if len(terms) == 0 || len(terms) > 8 || len(constraint) > 128 {
		return false, fmt.Errorf("%q; want 1 to 8 comparisons such as >=1.4.0 <2", clip(constraint))
	}
	all := true
	for _, term := range terms {
		bound := strings.TrimLeft(term, "<>=")
		op := term[:len(term)-len(bound)]
		if !semver.IsValid("v" + bound) {
			return false, fmt.Errorf("%q is no version; want comparisons such as >=1.4.0 <2", clip(bound))
		}
		c := semver.Compare("v"+version, "v"+bound)
		switch op {
		case "", "=":
			all = all && c == 0
		case ">=":
			all = all && c >= 0
		case ">":
			all = all && c > 0
		case "<=":
			all = all && c <= 0
		case "<":
			all = all && c < 0
		default:
			return false, fmt.Errorf("comparison %q; want >=, >, <=, < or =", clip(op))
		}
	}
	return all, nil
}

// Check accepts an entry of exactly one kind of destination.
func (h HTTPGrant) Check() error {
	if err := checkDestination(h.Origin, h.Argument); err != nil {
		return err
	}
	return checkRequests(h.Methods, h.Paths, h.MaxResponse)
}

// Check accepts store:NAME.
func (s SecretGrant) Check() error {
	name, ok := strings.CutPrefix(s.From, "store:")
	if !ok {
		return fieldErrorf("from", "%q; want store:NAME (put the value there with: glovebox secret set NAME)", clip(s.From))
	}
	if err := SecretName(name).Check(); err != nil {
		return &FieldError{"from", err}
	}
	return nil
}

// Store returns the operator's name of the stored value.
func (s SecretGrant) Store() SecretName { return SecretName(strings.TrimPrefix(s.From, "store:")) }

// WorkspacePrefix begins the host side of a mount that is a folder of the agent's
// own workspace.
const WorkspacePrefix = "workspace:"

// Check accepts a folder of the workspace or a clean absolute path below the root.
func (f FileGrant) Check() error {
	if err := checkMount(f.Mount, f.Access, f.MaxBytes); err != nil {
		return err
	}
	if name, ok := strings.CutPrefix(f.Host, WorkspacePrefix); ok {
		if !folderRE.MatchString(name) {
			return fieldErrorf("host", "%q; want workspace: and one name", clip(f.Host))
		}
		return nil
	}
	switch {
	case !path.IsAbs(f.Host) || len(f.Host) > 4096 || strings.ContainsFunc(f.Host, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return fieldErrorf("host", "%q; want workspace:NAME or an absolute path", clip(f.Host))
	case path.Clean(f.Host) != f.Host:
		return fieldErrorf("host", "%q; write %q", clip(f.Host), clip(path.Clean(f.Host)))
	case f.Host == "/":
		return fieldErrorf("host", "the whole file system cannot be granted")
	}
	return nil
}

// Check accepts a store within the ceiling.
func (k KVGrant) Check() error { return checkSize("max_bytes", k.MaxBytes, MaxLimits().KVBytes) }

// AsGrant returns the grant of exactly what m asks for, for tests of a skill and for
// an operator who consents to all of it. It names no agent and pins nothing: the
// caller adds Agents and Pin. Files are folders of the agent's workspace, secrets are
// stored under the author's names.
func (m *Manifest) AsGrant() *Grant {
	g := &Grant{Schema: SchemaGrant, Skill: m.Name, Limits: m.Limits}
	for _, h := range m.Needs.HTTP {
		g.Allow.HTTP = append(g.Allow.HTTP, HTTPGrant{h.Origin, h.Argument, slices.Clone(h.Methods), slices.Clone(h.Paths), h.MaxResponse})
	}
	for _, s := range m.Needs.Secrets {
		g.Allow.Secrets = append(g.Allow.Secrets, SecretGrant{Name: s.Name, From: "store:" + string(s.Name)})
	}
	for _, f := range m.Needs.Files {
		g.Allow.Files = append(g.Allow.Files, FileGrant{f.Mount, WorkspacePrefix + f.Mount[min(1, len(f.Mount)):], f.Access, f.MaxBytes})
	}
	if k := m.Needs.KV; k != nil {
		g.Allow.KV = &KVGrant{k.MaxBytes}
	}
	g.Allow.Human = m.Needs.Human != nil && m.Needs.Human.Ask
	for _, f := range m.Needs.Flows {
		g.Allow.Flows = append(g.Allow.Flows, FlowGrant{f.From, f.To})
	}
	return g
}
