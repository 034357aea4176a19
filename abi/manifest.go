package abi

// Schemas of the files that this package decodes.
const (
	SchemaSkill    = "glovebox/skill/v1"
	SchemaGrant    = "glovebox/grant/v1"
	SchemaManifest = "glovebox/manifest/v1"
)

// Profile names the contract between host and module: which exports are called and
// what they are given.
type Profile string

// The profiles. A manifest names one of the first four; "auto" is for commands that
// look at a file without a manifest.
const (
	ProfileMCPv2   Profile = "extism-mcp/v2"
	ProfileMCPv1   Profile = "extism-mcp/v1"
	ProfileRaw     Profile = "extism/raw"
	ProfileCommand Profile = "wasip1/command"
	ProfileAuto    Profile = "auto"
)

// Manifest is what the author of a skill asks for (skill.yaml). It grants nothing.
type Manifest struct {
	Schema      string        `yaml:"schema,required" json:"schema"`
	Name        SkillName     `yaml:"name,required" json:"name"`
	Version     string        `yaml:"version,required" json:"version"` // semantic version 2.0.0, without a leading v
	ABI         Profile       `yaml:"abi,required" json:"abi"`
	Module      string        `yaml:"module,required" json:"module"` // file name in the skill's folder
	Description string        `yaml:"description,required" json:"description"`
	Tools       []Descriptor  `yaml:"tools" json:"tools,omitempty"` // a tool that is not listed gets the strictest descriptor
	Needs       Needs         `yaml:"needs" json:"needs,omitzero"`
	Limits      LimitsRequest `yaml:"limits" json:"limits,omitzero"`
	Stateful    bool          `yaml:"stateful" json:"stateful,omitempty"`   // refused by this build
	Isolation   string        `yaml:"isolation" json:"isolation,omitempty"` // "fresh", the only one that this build offers
	Strict      bool          `yaml:"strict" json:"strict,omitempty"`       // a denial traps instead of answering

	pos Positions
}

// Needs is the author's request, by capability.
type Needs struct {
	HTTP    []HTTPNeed   `yaml:"http" json:"http,omitempty"`
	Secrets []SecretNeed `yaml:"secrets" json:"secrets,omitempty"`
	Files   []FileNeed   `yaml:"files" json:"files,omitempty"`
	KV      *KVNeed      `yaml:"kv" json:"kv,omitempty"`
	Config  []ConfigNeed `yaml:"config" json:"config,omitempty"`
	Human   *HumanNeed   `yaml:"human" json:"human,omitempty"`
	Flows   []FlowNeed   `yaml:"flows" json:"flows,omitempty"`
}

// HTTPNeed asks for requests to one origin: a written one, or the one of the URL in
// an argument of the call. Exactly one of Origin and Argument is set.
type HTTPNeed struct {
	Origin      OriginPattern `yaml:"origin" json:"origin,omitempty"`
	Argument    string        `yaml:"argument" json:"argument,omitempty"`
	Methods     []string      `yaml:"methods,required" json:"methods"`
	Paths       []string      `yaml:"paths,required" json:"paths"`
	Auth        SecretName    `yaml:"auth" json:"auth,omitempty"`
	MaxResponse Size          `yaml:"max_response" json:"max_response,omitempty"`
	Why         string        `yaml:"why" json:"why,omitempty"` // shown when consent is asked
}

// SecretNeed asks that a stored secret be put into requests to some origins.
type SecretNeed struct {
	Name   SecretName `yaml:"name,required" json:"name"`
	Inject InjectSpec `yaml:"inject,required" json:"inject"`
	Only   []Origin   `yaml:"only,required" json:"only"`
	Why    string     `yaml:"why" json:"why,omitempty"`
}

// InjectSpec is the manifest's spelling of an Injection. Exactly one of Bearer,
// Header, Query and Basic is set.
type InjectSpec struct {
	Bearer bool   `yaml:"bearer" json:"bearer,omitempty"`
	Header string `yaml:"header" json:"header,omitempty"`
	Format string `yaml:"format" json:"format,omitempty"` // with header: text around {}
	Query  string `yaml:"query" json:"query,omitempty"`
	Basic  string `yaml:"basic" json:"basic,omitempty"` // the user name
}

// Access is how a mount may be used. The zero value is read-only.
type Access string

// The kinds of access.
const (
	AccessRead  Access = "ro"
	AccessWrite Access = "rw"
)

// FileNeed asks for a folder under an absolute name in the guest's own name space.
type FileNeed struct {
	Mount    string `yaml:"mount,required" json:"mount"` // "/" and one segment
	Root     string `yaml:"root" json:"root,omitempty"`  // "workspace"
	Access   Access `yaml:"access,required" json:"access"`
	MaxBytes Size   `yaml:"max_bytes" json:"max_bytes,omitempty"`
	Why      string `yaml:"why" json:"why,omitempty"`
}

// KVNeed asks for the key-value store.
type KVNeed struct {
	MaxBytes Size   `yaml:"max_bytes,required" json:"max_bytes"`
	Scope    string `yaml:"scope" json:"scope,omitempty"` // "agent"
	Why      string `yaml:"why" json:"why,omitempty"`
}

// ConfigNeed declares one key that config_get answers.
type ConfigNeed struct {
	Key      string  `yaml:"key,required" json:"key"`
	Type     string  `yaml:"type" json:"type,omitempty"` // string (default), integer, number, boolean
	Required bool    `yaml:"required" json:"required,omitempty"`
	Default  *string `yaml:"default" json:"default,omitempty"`
	Why      string  `yaml:"why" json:"why,omitempty"`
}

// HumanNeed asks to put questions to the operator.
type HumanNeed struct {
	Ask bool   `yaml:"ask,required" json:"ask"`
	Why string `yaml:"why" json:"why,omitempty"`
}

// FlowNeed asks that a call which has read something of From may send to To all the
// same. Without it a request goes only to who may see what its call has read.
type FlowNeed struct {
	From string        `yaml:"from,required" json:"from"` // a mount, "kv", "human", or an origin, as needs names it
	To   OriginPattern `yaml:"to,required" json:"to"`     // an origin of needs.http
	Why  string        `yaml:"why" json:"why,omitempty"`
}

// LimitsRequest asks for, or sets, limits of one call. A nil field says nothing:
// the default of DefaultLimits holds.
type LimitsRequest struct {
	Fuel         *int64    `yaml:"fuel" json:"fuel,omitempty"` // refused by this build
	Wall         *Duration `yaml:"wall" json:"wall,omitempty"`
	Memory       *Size     `yaml:"memory" json:"memory,omitempty"`
	Stack        *int      `yaml:"stack" json:"stack,omitempty"`
	Table        *int      `yaml:"table" json:"table,omitempty"`
	Input        *Size     `yaml:"input" json:"input,omitempty"`
	Output       *Size     `yaml:"output" json:"output,omitempty"`
	HostCalls    *int      `yaml:"host_calls" json:"host_calls,omitempty"`
	HTTPCalls    *int      `yaml:"http_calls" json:"http_calls,omitempty"`
	HTTPSent     *Size     `yaml:"http_sent" json:"http_sent,omitempty"`
	HTTPReceived *Size     `yaml:"http_received" json:"http_received,omitempty"`
	HTTPTime     *Duration `yaml:"http_time" json:"http_time,omitempty"`
	FileRead     *Size     `yaml:"file_read" json:"file_read,omitempty"`
	LogLines     *int      `yaml:"log_lines" json:"log_lines,omitempty"`
	Vars         *Size     `yaml:"vars" json:"vars,omitempty"`
	Asks         *int      `yaml:"asks" json:"asks,omitempty"`
}
