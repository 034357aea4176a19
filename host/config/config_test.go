package config

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

const header = "schema: glovebox/config/v1\n"

func TestParseReadsEveryKey(t *testing.T) {
	t.Parallel()
	cfg, err := Parse("/etc/gb/glovebox.yaml", []byte(header+`
listen: 127.0.0.1:0
log: {level: debug}
skills: {dirs: [skills, /opt/skills]}
grants: {dir: grants}
egress: {private: [{origin: "http://127.0.0.1:8080", skills: ["*"]}, {origin: "http://LOCALHOST:81", skills: [calc]}]}
limits: {wall: 3s, output: 64KiB, http_calls: 2}
agents:
  - {name: demo, model: offline, persona: be brief, skills: [calc]}
  - {name: replay, model: scripted, script: turns.yaml, skills: ["*"]}
`))
	if err != nil {
		t.Fatal(err)
	}
	if cfg.Listen != "127.0.0.1:0" || cfg.Log.Level.Level != slog.LevelDebug || cfg.Grants.Dir != "/etc/gb/grants" {
		t.Errorf("scalars: %+v", cfg)
	}
	if strings.Join(cfg.Skills.Dirs, " ") != "/etc/gb/skills /opt/skills" {
		t.Errorf("folders are not relative to the file: %v", cfg.Skills.Dirs)
	}
	if cfg.Egress.Private[1].Origin != "http://localhost:81" {
		t.Errorf("origins are not canonical: %v", cfg.Egress.Private)
	}
	if cfg.Limits.Wall == nil || cfg.Limits.Output == nil || *cfg.Limits.HTTPCalls != 2 {
		t.Errorf("limits: %+v", cfg.Limits)
	}
	demo, replay := cfg.Agents[0], cfg.Agents[1]
	if !demo.May("calc") || demo.May("notes") || demo.Persona != "be brief" || !replay.May("notes") || replay.Script != "/etc/gb/turns.yaml" {
		t.Errorf("agents: %+v", cfg.Agents)
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	cases := map[string]struct{ text, want string }{
		"an unknown key, with its neighbour":  {header + "listn: 127.0.0.1:1\n", "listen"},
		"an unknown key of an agent":          {header + "agents: [{name: a, model: offline, skils: []}]\n", "skills"},
		"a wrong type":                        {header + "skills: {dirs: 7}\n", "dirs"},
		"a duplicate key":                     {header + "log: {level: info}\nlog: {level: debug}\n", "log"},
		"an anchor":                           {header + "log: &x {level: info}\n", ""},
		"a second document":                   {header + "---\na: b\n", ""},
		"no schema":                           {"listen: 127.0.0.1:1\n", "schema"},
		"another schema":                      {"schema: glovebox/config/v9\n", "glovebox/config/v1"},
		"an address of every interface":       {header + "listen: 0.0.0.0:4766\n", "loopback"},
		"a public address":                    {header + "listen: 192.0.2.7:80\n", "loopback"},
		"a listen name":                       {header + "listen: example.com:80\n", "loopback"},
		"a level with an offset":              {header + "log: {level: info+2}\n", "info+2"},
		"a model of another build":            {header + "agents: [{name: a, model: gpt}]\n", "offline"},
		"an agent without a model":            {header + "agents: [{name: a}]\n", "model"},
		"an agent without a name":             {header + "agents: [{model: offline}]\n", "name"},
		"an agent that climbs out":            {header + "agents: [{name: ../a, model: offline}]\n", "agent name"},
		"two agents of one name":              {header + "agents: [{name: a, model: offline}, {name: a, model: offline}]\n", "twice"},
		"an empty list of agents":             {header + "agents: []\n", "agents"},
		"a script without the scripted model": {header + "agents: [{name: a, model: offline, script: x}]\n", "script"},
		"a scripted model without a script":   {header + "agents: [{name: a, model: scripted}]\n", "script"},
		"a setting of confirm that is none":   {header + "agents: [{name: a, model: offline, confirm: never}]\n", "confirm"},
		"a setting of readers that is none":   {header + "agents: [{name: a, model: offline, readers: all}]\n", "readers"},
		"a mandate that names no tool":        {header + "agents: [{name: a, model: offline, mandate: [notes]}]\n", "SKILL.TOOL"},
		"an identity that is no address":      {header + "agents: [{name: a, model: offline, owner: {identities: [me]}}]\n", "address"},
		"two addresses in one":                {header + "agents: [{name: a, model: offline, directory: [\"a@b.example c@d.example\"]}]\n", "address"},
		"an owner with another key":           {header + "agents: [{name: a, model: offline, owner: {names: [a@b.example]}}]\n", "names"},
		"a long persona":                      {header + "agents: [{name: a, model: offline, persona: " + strings.Repeat("x", 16*abi.KiB+1) + "}]\n", "persona"},
		"a skill that is no name":             {header + "agents: [{name: a, model: offline, skills: [../x]}]\n", "skill name"},
		"a private origin with a path":        {header + "egress: {private: [{origin: \"http://127.0.0.1/x\", skills: [a]}]}\n", "egress"},
		"a private origin for nobody":         {header + "egress: {private: [{origin: \"http://127.0.0.1\", skills: []}]}\n", "names no skill"},
		"a private origin without skills":     {header + "egress: {private: [\"http://127.0.0.1\"]}\n", "egress"},
		"a wildcard as a private origin":      {header + "egress: {private: [{origin: \"http://*.local.test\", skills: [a]}]}\n", "egress"},
		"a limit that is no size":             {header + "limits: {output: big}\n", "output"},
		"fuel, which nothing enforces":        {header + "limits: {fuel: 5}\n", "fuel"},
		"invalid UTF-8":                       {header + "persona: \xff\n", ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse("/x/glovebox.yaml", []byte(c.text))
			if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "glovebox.yaml") {
				t.Fatalf("error %v; want ErrConfig that names the file and %q", err, c.want)
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(header + "agents: [{name: a, model: offline, skills: [\"*\"]}]\nlimits: {wall: 3s}\n"))
	f.Add([]byte("schema: glovebox/config/v1\negress: {private: [{origin: \"http://127.0.0.1\", skills: [a]}]}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		cfg, err := Parse("/x/glovebox.yaml", data)
		if err != nil {
			return
		}
		var listen Listen
		if err := listen.UnmarshalText([]byte(cfg.Listen)); err != nil {
			t.Errorf("accepted %q: %v", cfg.Listen, err)
		}
		if len(cfg.Agents) == 0 {
			t.Error("accepted a configuration without an agent")
		}
	})
}

func TestZeroAgentMayNothing(t *testing.T) {
	t.Parallel()
	if (Agent{}).May("calc") {
		t.Error("the zero agent may use a skill")
	}
}

func TestFilesThatOthersMayWriteAreRefused(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "glovebox.yaml")
	if err := os.WriteFile(path, []byte(header), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(path); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o646); err != nil {
		t.Fatal(err)
	}
	var mode *ModeError
	if _, err := Load(path); !errors.As(err, &mode) || mode.Hint() != "chmod 644 "+path {
		t.Errorf("error %v, want a ModeError with chmod 644", err)
	}
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("a folder was read as a file")
	}
	if _, err := Load(path + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

func TestEnvironment(t *testing.T) {
	t.Parallel()
	cases := map[string]struct {
		env  map[string]string
		want string
	}{
		"own variable first":           {map[string]string{"GLOVEBOX_STATE": "/a", "XDG_STATE_HOME": "/b", "HOME": "/c"}, "/a"},
		"then XDG":                     {map[string]string{"XDG_STATE_HOME": "/b", "HOME": "/c"}, "/b/glovebox"},
		"a relative XDG value is void": {map[string]string{"XDG_STATE_HOME": "b", "HOME": "/c"}, "/c/.local/state/glovebox"},
		"then home":                    {map[string]string{"HOME": "/c"}, "/c/.local/state/glovebox"},
		"without anything, an error":   {nil, ""},
		"a relative home is no home":   {map[string]string{"HOME": "c"}, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, err := environment(func(k string) string { return c.env[k] })
			if (err != nil) != (c.want == "") || env.State != c.want {
				t.Errorf("state %q, error %v; want %q", env.State, err, c.want)
			}
		})
	}
}
