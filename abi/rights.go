package abi

// Rights is what one skill may do for one agent: the intersection of the author's
// request, the operator's grant and the global policy, computed by Effective. The
// zero value grants nothing. A field named Rule cites where a right was written.
type Rights struct {
	Granted bool              `json:"granted"` // a grant that holds names the agent: the skill's tools may be called
	HTTP    []HTTPRight       `json:"http,omitempty"`
	Secrets []SecretRight     `json:"secrets,omitempty"`
	Files   []FileRight       `json:"files,omitempty"`
	KV      *KVRight          `json:"kv,omitempty"`
	Human   bool              `json:"human,omitempty"`
	Flows   []FlowRight       `json:"flows,omitempty"`
	Config  map[string]string `json:"config,omitempty"`
	Limits  Limits            `json:"limits"`
	Strict  bool              `json:"strict,omitempty"` // a denial traps instead of answering

	Read []Private `json:"-"` // what the call has read so far; set by the chamber, empty when a call begins

	asked string // the argument whose URL the request names, granted or not
}

// HTTPFlag returns what --http of "glovebox skill grant" needs to hear so that a
// request to o is granted: the origin, or the argument that the skill asks for instead.
func (r Rights) HTTPFlag(o Origin) string {
	if r.asked != "" {
		return "argument:" + r.asked
	}
	return string(o)
}

// HTTPRight admits requests to one origin. Exactly one of Origin and Argument is set.
type HTTPRight struct {
	Origin      OriginPattern `json:"origin,omitempty"`
	Argument    string        `json:"argument,omitempty"` // the origin of the URL in this argument of the call, for that call only
	Methods     []string      `json:"methods"`            // upper case
	Paths       []string      `json:"paths"`              // * = one segment, ** = the rest; empty = none
	Auth        SecretName    `json:"auth,omitempty"`     // injected when the guest names it
	MaxResponse int64         `json:"max_response,omitempty"`
	Bound       bool          `json:"bound,omitempty"` // made by Bind from an argument: a hop to https or to or from www. on the same host is admitted
	Rule        string        `json:"rule"`
}

// SecretRight lets the broker inject a stored secret for the bound origins.
type SecretRight struct {
	Name   SecretName `json:"name"`  // the author's name
	Store  SecretName `json:"store"` // the operator's name of the stored value
	Inject Injection  `json:"inject"`
	Only   []Origin   `json:"only"`
	Rule   string     `json:"rule"`
}

// InjectKind says where in a request a secret goes. The zero value injects nothing.
type InjectKind uint8

// The kinds of injection.
const (
	InjectNone   InjectKind = iota
	InjectBearer            // Authorization: Bearer VALUE
	InjectHeader            // NAME: FORMAT with {} replaced
	InjectQuery             // ?NAME=VALUE
	InjectBasic             // Authorization: Basic base64(USER:VALUE)
)

// Injection is the position of a secret in a request.
type Injection struct {
	Kind   InjectKind `json:"kind"`
	Name   string     `json:"name,omitempty"`   // header or query parameter
	Format string     `json:"format,omitempty"` // header only; "{}" if empty
	User   string     `json:"user,omitempty"`   // basic only
}

// FileRight maps one mount of the guest's namespace to a folder of the host.
type FileRight struct {
	Mount    string `json:"mount"` // absolute in the guest's namespace, one segment
	Host     string `json:"-"`     // absolute host path, or workspace:NAME until the host resolves it; never shown to a guest
	Write    bool   `json:"write,omitempty"`
	MaxBytes int64  `json:"max_bytes,omitempty"` // bytes stored below the mount
	Rule     string `json:"rule"`
}

// KVRight admits the key-value store of (skill, agent).
type KVRight struct {
	MaxBytes int64  `json:"max_bytes"`
	Rule     string `json:"rule"`
}

// Placeholder returns the public text that stands for a secret.
func (n SecretName) Placeholder() string { return "{{secret:" + string(n) + "}}" }
