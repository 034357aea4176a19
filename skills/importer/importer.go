package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/glovebox-dev/glovebox/abi"
)

// Format is what is read.
type Format string

// The formats.
const (
	Extism   Format = "extism"    // an Extism manifest, JSON
	HyperMCP Format = "hyper-mcp" // a hyper-mcp configuration, YAML or JSON
	MCPRun   Format = "mcp-run"   // installations of an mcp.run profile, or the settings of one; JSON
	Wassette Format = "wassette"  // a wassette policy, YAML
	SkillMD  Format = "skill-md"  // a folder with SKILL.md (agentskills.io)
)

// Formats lists them.
func Formats() []Format { return []Format{Extism, HyperMCP, MCPRun, Wassette, SkillMD} }

// Left is something that was not carried over.
type Left struct {
	Key string `json:"key"` // where it stands in the foreign configuration
	Why string `json:"why"`
}

// String returns "key: why".
func (l Left) String() string { return l.Key + ": " + l.Why }

// Skill is what one entry of a foreign configuration becomes.
type Skill struct {
	Manifest *abi.Manifest
	Grant    *abi.Grant // a draft: it names no agent and grants nothing
	Left     []Left

	module string            // path of the module beside the configuration, or nothing
	sha256 string            // of the module, in hex, if the configuration says it
	wasm   []byte            // the module, once it is read
	files  map[string][]byte // further files of the folder
}

// HasModule reports whether the module came along.
func (s *Skill) HasModule() bool { return s.wasm != nil }

func (s *Skill) leave(key, why string, args ...any) {
	s.Left = append(s.Left, Left{Key: key, Why: fmt.Sprintf(why, args...)})
}

// newSkill starts a skill that asks for nothing.
func newSkill(f Format, name string) *Skill {
	s := &Skill{Manifest: &abi.Manifest{
		Schema: abi.SchemaSkill, Version: "0.0.0", ABI: abi.ProfileMCPv2, Module: "skill.wasm", Description: "Imported from " + string(f),
	}, Grant: &abi.Grant{Config: map[string]string{}}}
	s.Manifest.Name = skillName(name)
	if string(s.Manifest.Name) != name {
		s.leave("name", "%.80q is no name of a skill; it became %q", name, s.Manifest.Name)
	}
	return s
}

