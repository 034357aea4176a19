package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// Schema is the value of the key schema that this build reads.
const Schema = "glovebox/config/v1"

// maxFile bounds glovebox.yaml; the decoder's own bound is the same.
const maxFile = 256 * abi.KiB

// ErrConfig is wrapped by every error about the content of a configuration file.
var ErrConfig = errors.New("configuration refused")

var agentNameRE = regexp.MustCompile(`^[a-z0-9]+(-[a-z0-9]+)*$`)

// Config is what the operator decides in glovebox.yaml. Relative paths in the file
// are relative to the folder of the file; after Load they are absolute.
type Config struct {
	Schema    string    `yaml:"schema"` // glovebox/config/v1
	Listen    Listen    `yaml:"listen"` // loopback address of the HTTP API
	Log       Log       `yaml:"log"`
	Skills    Skills    `yaml:"skills"`
	Grants    Grants    `yaml:"grants"`
	Egress    Egress    `yaml:"egress"`
	Agents    []Agent   `yaml:"agents"`
	Approvals Approvals `yaml:"approvals"`
	Trust     Trust     `yaml:"trust"`
	// Limits caps what any skill may use; it can only lower the built-in maximum.
	Limits abi.LimitsRequest `yaml:"limits"`

	File string // absolute path of the file, empty for the defaults
}

// Log says what the daemon writes to stderr.
type Log struct {
	Level Level `yaml:"level"` // debug, info, warn or error
}

// Skills says where skills lie: each folder is a skill, or holds skill folders.
type Skills struct {
	Dirs []string `yaml:"dirs"`
}

// Grants says where NAME.yaml grant files lie, beside those in the state folder.
type Grants struct {
	Dir string `yaml:"dir"`
}

// Egress opens origins that are private or loopback, each to the skills that it names
// and whose grants admit it. Nothing else makes such an address reachable, and nothing
// a link-local one.
type Egress struct {
	Private []PrivateOrigin `yaml:"private"`
}

// Agent is one agent. The zero value can use no skill.
type Agent struct {
	Name    AgentName  `yaml:"name"`
	Model   Model      `yaml:"model"`   // offline or scripted
	Script  string     `yaml:"script"`  // file of turns, for the scripted model only
	Persona string     `yaml:"persona"` // the operator's text in the system role
	Skills  []SkillRef `yaml:"skills"`  // names, or "*"; absent = none

	Confirm   Confirm   `yaml:"confirm"`   // destructive (default): each irreversible call asks; rules: only where the gate says so
	Readers   Readers   `yaml:"readers"`   // mandated (default): private content flows within the mandate; named: to whoever the owner named
	Mandate   []ToolRef `yaml:"mandate"`   // tools of a session that has seen strangers' text; absent = no mandate
	Owner     Owner     `yaml:"owner"`     // who the agent's owner is to others
	Directory []Address `yaml:"directory"` // of people whom the operator knows: the agent may address them unasked
	Parent    AgentName `yaml:"parent"`    // for whom it works: what it spends counts for that agent too
	Budgets   Budgets   `yaml:"budgets"`   // what it may spend
}

// May reports whether the agent's allowlist names skill.
func (a Agent) May(skill abi.SkillName) bool {
	for _, r := range a.Skills {
		if r == AllSkills || r == SkillRef(skill) {
			return true
		}
	}
	return false
}

// AgentName is a lower-case name, at most 64 bytes: it becomes a folder.
type AgentName string

// UnmarshalText implements encoding.TextUnmarshaler.
func (n *AgentName) UnmarshalText(b []byte) error {
	if len(b) > 64 || !agentNameRE.Match(b) {
		return fmt.Errorf("agent name %q: want lower-case words joined by single hyphens, at most 64 bytes", b)
	}
	*n = AgentName(b)
	return nil
}

// SkillRef is the name of a skill, or AllSkills.
type SkillRef string

// AllSkills stands for every installed skill.
const AllSkills SkillRef = "*"

// UnmarshalText implements encoding.TextUnmarshaler.
func (r *SkillRef) UnmarshalText(b []byte) error {
	if string(b) != string(AllSkills) {
		if err := abi.SkillName(b).Check(); err != nil {
			return err
		}
	}
	*r = SkillRef(b)
	return nil
}

// Model names how an agent decides. The empty value is refused.
type Model string

// The models of this build; neither needs a network.
const (
	ModelOffline  Model = "offline"  // deterministic planner
	ModelScripted Model = "scripted" // turns read from a file
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (m *Model) UnmarshalText(b []byte) error {
	switch Model(b) {
	case ModelOffline, ModelScripted:
		*m = Model(b)
		return nil
	}
	return fmt.Errorf("model %q: this build has offline and scripted", b)
}

// Level is a level of log/slog by its lower-case name.
type Level struct{ slog.Level }

// UnmarshalText implements encoding.TextUnmarshaler; offsets such as "info+2" are refused.
func (l *Level) UnmarshalText(b []byte) error {
	for _, v := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
		if strings.ToLower(v.String()) == string(b) {
			l.Level = v
			return nil
		}
	}
	return fmt.Errorf("log level %q: want debug, info, warn or error", b)
}

// Listen is a loopback IP address and port, such as 127.0.0.1:4766; port 0 takes any.
type Listen string

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Listen) UnmarshalText(b []byte) error {
	s := string(b)
	s = strings.Replace(s, "localhost:", "127.0.0.1:", 1)
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return fmt.Errorf("listen %q: want a loopback address and a port, such as 127.0.0.1:4766", b)
	}
	if !ap.Addr().Unmap().IsLoopback() {
		return fmt.Errorf("listen %q: only loopback addresses are served, since the API carries a bearer token without TLS; use 127.0.0.1:%d behind a tunnel", b, ap.Port())
	}
	*l = Listen(ap.String())
	return nil
}

