package host

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
)

// TestSkillCannotLookLikeTheMemory (RUN7): a skill whose tools look like the host's own
// is left out and says so; it does not take the daemon down for everybody.
func TestSkillCannotLookLikeTheMemory(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.install("calc", func(c *abi.Compiled) {
		c.Manifest.Name, c.Manifest.Tools = "mem0ry", nil
		c.Tools[0].Name = "store"
	})
	list, err := f.Skills(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(list, func(s admin.Skill) bool { return filepath.Base(s.Dir) == "mem0ry" })
	if i < 0 || list[i].State != skillRefused {
		t.Errorf("skills: %+v", list)
	}
	if c := f.ask("calc.evaluate", `{"expression":"6*7"}`); c.Text != "42" {
		t.Errorf("another skill: %+v", c)
	}
}

// TestSharedFoldersAreTold: an author names the mount, and with it the folder in the
// workspace; what another skill keeps there is not handed on in silence.
func TestSharedFoldersAreTold(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	f.grant("calc", strings.ReplaceAll(testGrant, "%s", "calc")+"allow: {files: [{mount: /n, host: 'workspace:n', access: rw}, {mount: /o, host: 'workspace:o', access: rw}]}\n")
	grant := &abi.Grant{Skill: "other", Allow: abi.Allow{Files: []abi.FileGrant{{Mount: "/n", Host: "workspace:n"}, {Mount: "/p", Host: "workspace:p"}}}}
	if got := Shared(f.cfg, grant); len(got) != 1 || got[0] != (Sharing{"/n", "workspace:n", "calc"}) {
		t.Errorf("%+v", got)
	}
	grant.Skill = "calc"
	if got := Shared(f.cfg, grant); len(got) != 0 {
		t.Errorf("with itself: %+v", got)
	}
}