// skillName makes a name out of any text.
func skillName(text string) abi.SkillName {
	words := strings.FieldsFunc(strings.ToLower(text), func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') })
	name := strings.Join(words, "-")
	if len(name) > 64 {
		name = strings.Trim(name[:64], "-")
	}
	if name == "" {
		name = "imported"
	}
	return abi.SkillName(name)
}

// describe sets the description, without what a person cannot see.
func (s *Skill) describe(key, text string) {
	clean, taken := visible(text, 2048)
	if taken > 0 {
		s.leave(key, "%d characters that nobody sees were taken out", taken)
	}
	if clean = strings.TrimSpace(clean); clean != "" {
		s.Manifest.Description = clean
	}
}

// visible drops the characters without a glyph and cuts text to most bytes; taken counts them.
func visible(text string, most int) (clean string, taken int) {
	var b strings.Builder
	for _, r := range strings.ReplaceAll(text, "\r\n", "\n") {
		switch {
		case r == '\t':
			r = ' '
		case r != '\n' && unseen(r):
			taken++
			continue
		}
		if b.Len()+4 > most {
			break
		}
		b.WriteRune(r)
	}
	return b.String(), taken
}

func unseen(r rune) bool {
	return !unicode.IsGraphic(r) || r == unicode.ReplacementChar || unicode.Is(unicode.Other_Default_Ignorable_Code_Point, r) || unicode.Is(unicode.Variation_Selector, r)
}

// most bounds each list of needs; abi refuses longer ones.
const most = 64

// host asks for GET on one host. Other hosts of skills admit any method to it, and this one
// asks for each.
func (s *Skill) host(key, host string) {
	if strings.Trim(host, "*.:/") == "" {
		s.leave(key, "%.80q is not carried over: name the origins", host)
		return
	}
	origin, err := abi.ParseOriginPattern("https://" + strings.TrimPrefix(host, "https://"))
	switch {
	case err != nil:
		s.leave(key, "%.80q names no origin", host)
	case abi.Origin(origin).Special():
		s.leave(key, "%.80q is no public address: an operator opens it with \"glovebox egress allow\"", host)
	case slices.ContainsFunc(s.Manifest.Needs.HTTP, func(n abi.HTTPNeed) bool { return n.Origin == origin }):
	case len(s.Manifest.Needs.HTTP) == most:
		s.leave(key, "a skill names at most %d origins", most)
	default:
		s.Manifest.Needs.HTTP = append(s.Manifest.Needs.HTTP, abi.HTTPNeed{Origin: origin, Methods: []string{"GET"}, Paths: []string{"/**"}})
	}
}

// hosts asks for each host of a list and says once what is narrower here.
func (s *Skill) hosts(key string, list []any) {
	before := len(s.Manifest.Needs.HTTP)
	for i, v := range list {
		text, ok := v.(string)
		if at := fmt.Sprintf("%s[%d]", key, i); ok {
			s.host(at, text)
		} else {
			s.leave(at, "it is no text")
		}
	}
	if len(s.Manifest.Needs.HTTP) > before {
		s.leave(key, "every method over http and https was allowed; what is carried over is GET over https: add what the skill uses")
	}
}

// mount asks for a folder. The folder of the host is not carried over: the draft names one of
// the agent's workspace.
func (s *Skill) mount(key, host, guest string, access abi.Access) {
	at := "/" + strings.Trim(guest, "/")
	need := abi.FileNeed{Mount: at, Access: access}
	switch {
	case need.Check() != nil:
		s.leave(key, "%.80q is no mount: want a slash and one name, such as /data", guest)
		return
	case slices.ContainsFunc(s.Manifest.Needs.Files, func(n abi.FileNeed) bool { return n.Mount == at }):
		s.leave(key, "%.80q is there twice", at)
		return
	case len(s.Manifest.Needs.Files) == most:
		s.leave(key, "a skill has at most %d mounts", most)
		return
	}
	s.Manifest.Needs.Files = append(s.Manifest.Needs.Files, need)
	s.leave(key, "the folder %.80q of the host becomes one of the agent's workspace; an operator gives another with --mount %s=DIR", host, at)
}

// secretRE recognises the names of settings whose values are kept back.
var secretRE = regexp.MustCompile(`(?i)key|token|secret|passw|pwd|credential|auth|cookie|session|dsn|private`)

// setting declares a configuration key and proposes its value.
func (s *Skill) setting(key, name string, value any) {
	text, ok := value.(string)
	switch {
	case secretRE.MatchString(name):
		s.leave(key, "it looks like a secret, which no skill holds: store it with \"glovebox secret set\" and bind it to origins under needs.secrets")
		return
	case !ok && value != nil:
		s.leave(key, "it is no text")
		return
	}
	need := abi.ConfigNeed{Key: name}
	if clean, taken := visible(text, 2048); need.Check() != nil || clean != text || taken > 0 || len(s.Manifest.Needs.Config) == most {
		s.leave(key, "it is no setting of a skill: want a plain name and visible text")
		return
	}
	s.Manifest.Needs.Config = append(s.Manifest.Needs.Config, need)
	if ok {
		s.Grant.Config[name] = text
	}
}

// memory asks for bytes of memory.
func (s *Skill) memory(key string, bytes int64) {
	s.Manifest.Limits.Memory = s.size(key, bytes, abi.MaxLimits().Memory)
}

// size returns a limit, or nil for one that no skill may have.
func (s *Skill) size(key string, bytes, most int64) *abi.Size {
	if bytes <= 0 || bytes > most {
		s.leave(key, "%d bytes are not between 1 and %d: the default holds", bytes, most)
		return nil
	}
	return new(abi.Size(bytes))
}

func (s *Skill) wall(key string, ms int64) {
	if d := time.Duration(ms) * time.Millisecond; ms > 0 && ms <= abi.MaxLimits().Wall.Milliseconds() {
		s.Manifest.Limits.Wall = new(abi.Duration(d))
		return
	}
	s.leave(key, "%d ms are not between 1 and %d: the default holds", ms, abi.MaxLimits().Wall.Milliseconds())
}

// from notes where the module comes from. Only a file beside the configuration comes along.
func (s *Skill) from(key, where string) {
	path := strings.TrimPrefix(where, "file://")
	switch {
	case where == "":
	case strings.Contains(path, "://"):
		s.leave(key, "%.200q is not fetched: put the module into the folder as skill.wasm", where)
	default:
		s.module = path
	}
}

// finish completes the draft of the grant and holds both to their rules.
func (s *Skill) finish() error {
	config := s.Grant.Config
	s.Grant = s.Manifest.AsGrant()
	s.Grant.Draft = true
	if len(config) > 0 {
		s.Grant.Config = config
	}
	if _, err := abi.EncodeManifest(s.Manifest); err != nil {
		return err
	}
	_, err := abi.EncodeGrant(s.Grant)
	return err
}
