package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/spf13/cobra"
)

// signing are the flags of "skill sign".
type signing struct {
	key, passphrase         string
	fulcio, token, log, out string
	timestamps              []string
}

func (a *app) skillSign() *cobra.Command {
	var s signing
	cmd := &cobra.Command{
		Use: "sign DIR", Short: "Sign a built skill", Args: exactly(1),
		Long: `Sign a built skill. Without flags the key of this machine signs, which is made at its
first use (STATE/keys/publisher.pem) and is trusted by the daemon of this state folder
alone. With --key a file does, such as a cosign.key. With --fulcio an identity does:
its token is proved to a certificate authority, and the signature needs the times of
--timestamp and the log of --rekor to be worth anything later.`,
		Example: `  glovebox skill sign hello
  glovebox skill sign hello --key cosign.key --passphrase-file pass.txt
  glovebox skill sign hello --fulcio https://fulcio.example --identity-token token.jwt \
    --rekor https://rekor.example --timestamp https://tsa.example/api/v1/timestamp`,
		RunE: func(cmd *cobra.Command, args []string) error {
			b, err := skills.Open(args[0])
			if err != nil {
				return err
			}
			return a.sign(cmd.Context(), b, s)
		},
	}
	f := cmd.Flags()
	f.StringVar(&s.key, "key", "", "private key `FILE`: P-256, PEM, or a cosign.key")
	f.StringVar(&s.passphrase, "passphrase-file", "", "`FILE` with the passphrase of --key")
	f.StringVar(&s.fulcio, "fulcio", "", "`URL` of the certificate authority that certifies the identity")
	f.StringVar(&s.token, "identity-token", "", "`FILE` with the OIDC token of the identity")
	f.StringVar(&s.log, "rekor", "", "`URL` of the transparency log (Rekor v2) to enter the signature in")
	f.StringArrayVar(&s.timestamps, "timestamp", nil, "`URL` of a timestamp authority (RFC 3161); may be repeated")
	f.StringVar(&s.out, "out", "", "`FILE` to write (default: skill.sigstore.json in DIR)")
	return cmd
}

func (a *app) sign(ctx context.Context, b *skills.Bundle, s signing) error {
	art, err := artifact.Manifest(b)
	if err != nil {
		return err
	}
	r := signature.Request{Digest: art.Digest, Facts: signature.FactsOf(b.Manifest, b.Digest), Fulcio: s.fulcio, Log: s.log, Timestamps: s.timestamps}
	made, err := a.signer(&r, s)
	if err != nil {
		return err
	}
	if r.Transport, err = transport(append([]string{s.fulcio, s.log}, s.timestamps...)...); err != nil {
		return err
	}
	raw, err := signature.Sign(ctx, r)
	if err != nil {
		return err
	}
	file := cmp.Or(s.out, signature.In(b.Dir))
	if err := signature.WriteFile(file, raw); err != nil {
		return err
	}
	result := map[string]any{"skill": b.Name(), "version": b.Manifest.Manifest.Version, "digest": art.Digest, "file": file}
	if r.Signer != nil {
		k, err := signature.PublicKeyOf(r.Signer)
		if err != nil {
			return err
		}
		result["key"], result["public_key"] = k.Hint, string(k.PEM())
	}
	return a.show(result, func() {
		if made {
			a.say("made the key of this machine; its public half, for those who are to trust it:")
			fmt.Fprint(a.err, result["public_key"])
		}
		fmt.Fprintf(a.out, "signed %s %s, %s, with %s\n", b.Name(), b.Manifest.Manifest.Version, art.Digest, keyOrIdentity(result["key"]))
	})
}

func keyOrIdentity(hint any) string {
	if hint == nil {
		return "the identity in the token"
	}
	return fmt.Sprintf("key %s", hint)
}

// signer puts the key into r: that of a file, this machine's, or none where a
// certificate will do. made is true when this machine's was made just now.
func (a *app) signer(r *signature.Request, s signing) (made bool, err error) {
	switch {
	case s.fulcio != "":
		if s.key != "" || s.token == "" {
			return false, usage("--fulcio certifies an identity: it needs --identity-token and no --key", "glovebox skill sign --help")
		}
		token, err := readSmall(s.token)
		r.Token = strings.TrimSpace(string(token))
		return false, err
	case s.token != "":
		return false, usage("--identity-token is for --fulcio", "glovebox skill sign --help")
	case s.key != "":
		text, err := readSmall(s.key)
		if err != nil {
			return false, err
		}
		r.Signer, err = signature.LoadSigner(text, passphrase(s.passphrase))
		if errors.Is(err, signature.ErrPassphrase) {
			return false, failed(fmt.Sprintf("%s: %v", s.key, err), "glovebox skill sign DIR --key "+config.ShellQuote(s.key)+" --passphrase-file FILE")
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", s.key, err)
		}
		return false, nil
	}
	state, err := a.openState()
	if err != nil {
		return false, err
	}
	r.Signer, made, err = signature.MakeOwnKey(state)
	return made, err
}

// passphrase reads the file when it is asked, without its last line end.
func passphrase(file string) func() ([]byte, error) {
	if file == "" {
		return nil
	}
	return func() ([]byte, error) {
		b, err := readSmall(file)
		return bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r")), err
	}
}

// readSmall reads a file of a key, a token or a passphrase.
func readSmall(file string) (b []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if b, err = io.ReadAll(io.LimitReader(f, signature.MaxKey+1)); err == nil && len(b) > signature.MaxKey {
		err = fmt.Errorf("%s has more than %d bytes", file, signature.MaxKey)
	}
	return b, err
}

// transport reaches the origins of those URLs; empty ones are left out.
func transport(urls ...string) (http.RoundTripper, error) {
	var c broker.OperatorConfig
	for _, raw := range urls {
		if raw == "" {
			continue
		}
		u, err := abi.ParseURL(raw)
		if err != nil {
			return nil, usage(err.Error(), "")
		}
		c.Origins = append(c.Origins, u.Origin)
	}
	client, err := broker.OperatorClient(c)
	if err != nil {
		return nil, err
	}
	return client.Transport, nil
}
