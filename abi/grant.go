package abi

// Grant is what the operator decides for one skill (grants/NAME.yaml). The zero
// value grants nothing.
type Grant struct {
	Schema    string            `yaml:"schema,required" json:"schema"`
	Skill     SkillName         `yaml:"skill,required" json:"skill"`
	Draft     bool              `yaml:"draft" json:"draft,omitempty"` // written by an importer, not yet confirmed: grants nothing
	Publisher *Publisher        `yaml:"publisher" json:"publisher,omitempty"`
	Pin       *Pin              `yaml:"pin" json:"pin,omitempty"`
	Allow     Allow             `yaml:"allow" json:"allow,omitzero"`
	Config    map[string]string `yaml:"config" json:"config,omitempty"`
	Agents    []AgentID         `yaml:"agents" json:"agents,omitempty"` // empty = no agent
	Limits    LimitsRequest     `yaml:"limits" json:"limits,omitzero"`
	Expires   Date              `yaml:"expires" json:"expires,omitzero"` // the last day on which the grant holds, UTC

	pos Positions
}

// Publisher names who must have signed the skill: an identity together with the issuer
// that vouches for it, or a key. Nothing in it is a pattern.
type Publisher struct {
	Issuer   string `yaml:"issuer" json:"issuer,omitempty"`     // of the certificate, such as https://token.actions.githubusercontent.com
	Identity string `yaml:"identity" json:"identity,omitempty"` // subject alternative name of the certificate
	Key      string `yaml:"key" json:"key,omitempty"`           // base64 of the SHA-256 of the public key in PKIX DER
}

// Pin voids the grant for any other skill than the one that was looked at. Exactly
// one field is set.
type Pin struct {
	SHA256  string `yaml:"sha256" json:"sha256,omitempty"`   // hex digest of skill.manifest.json
	Version string `yaml:"version" json:"version,omitempty"` // comparisons joined by spaces, such as ">=1.4.0 <2.0.0"
}

// Allow lists what is granted, by capability.
type Allow struct {
	HTTP    []HTTPGrant   `yaml:"http" json:"http,omitempty"`
	Secrets []SecretGrant `yaml:"secrets" json:"secrets,omitempty"`
	Files   []FileGrant   `yaml:"files" json:"files,omitempty"`
	KV      *KVGrant      `yaml:"kv" json:"kv,omitempty"`
	Human   bool          `yaml:"human" json:"human,omitempty"`
	Flows   []FlowGrant   `yaml:"flows" json:"flows,omitempty"`
}

// HTTPGrant admits requests; see HTTPNeed.
type HTTPGrant struct {
	Origin      OriginPattern `yaml:"origin" json:"origin,omitempty"`
	Argument    string        `yaml:"argument" json:"argument,omitempty"`
	Methods     []string      `yaml:"methods,required" json:"methods"`
	Paths       []string      `yaml:"paths,required" json:"paths"`
	MaxResponse Size          `yaml:"max_response" json:"max_response,omitempty"`
}

// SecretGrant binds the author's name of a secret to a stored one.
type SecretGrant struct {
	Name SecretName `yaml:"name,required" json:"name"`
	From string     `yaml:"from,required" json:"from"` // "store:NAME"
}

// FileGrant gives a mount its folder: "workspace:NAME", which is a folder of the
// agent's own workspace, or an absolute path of the host.
type FileGrant struct {
	Mount    string `yaml:"mount,required" json:"mount"`
	Host     string `yaml:"host,required" json:"host"`
	Access   Access `yaml:"access,required" json:"access"`
	MaxBytes Size   `yaml:"max_bytes" json:"max_bytes,omitempty"`
}

// KVGrant admits the key-value store.
type KVGrant struct {
	MaxBytes Size `yaml:"max_bytes,required" json:"max_bytes"`
}

// Proof is what was verified about a bundle before anything was asked of it.
type Proof struct {
	Digest Digest // of the bytes of skill.manifest.json
	Signer Signer
}

// Signer is who signed a bundle, as verified; the zero value is nobody. Either Key is
// set or Issuer and Identity are, as in Publisher.
type Signer struct {
	Issuer   string `json:"issuer,omitempty"`
	Identity string `json:"identity,omitempty"`
	Key      string `json:"key,omitempty"`
}

// String returns who signed, for people.
func (s Signer) String() string {
	switch {
	case s.Key != "":
		return "key " + s.Key
	case s.Identity != "":
		return s.Identity + " (" + s.Issuer + ")"
	}
	return "nobody"
}

// Only returns the publisher that admits s and nobody else.
func (s Signer) Only() *Publisher { return &Publisher{s.Issuer, s.Identity, s.Key} }

// FlowGrant admits that what a call has read of From is sent to To; see FlowNeed.
type FlowGrant struct {
	From string        `yaml:"from,required" json:"from"`
	To   OriginPattern `yaml:"to,required" json:"to"`
}

// GlobalPolicy is what the operator sets for a skill beside its grant. The zero value opens no
// private address and caps limits at MaxLimits.
type GlobalPolicy struct {
	Limits         LimitsRequest `yaml:"limits" json:"limits,omitzero"`
	PrivateOrigins []Origin      `yaml:"private_origins" json:"private_origins,omitempty"` // exact origins on private addresses that are open to this skill
}
