package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func testTime() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

const weatherMD = "---\nname: weather\ndescription: Tells the weather. Use it for forecasts.\nlicense: MIT\n---\n\n# Weather\n\nAsk for a city.\n"

func TestAgentSkills(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, text  string
		description string
		left        []string
	}{
		{"as the format wants it", weatherMD, "Tells the weather. Use it for forecasts.", []string{"prose runs nothing"}},
		{"windows line ends and a mark", "\ufeff" + strings.ReplaceAll(weatherMD, "\n", "\r\n"), "Tells the weather. Use it for forecasts.", nil},
		{"another name than the folder", strings.Replace(weatherMD, "name: weather", "name: forecast", 1), "Tells the weather. Use it for forecasts.", []string{`the folder is called "weather"`}},
		{"a name that is none here", strings.Replace(weatherMD, "name: weather", "name: My Weather", 1), "Tells the weather. Use it for forecasts.", []string{`became "my-weather"`}},
		{"a colon without quotes", strings.Replace(weatherMD, "Use it", "Use when: it", 1), "Tells the weather. Use when: it for forecasts.", []string{"it is no YAML"}},
		{"tools of another host", strings.Replace(weatherMD, "license: MIT", "allowed-tools: Bash(git:*) Read\nodd: {a: b}", 1), "Tells the weather. Use it for forecasts.", []string{"allowed-tools: it names tools", "odd: this host"}},
		{"hidden instructions", strings.Replace(weatherMD, "Ask", "A\U000e0069\U000e0067sk\u200b", 1), "Tells the weather. Use it for forecasts.", []string{"hides characters: U+E0069 in line 5, U+E0067 in line 5, U+200B in line 5"}},
		{"a hidden part of the description", strings.Replace(weatherMD, "Tells", "Te\u202ells\U000e0041", 1), "Tells the weather. Use it for forecasts.", []string{"2 characters that nobody sees"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			list, err := Open(SkillMD, folder(t, "weather", map[string]string{"SKILL.md": c.text}))
			if err != nil {
				t.Fatal(err)
			}
			s := list[0]
			if s.Manifest.Description != c.description || !s.Grant.Draft {
				t.Errorf("description %q", s.Manifest.Description)
			}
			for _, want := range c.left {
				if !strings.Contains(fmt.Sprint(s.Left), want) {
					t.Errorf("nothing says %q in %v", want, s.Left)
				}
			}
		})
	}
}

func TestAgentSkillsAreRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no front matter":               "# Weather\n",
		"front matter without an end":   "---\nname: a\ndescription: b\n",
		"no description":                "---\nname: weather\n---\n",
		"a description of white space":  "---\nname: weather\ndescription: \" \"\n---\n",
		"a description that is hidden":  "---\nname: weather\ndescription: \"\u200b\"\n---\n",
		"a description of another type": "---\nname: weather\ndescription: [a]\n---\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			list, err := Open(SkillMD, folder(t, "weather", map[string]string{"SKILL.md": text}))
			if name == "a description that is hidden" { // it is there, and says nothing
				if err != nil || !strings.HasPrefix(list[0].Manifest.Description, "Imported") {
					t.Error(list, err)
				}
				return
			}
			if err == nil {
				t.Error("it was taken")
			}
		})
	}
}

func TestFoldersCarryTextsAndNoScripts(t *testing.T) {
	t.Parallel()
	dir := folder(t, "weather", map[string]string{
		"SKILL.md": weatherMD, "references/cities.md": "Oslo", "assets/a/icon.svg": "<svg/>", "LICENSE": "MIT",
		"scripts/run.sh": "curl evil", "notes.txt": "x", "skill.wasm": string(wasmV2()),
	})
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(secret, filepath.Join(dir, "references", "link.md")); err != nil {
		t.Fatal(err)
	}
	list, err := Open(SkillMD, dir)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out")
	if err := list[0].Write(out); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]bool{
		"SKILL.md": true, "references/cities.md": true, "assets/a/icon.svg": true, "LICENSE": true, "skill.wasm": true, "skill.yaml": true,
		"scripts/run.sh": false, "notes.txt": false, "references/link.md": false,
	} {
		if _, err := os.Lstat(filepath.Join(out, name)); (err == nil) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, want := range []string{"scripts: what is in this folder", "notes.txt: only", "references/link.md: it is neither"} {
		var all []string
		for _, l := range list[0].Left {
			all = append(all, l.String())
		}
		if !strings.Contains(strings.Join(all, "\n"), want) {
			t.Errorf("nothing says %q in %q", want, all)
		}
	}
}

func TestFoldersAreBounded(t *testing.T) {
	t.Parallel()
	many := map[string]string{"SKILL.md": weatherMD}
	for i := range maxFiles + 1 {
		many[fmt.Sprintf("assets/%d", i)] = ""
	}
	if _, err := Open(SkillMD, folder(t, "weather", many)); err == nil || !strings.Contains(err.Error(), "more than 1000 files") {
		t.Errorf("%d files: %v", maxFiles+1, err)
	}
	big := folder(t, "weather", map[string]string{"SKILL.md": weatherMD, "assets/a": "", "assets/b": "", "assets/c": "", "assets/d": ""})
	for _, name := range []string{"a", "b", "c", "d"} {
		if err := os.Truncate(filepath.Join(big, "assets", name), 9<<20); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := Open(SkillMD, big); err == nil || !strings.Contains(err.Error(), "more than 33554432 bytes") {
		t.Errorf("36 MiB: %v", err)
	}
}
