package host

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// parse applies the text of a configuration file to a test's configuration, as if
// the file lay beside the skills.
func parse(t *testing.T, f *Config, text string) {
	t.Helper()
	dirs, grants, listen := f.Settings.Skills.Dirs, f.Settings.Grants.Dir, f.Settings.Listen
	cfg, err := config.Parse(filepath.Join(filepath.Dir(dirs[0]), "glovebox.yaml"), []byte("schema: glovebox/config/v1\n"+text))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text, "skills: {dirs") {
		cfg.Skills.Dirs = dirs
	}
	if !strings.Contains(text, "grants:") {
		cfg.Grants.Dir = grants
	}
	if !strings.Contains(text, "listen:") {
		cfg.Listen = listen
	}
	f.Settings = cfg
}

// TestEachKeyChangesBehaviour has one case per key of glovebox.yaml: what is parsed
// is enforced.
func TestEachKeyChangesBehaviour(t *testing.T) {
	t.Parallel()
	const sum = `{"expression":"6*7"}`
	with := func(t *testing.T, text string) *fixture {
		return newFixture(t, func(c *Config) { parse(t, c, text) })
	}
	cases := map[string]func(t *testing.T){
		"listen": func(t *testing.T) {
			f := with(t, "listen: \"[::1]:0\"\n")
			if err := f.Start(t.Context(), string(f.settings.Listen)); err != nil {
				testenv.Need(t, "ipv6", func() error { return err })
			}
			if !strings.HasPrefix(f.Address(), "http://[::1]:") {
				t.Errorf("listens on %s", f.Address())
			}
		},
		"log.level": func(t *testing.T) {
			for level, want := range map[string]bool{"info": true, "error": false} {
				out := &lines{}
				f := newFixture(t, func(c *Config) {
					parse(t, c, "log: {level: "+level+"}\n")
					c.Log = out.handler(c.Settings.Log.Level.Level)
				})
				f.log.Info("a line")
				if strings.Contains(out.String(), "a line") != want {
					t.Errorf("level %s: %q", level, out)
				}
			}
		},
		"skills.dirs": func(t *testing.T) {
			if f := with(t, "skills: {dirs: [elsewhere]}\n"); f.ask("calc.evaluate", sum).Rule != "gate/unknown-tool" {
				t.Error("a skill outside the folders was found")
			}
		},
		"grants.dir": func(t *testing.T) {
			if f := with(t, "grants: {dir: elsewhere}\n"); f.ask("calc.evaluate", sum).Rule != "gate/not-granted" {
				t.Error("a grant outside the folder held")
			}
		},
		"egress.private": func(t *testing.T) {
			url, hits := page(t, "text.")
			args := fmt.Sprintf(`{"url":%q}`, url)
			with(t, "egress: {private: []}\n").ask("textstat.fetch_and_analyse", args)
			if *hits != 0 {
				t.Fatal("a private origin was open by default")
			}
			with(t, fmt.Sprintf("egress: {private: [{origin: %q, skills: [webpage]}]}\n", url)).ask("textstat.fetch_and_analyse", args)
			if *hits != 0 {
				t.Fatal("an origin of another skill was open")
			}
			with(t, fmt.Sprintf("egress: {private: [{origin: %q, skills: [textstat]}]}\n", url)).ask("textstat.fetch_and_analyse", args)
			if *hits != 1 {
				t.Error("the private origin was not opened")
			}
		},
		"limits": func(t *testing.T) {
			if c := with(t, "limits: {input: 16B}\n").ask("calc.evaluate", sum); c.Outcome != agent.OutcomeError || !strings.Contains(c.Why, "input") {
				t.Errorf("over the limit: %+v", c)
			}
			if c := with(t, "limits: {input: 1KiB}\n").ask("calc.evaluate", sum); c.Outcome != agent.OutcomeOK {
				t.Errorf("under the limit: %+v", c)
			}
		},
		"agents.skills": func(t *testing.T) {
			for list, want := range map[string]string{"[calc]": agent.OutcomeOK, "[\"*\"]": agent.OutcomeOK, "[textstat]": agent.OutcomeDenied, "[]": agent.OutcomeDenied} {
				f := with(t, "agents: [{name: main, model: offline, skills: "+list+"}]\n")
				if c := f.ask("calc.evaluate", sum); c.Outcome != want {
					t.Errorf("skills %s: %+v", list, c)
				}
			}
		},
		"agents.name": func(t *testing.T) {
			f := with(t, "agents: [{name: other, model: offline, skills: [\"*\"]}]\n")
			if c := f.ask("calc.evaluate", sum); c.Outcome != agent.OutcomeDenied {
				t.Errorf("a grant for main held for another agent: %+v", c)
			}
			if _, err := f.Chat(t.Context(), admin.ChatRequest{Message: "hi", Agent: "main"}, nil); err == nil {
				t.Error("an agent answered that does not exist")
			}
		},
		"agents.persona": func(t *testing.T) {
			f := with(t, "agents: [{name: main, model: offline, persona: speak of gloves, skills: [\"*\"]}]\n")
			f.ask("calc.evaluate", sum)
			if got := f.model.prompts[0].System.String(); !strings.Contains(got, "speak of gloves") {
				t.Errorf("system text: %q", got)
			}
		},
		"agents.model and agents.script": func(t *testing.T) {
			f := newFixture(t, func(c *Config) {
				parse(t, c, "agents: [{name: main, model: scripted, script: turns.json, skills: [\"*\"]}, {name: second, model: offline}]\n")
				(&fixture{t: t}).write(c.Settings.Agents[0].Script, []byte(`[{"text":"from the script"}]`))
				c.model = nil
			})
			reply, err := f.Chat(t.Context(), admin.ChatRequest{Message: "hi"}, nil)
			if err != nil || reply.Reply != "from the script" {
				t.Errorf("reply %+v, error %v", reply, err)
			}
			if name := f.agents["second"].Model(); name != "offline" {
				t.Errorf("the second agent's model is %q", name)
			}
		},
	}
	for key, check := range cases {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			check(t)
		})
	}
}