// Default returns the configuration that holds without a file: one agent with the
// offline model that may use what the operator grants, and no private origin.
func Default() Config {
	return Config{
		Schema:    Schema,
		Listen:    "127.0.0.1:4766",
		Log:       Log{Level: Level{slog.LevelInfo}},
		Agents:    []Agent{{Name: "main", Model: ModelOffline, Skills: []SkillRef{AllSkills}}},
		Approvals: Approvals{Timeout: abi.Duration(5 * time.Minute)},
		Trust:     Trust{Advisories: Advisories{MaxAge: abi.Duration(MaxAdvisoryAge)}},
	}
}

// Load reads the file at path strictly; the keys that it leaves out keep their default.
func Load(path string) (Config, error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return Config{}, fmt.Errorf("load configuration: %w", err)
	}
	data, err := ReadOwned(abs, maxFile)
	if err != nil {
		return Config{}, fmt.Errorf("load configuration: %w", err)
	}
	return Parse(abs, data)
}

// Parse decodes data as the content of the file at the absolute path file.
func Parse(file string, data []byte) (Config, error) {
	cfg := Default()
	cfg.Schema, cfg.Agents = "", nil
	if err := abi.DecodeYAML(file, data, &cfg); err != nil {
		return Config{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	cfg.File = file
	if cfg.Agents == nil {
		cfg.Agents = Default().Agents
	}
	if err := cfg.check(); err != nil {
		return Config{}, fmt.Errorf("%w: %s: %w", ErrConfig, file, err)
	}
	cfg.resolve(filepath.Dir(file))
	return cfg, nil
}

// check refuses what no single value shows.
func (c *Config) check() error {
	if c.Schema != Schema {
		return fmt.Errorf("schema: %q is not known, want %q", c.Schema, Schema)
	}
	if len(c.Agents) == 0 {
		return errors.New("agents: the list is empty; leave the key out for the default agent")
	}
	seen := map[AgentName]bool{}
	for i, a := range c.Agents {
		switch {
		case a.Name == "":
			return fmt.Errorf("agents[%d]: name is missing", i)
		case seen[a.Name]:
			return fmt.Errorf("agents[%d].name: %q is used twice", i, a.Name)
		case a.Model == "":
			return fmt.Errorf("agents[%d]: model is missing: want offline or scripted", i)
		case a.Model == ModelScripted && a.Script == "":
			return fmt.Errorf("agents[%d]: the scripted model needs script: FILE", i)
		case a.Model != ModelScripted && a.Script != "":
			return fmt.Errorf("agents[%d].script: only the scripted model reads it; the model is %s", i, a.Model)
		case len(a.Persona) > 16*abi.KiB:
			return fmt.Errorf("agents[%d].persona: %d bytes exceed 16 KiB", i, len(a.Persona))
		}
		seen[a.Name] = true
	}
	if err := checkParents(c.Agents); err != nil {
		return err
	}
	if err := c.Approvals.check(seen); err != nil {
		return err
	}
	return c.Trust.check()
}

func (c *Config) resolve(dir string) {
	abs := func(p string) string {
		if p == "" || filepath.IsAbs(p) {
			return p
		}
		return filepath.Join(dir, p)
	}
	for i := range c.Skills.Dirs {
		c.Skills.Dirs[i] = abs(c.Skills.Dirs[i])
	}
	c.Grants.Dir = abs(c.Grants.Dir)
	for i := range c.Agents {
		c.Agents[i].Script = abs(c.Agents[i].Script)
	}
	for i := range c.Trust.Publishers {
		c.Trust.Publishers[i].Key = abs(c.Trust.Publishers[i].Key)
	}
	for i := range c.Trust.Roots {
		c.Trust.Roots[i].File = abs(c.Trust.Roots[i].File)
	}
}

// Agent returns the agent with the name.
func (c *Config) Agent(name string) (Agent, bool) {
	for _, a := range c.Agents {
		if string(a.Name) == name {
			return a, true
		}
	}
	return Agent{}, false
}

// ReadOwned reads a regular file of at most limit bytes that nobody but its owner's
// group may write: a file that decides authority and that every user can change
// decides nothing.
func ReadOwned(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path) // before the open: opening a FIFO blocks
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	if info, err = f.Stat(); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	if info.Mode().Perm()&0o002 != 0 {
		return nil, &ModeError{Path: path, Mode: info.Mode().Perm(), Want: info.Mode().Perm() &^ 0o002}
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s: larger than %d bytes", path, limit)
	}
	return data, nil
}

// ModeError tells of a file or folder that others may read or change.
type ModeError struct {
	Path string
	Mode fs.FileMode // as found
	Want fs.FileMode
}

// Error implements error.
func (e *ModeError) Error() string {
	return fmt.Sprintf("%s has mode %04o, which lets other users in; want %04o", e.Path, e.Mode, e.Want)
}

// Hint returns the command that mends it.
func (e *ModeError) Hint() string { return fmt.Sprintf("chmod %o %s", e.Want, ShellQuote(e.Path)) }

// ShellQuote returns s as one word of a POSIX shell.
func ShellQuote(s string) string {
	if s != "" && strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@%,", r))
	}) < 0 {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
