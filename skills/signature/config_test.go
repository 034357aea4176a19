package signature_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

// TestVerifierIsBuiltOrNot holds every configuration that would trust more, or less,
// than it says.
func TestVerifierIsBuiltOrNot(t *testing.T) {
	t.Parallel()
	a := signtest.New(t)
	k := signtest.Key(t)
	windowed := *k.Public
	windowed.From = time.Now()
	backwards := windowed
	backwards.Until = windowed.From.Add(-time.Hour)
	identity := func(id signature.Identity) []signature.Publisher {
		return []signature.Publisher{{Name: "a", Identity: &id, TrustedRoot: ownRoot}}
	}
	withKey := func(k signature.Key) []signature.Publisher {
		return []signature.Publisher{{Name: "a", Key: &k, TrustedRoot: ownRoot}}
	}
	good := signature.Identity{Issuer: "i", SAN: "s"}
	for name, c := range map[string]struct {
		publishers []signature.Publisher
		root       signature.Root
		want       string // "" builds
	}{
		"nobody":                             {nil, a.Root(t), ""},
		"an identity":                        {identity(good), a.Root(t), ""},
		"an identity by pattern":             {identity(signature.Identity{Issuer: "i", SANPattern: "s.*"}), a.Root(t), ""},
		"no name":                            {[]signature.Publisher{{Key: k.Public}}, a.Root(t), "without a name"},
		"neither key nor identity":           {[]signature.Publisher{{Name: "a"}}, a.Root(t), "exactly one"},
		"both":                               {[]signature.Publisher{{Name: "a", Key: k.Public, Identity: &good}}, a.Root(t), "exactly one"},
		"two of one name":                    {[]signature.Publisher{k.Publisher("a"), signtest.Key(t).Publisher("a")}, a.Root(t), "two publishers"},
		"two keys with one hint":             {[]signature.Publisher{k.Publisher("a"), k.Publisher("b")}, a.Root(t), "has the same one"},
		"a key that was not parsed":          {withKey(signature.Key{Hint: k.Public.Hint}), a.Root(t), "no key"},
		"a window that ends first":           {withKey(backwards), a.Root(t), "ends before"},
		"a window and no such root":          {[]signature.Publisher{{Name: "a", Key: &windowed, TrustedRoot: "x"}}, a.Root(t), "no trusted root"},
		"an identity without issuer":         {identity(signature.Identity{SAN: "s"}), a.Root(t), "issuer"},
		"an identity without name":           {identity(signature.Identity{Issuer: "i"}), a.Root(t), "exactly one"},
		"an identity with two names":         {identity(signature.Identity{Issuer: "i", SAN: "s", SANPattern: "s"}), a.Root(t), "exactly one"},
		"a pattern that escapes its group":   {identity(signature.Identity{Issuer: "i", SANPattern: "a)|(b"}), a.Root(t), "san_pattern"},
		"a pattern of skills that is none":   {[]signature.Publisher{k.Publisher("a", "*x")}, a.Root(t), "skills"},
		"a pattern that cuts a word":         {[]signature.Publisher{k.Publisher("a", "acm*")}, a.Root(t), "skills"},
		"an empty pattern":                   {[]signature.Publisher{k.Publisher("a", "")}, a.Root(t), "skills"},
		"a root of no class":                 {identity(good), signature.Root{JSON: a.TrustedRoot(t)}, "no trust class"},
		"a root of a class of keys":          {identity(good), signature.Root{Class: signature.PinnedPlain, JSON: a.TrustedRoot(t)}, "no trust class"},
		"a public-good root without CT":      {identity(good), signature.Root{Class: signature.PublicGood, JSON: a.TrustedRoot(t)}, "no certificate log"},
		"a root without anything":            {identity(good), signature.Root{Class: signature.PrivateV2, JSON: []byte(emptyRoot)}, "has no log"},
		"a window over it":                   {withKey(windowed), signature.Root{Class: signature.PrivateV2, JSON: []byte(emptyRoot)}, "no timestamp authority"},
		"a root that is no JSON":             {identity(good), signature.Root{Class: signature.PrivateV2, JSON: []byte("{")}, "trusted root"},
		"a root with a field twice":          {identity(good), signature.Root{Class: signature.PrivateV2, JSON: []byte(`{"tlogs":[],` + emptyRoot[1:])}, "duplicate"},
		"a root of more bytes than are read": {identity(good), signature.Root{Class: signature.PrivateV2, JSON: make([]byte, signature.MaxRoot+1)}, "more than"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := signature.New(signature.Config{Publishers: c.publishers, Roots: map[string]signature.Root{ownRoot: c.root}})
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if err == nil || v != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

const emptyRoot = `{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1","tlogs":[],"certificateAuthorities":[],"ctlogs":[],"timestampAuthorities":[]}`

// TestIdentityIsWhole holds names that are nearly those of a publisher.
func TestIdentityIsWhole(t *testing.T) {
	t.Parallel()
	a := signtest.New(t)
	bundle := func(signer, issuer string) []byte {
		return signtest.Encode(t, a.Bundle(t, signer, issuer, signtest.Statement(t, subject(), signature.PredicateSkill, weather())))
	}
	exact := signature.Identity{Issuer: signtest.Issuer, SAN: "release@acme.example"}
	pattern := signature.Identity{Issuer: signtest.Issuer, SANPattern: `release@acme\.example`}
	either := signature.Identity{Issuer: signtest.Issuer, SANPattern: `a@b\.example|release@acme\.example`}
	ci := exact
	ci.SourceRepository = "https://github.com/acme/weather"
	runner := exact
	runner.RunnerEnvironment = "github-hosted"
	for name, c := range map[string]struct {
		id             signature.Identity
		signer, issuer string
		want           signature.Reason
	}{
		"exact":                            {exact, "release@acme.example", signtest.Issuer, ""},
		"by pattern":                       {pattern, "release@acme.example", signtest.Issuer, ""},
		"by the second half of a pattern":  {either, "release@acme.example", signtest.Issuer, ""},
		"a longer name":                    {exact, "release@acme.example.evil.example", signtest.Issuer, signature.ReasonIdentity},
		"a longer name, by pattern":        {pattern, "release@acme.example.evil.example", signtest.Issuer, signature.ReasonIdentity},
		"a longer name, by the first half": {either, "a@b.example.evil.example", signtest.Issuer, signature.ReasonIdentity},
		"a name before it, by pattern":     {pattern, "xrelease@acme.example", signtest.Issuer, signature.ReasonIdentity},
		"another issuer":                   {exact, "release@acme.example", "https://issuer.example.evil.example", signature.ReasonIdentity},
		"another issuer, by pattern":       {pattern, "release@acme.example", "https://issuer.example/", signature.ReasonIdentity},
		"another case":                     {exact, "Release@acme.example", signtest.Issuer, signature.ReasonIdentity},
		"no repository in the certificate": {ci, "release@acme.example", signtest.Issuer, signature.ReasonIdentity},
		"no runner in the certificate":     {runner, "release@acme.example", signtest.Issuer, signature.ReasonIdentity},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := verifier(t, signature.Config{
				Publishers: []signature.Publisher{{Name: "acme", Skills: []string{"*"}, Identity: &c.id, TrustedRoot: ownRoot}},
				Roots:      map[string]signature.Root{ownRoot: a.Root(t)},
			})
			_, err := v.Verify(bundle(c.signer, c.issuer), subject(), "weather")
			if c.want == "" && err != nil {
				t.Fatal(err)
			}
			if c.want != "" && reasonOf(t, err) != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}

// TestPublishersUnderSeveralRoots: the second identity of the second root matches, and
// who may sign what is decided by its own entry.
func TestPublishersUnderSeveralRoots(t *testing.T) {
	t.Parallel()
	a, b := signtest.New(t), signtest.New(t)
	other := signtest.Publisher("two", "other")
	other.Name = "other"
	second := signtest.Publisher("two", "weather")
	second.Name = "second"
	stranger := signtest.Publisher("two", "*")
	stranger.Name, stranger.Identity = "stranger", &signature.Identity{Issuer: signtest.Issuer, SAN: "x@y.example"}
	v := verifier(t, signature.Config{
		Publishers: []signature.Publisher{signtest.Publisher("one", "calc"), stranger, other, second},
		Roots:      map[string]signature.Root{"one": a.Root(t), "two": b.Root(t)},
	})
	s, err := v.Verify(b.Sign(t, subject(), weather()), subject(), "weather")
	if err != nil || s.Publisher != "second" {
		t.Errorf("got %+v, %v", s, err)
	}
	if _, err := v.Verify(a.Sign(t, subject(), weather()), subject(), "weather"); reasonOf(t, err) != signature.ReasonSkill {
		t.Errorf("the signer of calc signs weather: %v", err)
	}
	if _, err := v.Verify(signtest.New(t).Sign(t, subject(), weather()), subject(), "weather"); reasonOf(t, err) != signature.ReasonNoLog {
		t.Errorf("a third root: %v", err)
	}
}

func TestTrustedReadsTheConfiguration(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state, err := config.OpenState(filepath.Join(dir, "state"))
	if err != nil {
		t.Fatal(err)
	}
	a, k := signtest.New(t), signtest.Key(t)
	write := func(name string, b []byte) string {
		p := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, b, 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	write("k.pub", k.Public.PEM())
	write("root.json", a.TrustedRoot(t))
	settings, err := config.Parse(filepath.Join(dir, "glovebox.yaml"), []byte(`schema: glovebox/config/v1
trust:
  publishers:
    - {name: keyed, skills: [weather], key: k.pub, from: 2020-01-01, until: 2020-12-31, root: ours}
    - {name: acme, skills: ["*"], identity: {issuer: "`+signtest.Issuer+`", san: "`+signtest.Signer+`"}, root: ours}
  roots: [{name: ours, file: root.json, class: private}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := signature.MakeOwnKey(state); err != nil {
		t.Fatal(err)
	}
	cfg, err := signature.Trusted(state, settings.Trust)
	if err != nil {
		t.Fatal(err)
	}
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	if len(cfg.Publishers) != 3 || cfg.Publishers[0].Name != "local" || !cfg.Publishers[1].Key.From.Equal(day("2020-01-01")) || !cfg.Publishers[1].Key.Until.Equal(day("2021-01-01")) {
		t.Fatalf("got %+v", cfg.Publishers)
	}
	v := verifier(t, cfg)
	if s, err := v.Verify(a.Sign(t, subject(), weather()), subject(), "weather"); err != nil || s.Publisher != "acme" {
		t.Errorf("got %+v, %v", s, err)
	}
	stamped := signtest.Encode(t, stamp(t, a, k.Sign(t, subject(), weather())))
	if _, err := v.Verify(stamped, subject(), "weather"); reasonOf(t, err) != signature.ReasonWindow {
		t.Errorf("signed today with a key of 2020: %v", err)
	}

	write("k.pub", append(k.Public.PEM(), "x"...))
	if _, err := signature.Trusted(state, settings.Trust); err == nil || !strings.Contains(err.Error(), "keyed") {
		t.Errorf("a damaged key file: %v", err)
	}
	write("k.pub", k.Public.PEM())
	write("state/trust/public-good.json", make([]byte, signature.MaxRoot+1))
	if _, err := signature.Trusted(state, settings.Trust); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("a pinned root that is too large: %v", err)
	}
}
