package abi

import (
	"encoding/json"
	"errors"
	"time"
)

var errPending = errors.New("not in this build")

// Positions says where the keys of a decoded file stand.
type Positions struct{}

// DecodeYAML decodes one strict YAML document into a pointer to struct.
func DecodeYAML(file string, data []byte, into any) error { return errPending }

// DecodeManifest decodes and checks a skill.yaml.
func DecodeManifest(file string, data []byte) (*Manifest, error) { return nil, errPending }

// DecodeGrant decodes and checks a grant.
func DecodeGrant(file string, data []byte) (*Grant, error) { return nil, errPending }

// EncodeGrant writes the YAML that DecodeGrant reads.
func EncodeGrant(g *Grant) ([]byte, error) { return nil, errPending }

// Explanation says why one right is held or not.
type Explanation struct {
	Right   string `json:"right"`             // such as "http GET https://api.github.com/repos/**"
	Granted bool   `json:"granted"`           //
	Why     string `json:"why,omitempty"`     // of a refusal
	Grant   string `json:"grant,omitempty"`   // file:line of the grant
	Request string `json:"request,omitempty"` // file:line, or file and key, of the request
}

// Effective computes request ∩ grant ∩ global policy for one agent. digest is that
// of skill.manifest.json. A nil grant grants nothing.
func Effective(m *Manifest, g *Grant, p GlobalPolicy, agent AgentID, digest Digest, now time.Time) (Rights, []Explanation, error) {
	return Rights{}, nil, errPending
}

// AsGrant returns the grant of exactly what m asks for. It names no agent.
func (m *Manifest) AsGrant() *Grant { return &Grant{} }

// Bind resolves the rights that depend on arguments, for one call.
func (r Rights) Bind(args json.RawMessage) (Rights, error) { return Rights{}, errPending }

// ParseOrigin accepts scheme://host[:port] and returns its canonical form.
func ParseOrigin(s string) (Origin, error) { return "", errPending }

// ParseOriginPattern accepts an origin whose host may begin with "*.".
func ParseOriginPattern(s string) (OriginPattern, error) { return "", errPending }

// Matches reports whether o is one of p's origins.
func (p OriginPattern) Matches(o Origin) bool { return false }

// URL is a canonical absolute http or https URL without user and fragment.
type URL struct {
	Origin   Origin
	Scheme   string
	Host     string // A-label name or IP address without brackets
	Port     uint16 // always set
	Path     string // escaped, begins with /
	Query    string // escaped, without ?
	HasQuery bool
}

// String returns the URL that is dialled and sent.
func (u URL) String() string { return "" }

// ParseURL canonicalises s.
func ParseURL(s string) (URL, error) { return URL{}, errPending }

// MatchPath reports whether the canonical path matches pattern.
func MatchPath(pattern, path string) bool { return false }

// EncodeCompiled writes the canonical bytes of skill.manifest.json.
func EncodeCompiled(c *Compiled) ([]byte, error) { return nil, errPending }

// DecodeCompiled reads skill.manifest.json.
func DecodeCompiled(file string, b []byte) (*Compiled, error) { return nil, errPending }

// DecodeTools decodes the answer of list_tools or describe.
func DecodeTools(b []byte) ([]Tool, error) { return nil, errPending }

// DecodeCallResult decodes the answer of call_tool or call; maxText bounds the bytes of all items.
func DecodeCallResult(b []byte, maxText int64) (CallResult, error) { return CallResult{}, errPending }

// CheckJSON reports whether b is one valid JSON value nested at most maxDepth deep.
func CheckJSON(b []byte, maxDepth int) error { return errPending }
