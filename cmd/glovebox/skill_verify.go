package main

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/spf13/cobra"
)

// trusting are the flags of "skill verify" that replace the configuration.
type trusting struct {
	key, issuer, identity, pattern, root, file string
}

func (a *app) skillVerify() *cobra.Command {
	var t trusting
	cmd := &cobra.Command{
		Use: "verify DIR|NAME", Short: "Say who signed a skill, or why it is refused", Args: exactly(1),
		Long: `Say who signed a skill, and whether that is one of the publishers in your
configuration or this machine itself. --publisher-key asks about one key, --issuer and
--identity about one identity instead. A refusal is exit code 3, with its reason.`,
		Example: `  glovebox skill verify hello
  glovebox skill verify hello --publisher-key acme.pub
  glovebox skill verify hello --issuer https://token.actions.githubusercontent.com \
    --identity https://github.com/acme/hello/.github/workflows/release.yml@refs/tags/v1.0.0`,
		RunE: func(_ *cobra.Command, args []string) error {
			found, err := a.find(args[0])
			if err != nil {
				return err
			}
			if found.bundle == nil {
				return usage("a bare module has no signature", "glovebox skill verify DIR")
			}
			return a.verify(found.bundle, t)
		},
	}
	f := cmd.Flags()
	f.StringVar(&t.key, "publisher-key", "", "public key `FILE` that must have signed")
	f.StringVar(&t.issuer, "issuer", "", "OIDC issuer `URL` of the identity that must have signed")
	f.StringVar(&t.identity, "identity", "", "the `NAME` in the certificate: an address, or the URI of a workflow")
	f.StringVar(&t.pattern, "identity-pattern", "", "regular `EXPRESSION` for the whole name instead")
	f.StringVar(&t.root, "trusted-root", "", "trusted_root.json `FILE` of a private Sigstore that certified it (default: the public good)")
	f.StringVar(&t.file, "bundle", "", "signature `FILE` (default: skill.sigstore.json in DIR)")
	return cmd
}

func (a *app) verify(b *skills.Bundle, t trusting) error {
	trusted, err := a.trusted(b.Name(), t)
	if err != nil {
		return err
	}
	v, err := signature.New(trusted)
	if err != nil {
		return failed(err.Error(), "correct the configuration, or the flag")
	}
	art, err := artifact.Manifest(b)
	if err != nil {
		return err
	}
	raw, err := signature.ReadFile(cmp.Or(t.file, signature.In(b.Dir)))
	if err != nil {
		return err
	}
	s, err := v.Verify(raw, art.Digest, b.Name())
	if err == nil && s.Statement != nil {
		err = s.Statement.Check(signature.FactsOf(b.Manifest, b.Digest))
	}
	var refusal *signature.Refusal
	if errors.As(err, &refusal) {
		return refusal.In(config.ShellQuote(b.Dir))
	}
	if err != nil {
		return err
	}
	result := map[string]any{
		"skill": b.Name(), "version": b.Manifest.Manifest.Version, "digest": art.Digest, "publisher": s.Publisher, "signer": s.Signer,
		"class": s.Class, "predicate": s.Predicate, "issuer": s.Issuer, "source": s.Source,
	}
	when := "at a time that nobody vouches for"
	if !s.At.IsZero() {
		result["signed_at"], when = s.At, s.At.Format(time.DateTime)+" UTC"
	}
	return a.show(result, func() {
		by := "key " + s.Signer
		if s.Issuer != "" {
			by = s.Signer + ", vouched for by " + s.Issuer
		}
		fmt.Fprintf(a.out, "%s %s is signed by %s (%s), %s; class %s\n", b.Name(), b.Manifest.Manifest.Version, s.Publisher, oneLine(by), when, s.Class)
	})
}

// trusted returns whom the flags name, or whom the configuration trusts.
func (a *app) trusted(skill abi.SkillName, t trusting) (signature.Config, error) {
	given := signature.Publisher{Name: "given", Skills: []string{string(skill)}, TrustedRoot: "given"}
	switch {
	case t.key != "" && (t.issuer != "" || t.identity != "" || t.pattern != "" || t.root != ""):
		return signature.Config{}, usage("--publisher-key asks about a key, the other flags about an identity", "glovebox skill verify --help")
	case t.key != "":
		text, err := readSmall(t.key)
		if err != nil {
			return signature.Config{}, err
		}
		if given.Key, err = signature.ParseKey(text); err != nil {
			return signature.Config{}, fmt.Errorf("%s: %w", t.key, err)
		}
		return signature.Config{Publishers: []signature.Publisher{given}}, nil
	case t.issuer != "" || t.identity != "" || t.pattern != "" || t.root != "":
		given.Identity = &signature.Identity{Issuer: t.issuer, SAN: t.identity, SANPattern: t.pattern}
		root := signature.PublicGoodRoot()
		if t.root != "" {
			text, err := readSmall(t.root)
			if err != nil {
				return signature.Config{}, err
			}
			root = signature.Root{Class: signature.PrivateV2, JSON: text}
		}
		return signature.Config{Publishers: []signature.Publisher{given}, Roots: map[string]signature.Root{"given": root}}, nil
	}
	state, err := a.openState()
	if err != nil {
		return signature.Config{}, err
	}
	settings, err := a.settings(state)
	if err != nil {
		return signature.Config{}, err
	}
	return signature.Trusted(state, settings.Trust)
}
