package importer

import (
	"errors"
	"fmt"
	"strings"
)

// skillText is the file of a folder in the Agent Skills format.
const skillText = "SKILL.md"

// agentSkill reads SKILL.md (https://agentskills.io/specification), leniently as the format
// asks of hosts: a name that is not the folder's, a long text, an unknown key or front matter
// that is no YAML are told and not refused. A description has to be there.
func agentSkill(folder string, text []byte) (*Skill, error) {
	front, body, err := split(text)
	if err != nil {
		return nil, err
	}
	tree, broken := parseTree([]byte(front))
	fields, ok := tree.(map[string]any)
	if broken != nil || !ok {
		fields = lines(front)
	}
	name, named := fields["name"].(string)
	if !named {
		name = folder
	}
	s := newSkill(SkillMD, name)
	if broken != nil {
		s.leave("front matter", "it is no YAML (%.120q): its lines were read one by one", broken.Error())
	}
	if named && name != folder {
		s.leave("name", "the folder is called %.80q, and the skill %.80q", folder, name)
	}
	o := &object{s: s, m: fields}
	o.ignore("name", "license", "metadata")
	description := o.text("description")
	s.describe("description", description)
	if strings.TrimSpace(description) == "" {
		return nil, errors.New("SKILL.md has no description")
	}
	if len(description) > 1024 {
		s.leave("description", "%d bytes, and the format allows 1024", len(description))
	}
	o.drop("it names tools of another host; what a skill may do is asked for under needs", "allowed-tools")
	o.drop("it is about another host", "compatibility")
	o.rest()
	if marks := marks(body); marks != "" {
		s.leave(skillText, "the prose hides characters: %s; it is copied as it is", marks)
	}
	s.leave("module", "prose runs nothing: put a module into the folder as skill.wasm")
	return s, nil
}

// split returns the front matter, between two lines of three dashes, and what follows.
func split(text []byte) (front, body string, err error) {
	s := strings.ReplaceAll(strings.TrimPrefix(string(text), "\ufeff"), "\r\n", "\n")
	rest, ok := strings.CutPrefix(s, "---\n")
	if !ok {
		return "", "", errors.New("SKILL.md does not begin with front matter")
	}
	front, body, ok = strings.Cut("\n"+rest, "\n---")
	if !ok || body != "" && !strings.HasPrefix(strings.TrimLeft(body, "- \t"), "\n") {
		return "", "", errors.New("the front matter of SKILL.md does not end")
	}
	return front, body, nil
}

// lines reads "key: value" from the first column, for front matter that is no YAML: most of it
// has a colon in a description without quotes.
func lines(front string) map[string]any {
	fields := map[string]any{}
	for line := range strings.Lines(front) {
		key, value, ok := strings.Cut(strings.TrimSuffix(line, "\n"), ":")
		if !ok || key == "" || strings.TrimSpace(key) != key {
			continue
		}
		if _, twice := fields[key]; !twice {
			fields[key] = strings.Trim(strings.TrimSpace(value), `"'`)
		}
	}
	return fields
}

// marks names the first characters of text that nobody sees, and how many there are.
func marks(text string) string {
	const shown = 8
	var out []string
	n, line := 0, 1
	for _, r := range text {
		switch {
		case r == '\n':
			line++
		case r != '\t' && unseen(r):
			if n++; n <= shown {
				out = append(out, fmt.Sprintf("%U in line %d", r, line))
			}
		}
	}
	if n > shown {
		out = append(out, fmt.Sprintf("%d more", n-shown))
	}
	return strings.Join(out, ", ")
}