// TestEgressFileTakesEffectAtOnce also shows that a damaged file closes everything.
func TestEgressFileTakesEffectAtOnce(t *testing.T) {
	t.Parallel()
	out := &lines{}
	f := newFixture(t, func(c *Config) {
		c.Settings.Egress.Private = []config.PrivateOrigin{{Origin: "http://10.0.0.1", Skills: []config.SkillRef{"textstat"}}}
		c.Log = out.handler(slog.LevelError)
	})
	if got := f.private("textstat"); len(got) != 1 {
		t.Fatalf("open: %v", got)
	}
	if _, err := f.state.SetPrivateOrigin("http://127.0.0.1:9", true, "textstat"); err != nil {
		t.Fatal(err)
	}
	if got := f.private("textstat"); len(got) != 2 {
		t.Errorf("open after egress allow: %v", got)
	}
	if got := f.private("calc"); len(got) != 0 {
		t.Errorf("open to another skill: %v", got)
	}
	f.write(f.state.EgressFile(), []byte("{"))
	if got := f.private("textstat"); len(got) != 0 || !strings.Contains(out.String(), "no private origin is open") {
		t.Errorf("open with a damaged file: %v; log %q", got, out)
	}
}

func TestWatchedFilesAreReadAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	at := time.Now().Add(-time.Hour)
	// Same size, same age: only the inode tells.
	for _, agentName := range []string{"aaaa", "bbbb", "cccc"} {
		path := filepath.Join(f.grants, "calc.yaml")
		if err := config.WriteFile(path, []byte("schema: glovebox/grant/v1\nskill: calc\nagents: ["+agentName+"]\n")); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
		g, _, err := f.surveyor.grants.Lookup("calc")
		if err != nil || len(g.Agents) != 1 || string(g.Agents[0]) != agentName {
			t.Errorf("read %+v, error %v; want %s", g, err, agentName)
		}
	}
}

// TestReadersAndChangesAtOnce lets grants change while messages and listings run: the
// race detector is the judge.
func TestReadersAndChangesAtOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 20 {
				if i == 0 {
					text := fmt.Sprintf("schema: glovebox/grant/v1\nskill: calc\nagents: [main]\nlimits: {http_calls: %d}\n", j+1)
					if err := config.WriteFile(filepath.Join(f.grants, "calc.yaml"), []byte(text)); err != nil {
						t.Error(err)
					}
					continue
				}
				w, err := f.current(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				for _, s := range w.skills {
					_ = s.State + s.Why
				}
				if _, err := f.Skills(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}
