package main

import (
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills/registry"
)

// TestRegistriesThatShareAName offers one name in two registries: a higher number does
// not win over where a skill is known from, and a withdrawal counts everywhere.
func TestRegistriesThatShareAName(t *testing.T) {
	t.Parallel()
	one, two, evil := abi.DigestOf([]byte("1")), abi.DigestOf([]byte("2")), abi.DigestOf([]byte("evil"))
	in := func(from registry.Name, version string, digest abi.Digest, yanked bool) registry.Found {
		f := registry.Found{Registry: from, Entry: registry.Entry{Name: "acme/weather", Version: version, Digest: digest}}
		if yanked {
			f.Yanked = &registry.Yank{Reason: "leaks"}
		}
		return f
	}
	for name, c := range map[string]struct {
		found []registry.Found
		pin   string
		want  string // version, or words of the refusal
	}{
		"one registry":                     {[]registry.Found{in("a", "1.0.0", one, false), in("a", "2.0.0", two, false)}, "", "2.0.0"},
		"both have the same":               {[]registry.Found{in("a", "2.0.0", two, false), in("b", "2.0.0", two, false)}, "", "2.0.0"},
		"a higher number elsewhere":        {[]registry.Found{in("a", "1.0.0", one, false), in("b", "99.0.0", evil, false)}, "", "different skills"},
		"the same number, other content":   {[]registry.Found{in("a", "1.0.0", one, false), in("b", "1.0.0", evil, false)}, "1.0.0", "different skills"},
		"named by its digest":              {[]registry.Found{in("a", "1.0.0", one, false), in("b", "99.0.0", evil, false)}, string(one), "1.0.0"},
		"withdrawn here, still had there":  {[]registry.Found{in("a", "2.0.0", two, true), in("a", "1.0.0", one, false), in("b", "2.0.0", two, false), in("b", "1.0.0", one, false)}, "", "1.0.0"},
		"withdrawn there, and pinned here": {[]registry.Found{in("a", "2.0.0", two, false), in("b", "2.0.0", two, true)}, "2.0.0", "registry b withdrew"},
		"withdrawn, and nothing else":      {[]registry.Found{in("a", "2.0.0", two, true), in("b", "2.0.0", two, false)}, "", "no registry has"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := chosen(c.found, "acme/weather", c.pin)
			if err != nil && !strings.Contains(err.Error(), c.want) || err == nil && got.Version != c.want {
				t.Errorf("got %+v, %v; want %s", got, err, c.want)
			}
		})
	}
}
