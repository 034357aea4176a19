package registry

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"golang.org/x/mod/semver"
)

// Name is what the operator calls a registry: lower-case words joined by hyphens.
type Name string

// Check reports whether n is well-formed.
func (n Name) Check() error {
	if abi.SkillName(n).Check() != nil {
		return fmt.Errorf("registry name %q: want lower-case words joined by single hyphens, at most 64 bytes", clip(string(n)))
	}
	return nil
}

// Publisher is who signs for the skills PUBLISHER/…; the zero value is the registry
// itself. It is the name of a delegated role.
type Publisher string

// Check reports whether p can be a delegated role: a name that is a file name and none
// of the top-level roles.
func (p Publisher) Check() error {
	if abi.SkillName(p).Check() != nil {
		return fmt.Errorf("publisher %q: want lower-case words joined by single hyphens, at most 64 bytes", clip(string(p)))
	}
	switch p {
	case "root", "targets", "snapshot", "timestamp", "osv", "trust":
		return fmt.Errorf("publisher %q: the name is taken by the registry itself", p)
	}
	return nil
}

// SkillID is a skill's name in an index: PUBLISHER/SKILL, or SKILL for the registry's own.
type SkillID string

// Check reports whether id is well-formed.
func (id SkillID) Check() error {
	if publisher, _, ok := strings.Cut(string(id), "/"); ok {
		if err := Publisher(publisher).Check(); err != nil {
			return fmt.Errorf("skill %q: %w", clip(string(id)), err)
		}
	}
	if err := id.Skill().Check(); err != nil {
		return fmt.Errorf("skill %q: %w", clip(string(id)), err)
	}
	return nil
}

// Publisher returns the part before the slash, "" where there is none.
func (id SkillID) Publisher() Publisher {
	publisher, _, ok := strings.Cut(string(id), "/")
	if !ok {
		return ""
	}
	return Publisher(publisher)
}

// Skill returns the name that the skill's manifest bears.
func (id SkillID) Skill() abi.SkillName {
	_, skill, ok := strings.Cut(string(id), "/")
	if !ok {
		return abi.SkillName(id)
	}
	return abi.SkillName(skill)
}

// prefix is what the paths of the publisher's targets begin with.
func (p Publisher) prefix() string {
	if p == "" {
		return ""
	}
	return string(p) + "/"
}

var (
	targetRE = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]*(/[A-Za-z0-9][A-Za-z0-9._+-]*){0,3}$`)
	ociRE    = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+([._-]+[a-z0-9]+)*)+$`)
)

// checkTarget refuses a target's path that is not plain: it becomes a URL and a file.
func checkTarget(path string) error {
	if len(path) > 256 || !targetRE.MatchString(path) {
		return fmt.Errorf("target %q: want up to four plain segments such as osv/npm.zip", clip(path))
	}
	return nil
}

func checkVersion(v string) error {
	if len(v) > 64 || !semver.IsValid("v"+v) || semver.Canonical("v"+v)+semver.Build("v"+v) != "v"+v {
		return fmt.Errorf("version %q: want a semantic version such as 1.4.0", clip(v))
	}
	return nil
}

// newer orders versions, the newest first.
func newer(a, b string) int {
	if c := semver.Compare("v"+b, "v"+a); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// checkLine bounds a text that people will read on one line.
func checkLine(what, s string, most int) error {
	if s == "" || len(s) > most {
		return fmt.Errorf("%s: want 1 to %d bytes", what, most)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%s: characters that cannot be seen", what)
	}
	return nil
}

// clip shortens what goes into an error text.
func clip(s string) string {
	if len(s) > 80 {
		return s[:80] + "…"
	}
	return s
}
