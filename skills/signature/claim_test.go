package signature_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

// TestNobodyMaySignThatName installs what a stranger signed: the refusal says that no
// publisher may sign that name and what one would write, and repeats as a claim, in
// quotes, what the bundle says of itself.
func TestNobodyMaySignThatName(t *testing.T) {
	t.Parallel()
	stranger, own, acme := signtest.Key(t), signtest.Key(t), signtest.Key(t)
	a := signtest.New(t)
	roots := map[string]signature.Root{"own": a.Root(t)}
	local := own.Publisher(config.LocalPublisher, "*")
	keyed := stranger.Sign(t, subject(), weather())
	long := signtest.Decode(t, keyed)
	long.GetVerificationMaterial().GetPublicKey().Hint = strings.Repeat("a", 300)
	ansi := signtest.Decode(t, keyed)
	ansi.GetVerificationMaterial().GetPublicKey().Hint = "\x1b[2Jyes\u202e"
	for name, c := range map[string]struct {
		trusted []signature.Publisher
		bundle  []byte
		reason  signature.Reason
		want    []string // in the text or its fix; none: nobody is invited
	}{
		"nobody is trusted":            {nil, keyed, signature.ReasonKind, []string{"may sign a skill of this name", `claims to be of key "` + stranger.Public.Hint + `"`, "not verified", "skills: [weather], key: FILE.pub"}},
		"this machine alone":           {[]signature.Publisher{local}, keyed, signature.ReasonKey, []string{"may sign a skill of this name", stranger.Public.Hint}},
		"a publisher of other names":   {[]signature.Publisher{acme.Publisher("acme", "acme-*")}, keyed, signature.ReasonKey, []string{"may sign a skill of this name"}},
		"a publisher of that name":     {[]signature.Publisher{acme.Publisher("acme", "weather")}, keyed, signature.ReasonKey, nil},
		"an identity":                  {[]signature.Publisher{local}, a.Sign(t, subject(), weather()), signature.ReasonKind, []string{"identity: {issuer: \"", "san: \"", "not verified"}},
		"an identity of another":       {[]signature.Publisher{signtest.Publisher("own", "other")}, signtest.Encode(t, a.Bundle(t, "mallory@example.com", "https://issuer.example", signtest.Statement(t, subject(), signature.PredicateSkill, weather()))), signature.ReasonIdentity, []string{`"mallory@example.com", vouched for by "https://issuer.example"`}},
		"a claim beyond bounds":        {nil, signtest.Encode(t, long), signature.ReasonKind, nil},
		"a claim that paints":          {nil, signtest.Encode(t, ansi), signature.ReasonKind, []string{`"\x1b[2Jyes\u202e"`}},
		"its signer, for another name": {[]signature.Publisher{stranger.Publisher("acme", "other")}, keyed, signature.ReasonSkill, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v, err := signature.New(signature.Config{Publishers: c.trusted, Roots: roots})
			if err != nil {
				t.Fatal(err)
			}
			_, err = v.Verify(c.bundle, subject(), "weather")
			var r *signature.Refusal
			if !errors.As(err, &r) || r.Reason != c.reason {
				t.Fatalf("got %v, want %s", err, c.reason)
			}
			text := r.Error() + " " + r.Fix
			for _, w := range c.want {
				if !strings.Contains(text, w) {
					t.Errorf("no %q in %s", w, text)
				}
			}
			if len(c.want) == 0 && strings.Contains(text, "publishers: [") {
				t.Errorf("invited: %s", text)
			}
			if strings.ContainsAny(text, "\x1b\u202e") {
				t.Errorf("control characters: %q", text)
			}
		})
	}
}
