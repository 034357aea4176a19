package abi

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
)

// AgentID names one agent of the daemon.
type AgentID string

// SessionID names one conversation of one agent.
type SessionID string

// CallID names one tool call; it is unique within the daemon's audit log.
type CallID string

// SkillName is the name of a skill: lower-case words joined by hyphens, at most 64 bytes.
type SkillName string

// ToolName is the name that a module gives one of its tools, at most 128 bytes.
type ToolName string

// SecretName is the name under which a skill asks for a secret.
type SecretName string

// Digest is the SHA-256 of some bytes, written "sha256:" and 64 lower-case hex digits.
type Digest string

var (
	skillNameRE  = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)
	toolNameRE   = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,128}$`)
	secretNameRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$`)
)

// Check reports whether n is a well-formed skill name.
func (n SkillName) Check() error {
	if len(n) > 64 || !skillNameRE.MatchString(string(n)) {
		return fmt.Errorf("skill name %q: want lower-case words joined by single hyphens, at most 64 bytes", clip(string(n)))
	}
	return nil
}

// Check reports whether id is a well-formed name of an agent: it is a folder too.
func (id AgentID) Check() error {
	if len(id) > 64 || !skillNameRE.MatchString(string(id)) {
		return fmt.Errorf("agent name %q: want lower-case words joined by single hyphens, at most 64 bytes", clip(string(id)))
	}
	return nil
}

// Check reports whether n is a well-formed tool name.
func (n ToolName) Check() error {
	if !toolNameRE.MatchString(string(n)) {
		return fmt.Errorf("tool name %q: want 1 to 128 of A-Z a-z 0-9 _ . -", string(n))
	}
	return nil
}

// Check reports whether n is a well-formed secret name.
func (n SecretName) Check() error {
	if !secretNameRE.MatchString(string(n)) {
		return fmt.Errorf("secret name %q: want 1 to 128 of A-Z a-z 0-9 _ . / -", string(n))
	}
	return nil
}

// ToolRef is the name that the host offers to a model: the skill and its tool.
type ToolRef struct {
	Skill SkillName
	Tool  ToolName
}

// String returns "skill.tool".
func (r ToolRef) String() string { return string(r.Skill) + "." + string(r.Tool) }

// ParseToolRef splits "skill.tool" at its first dot; a skill name has none.
func ParseToolRef(s string) (ToolRef, error) {
	skill, tool, ok := strings.Cut(s, ".")
	if !ok {
		return ToolRef{}, fmt.Errorf("tool %q: want SKILL.TOOL", s)
	}
	r := ToolRef{SkillName(skill), ToolName(tool)}
	if err := r.Skill.Check(); err != nil {
		return ToolRef{}, err
	}
	return r, r.Tool.Check()
}

// DigestOf returns the digest of b.
func DigestOf(b []byte) Digest {
	sum := sha256.Sum256(b)
	return Digest("sha256:" + hex.EncodeToString(sum[:]))
}

// ParseDigest accepts exactly the canonical spelling of a digest.
func ParseDigest(s string) (Digest, error) {
	hexpart, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(hexpart) != 64 || strings.ToLower(hexpart) != hexpart {
		return "", fmt.Errorf("digest %q: want sha256: and 64 lower-case hex digits", s)
	}
	if _, err := hex.DecodeString(hexpart); err != nil {
		return "", fmt.Errorf("digest %q: %w", s, err)
	}
	return Digest(s), nil
}

// Hex returns the 64 hex digits, for use as a file name.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), "sha256:") }

// Caller says on whose behalf a guest acts: it is set by the host and never read
// from anything that a guest or a model wrote.
type Caller struct {
	Agent   AgentID   `json:"agent"`
	Session SessionID `json:"session,omitempty"`
	Skill   SkillName `json:"skill"`
	Tool    ToolName  `json:"tool,omitempty"`
	Call    CallID    `json:"call,omitempty"`
}
