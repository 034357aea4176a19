package signature

import (
	"errors"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/root"
)

// TestZeroClassIsRefused: nothing is verified by a class that nobody chose.
func TestZeroClassIsRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []Class{"", "any", "PINNED"} {
		if a, err := newAuthority(c, &root.BaseTrustedMaterial{}); a != nil || !errors.Is(err, errClass) {
			t.Errorf("class %q: got %v, %v", c, a, err)
		}
	}
	if a, err := newAuthority(PinnedPlain, &root.BaseTrustedMaterial{}); a == nil || err != nil {
		t.Errorf("a pinned key: %v", err)
	}
}

// TestProvenanceNamesItsRepository: what the operator recorded is text, not a pattern.
func TestProvenanceNamesItsRepository(t *testing.T) {
	t.Parallel()
	id, err := Package{PURL: "pkg:npm/a@1", Repository: "https://github.com/a/b.c"}.identity()
	if err != nil {
		t.Fatal(err)
	}
	m, err := id.matcher()
	if err != nil {
		t.Fatal(err)
	}
	for san, want := range map[string]bool{
		"https://github.com/a/b.c/.github/workflows/r.yml@refs/tags/v1":                      true,
		"https://github.com/a/b.c/.github/workflows/r.yml@refs/heads/main":                   true,
		"https://github.com/a/bxc/.github/workflows/r.yml@refs/tags/v1":                      false,
		"https://github.com/a/b.cd/.github/workflows/r.yml@refs/tags/v1":                     false,
		"https://github.com/a/b.c/.github/workflows/r.yml@refs/pull/1/merge":                 false,
		"https://github.com/a/b.c/.github/workflows/x/../r.yml@refs/tags/v1":                 false,
		"https://evil.example/https://github.com/a/b.c/.github/workflows/r.yml@refs/tags/v1": false,
	} {
		if got := m.SubjectAlternativeName.Regexp.MatchString(san); got != want {
			t.Errorf("%s: %v, want %v", san, got, want)
		}
	}
}
