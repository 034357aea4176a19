package main

import (
	"cmp"
	"context"
	"fmt"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/spf13/cobra"
)

func (a *app) skillPack() *cobra.Command {
	var out string
	var unsigned bool
	cmd := &cobra.Command{
		Use: "pack DIR", Short: "Pack a signed skill into one file", Args: exactly(1),
		Long: `Pack a signed skill into one file: an OCI image layout in a tar, which "oras" reads
too. The same skill and signature give the same bytes wherever they are packed.`,
		Example: `  glovebox skill pack hello
  glovebox skill pack hello -o /srv/skills/hello.tar`,
		RunE: func(cmd *cobra.Command, args []string) error {
			p, err := prepare(args[0], unsigned)
			if err != nil {
				return err
			}
			to := artifact.Ref{Kind: artifact.File, Place: cmp.Or(out, p.artifact.FileName())}
			return a.publish(cmd.Context(), p, to, artifact.Options{Unsigned: unsigned})
		},
	}
	cmd.Flags().StringVarP(&out, "out", "o", "", "`FILE` to write (default: NAME-VERSION.skill.tar)")
	cmd.Flags().BoolVar(&unsigned, "unsigned", false, "pack it without a signature; no daemon takes it like that")
	return cmd
}

// publishing are the flags of "skill publish".
type publishing struct {
	unsigned, move, private bool
	user, tokens            string
}

func (a *app) skillPublish() *cobra.Command {
	var f publishing
	cmd := &cobra.Command{
		Use: "publish DIR TARGET", Short: "Put a signed skill into a registry, a folder or a file", Args: exactly(2),
		Long: `Put a signed skill, with its signature, where others can get it: an OCI registry, a
folder (an OCI image layout, which any static web server can serve), or one file. What
is printed pins exactly this skill.

A registry is asked over https; over http only at a loopback address. With --user its
password is read from a prompt without echo, or from stdin, and sent to that registry
alone, and to --token-service, which some use to log in.`,
		Example: `  glovebox skill publish hello oci://registry.example/acme/hello:1.0.0 --user ada
  glovebox skill publish hello oci://127.0.0.1:5000/hello:1.0.0
  glovebox skill publish hello /srv/www/skills
  glovebox skill publish hello hello.tar`,
		RunE: func(cmd *cobra.Command, args []string) error {
			to, err := artifact.ParseRef(args[1])
			if err != nil {
				return err
			}
			p, err := prepare(args[0], f.unsigned)
			if err != nil {
				return err
			}
			o := artifact.Options{Unsigned: f.unsigned, Move: f.move}
			if err := a.reach(&o, to, f); err != nil {
				return err
			}
			return a.publish(cmd.Context(), p, to, o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&f.unsigned, "unsigned", false, "publish it without a signature, to sign it there with cosign")
	flags.BoolVar(&f.move, "move", false, "let a tag name another skill than before")
	flags.BoolVar(&f.private, "private", false, "the registry's name stands for a private address")
	flags.StringVar(&f.user, "user", "", "`NAME` at the registry; its password is read from a prompt or stdin")
	flags.StringVar(&f.tokens, "token-service", "", "`URL` of another host that logs the user in, as https://auth.docker.io")
	return cmd
}

// prepared is a skill that can be published.
type prepared struct {
	artifact *artifact.Artifact
	bundles  [][]byte
}

// prepare makes the artifact of the skill in dir. A signature of other files is
// refused here already, so that nobody publishes what everybody refuses.
func prepare(dir string, unsigned bool) (prepared, error) {
	b, err := skills.Open(dir)
	if err != nil {
		return prepared{}, err
	}
	art, err := artifact.Manifest(b)
	if err != nil || unsigned {
		return prepared{artifact: art}, err
	}
	raw, err := signature.ReadFile(signature.In(b.Dir))
	if err != nil {
		return prepared{}, err
	}
	hint := "glovebox skill sign " + config.ShellQuote(dir)
	if raw == nil {
		return prepared{}, refused(fmt.Sprintf("%s %s is not signed", art.Name, art.Version), string(signature.ReasonMissing), hint)
	}
	if about, _ := artifact.Claims(raw); about != art.Digest {
		return prepared{}, refused(fmt.Sprintf("the signature of %s is of other files than these: it says %q", art.Name, about), string(signature.ReasonDigest), hint)
	}
	return prepared{artifact: art, bundles: [][]byte{raw}}, nil
}

// reach gives o the way to a registry.
func (a *app) reach(o *artifact.Options, to artifact.Ref, f publishing) error {
	if to.Kind != artifact.Registry {
		if f.user != "" || f.private || f.tokens != "" {
			return usage("--user, --token-service and --private are about a registry", "glovebox skill publish --help")
		}
		return nil
	}
	c := broker.OperatorConfig{Origins: []abi.Origin{to.Origin()}}
	if f.private {
		c.Private = c.Origins[:1:1]
	}
	if f.tokens != "" {
		u, err := abi.ParseURL(f.tokens)
		if err != nil {
			return usage(err.Error(), "--token-service https://auth.docker.io")
		}
		c.Origins = append(c.Origins, u.Origin)
	}
	var err error
	if o.Client, err = broker.NewOperator(c); err != nil {
		return usage(err.Error(), "")
	}
	if f.user == "" {
		return nil
	}
	secret, err := a.readSecret("the password of "+f.user, fmt.Sprintf("glovebox skill publish DIR %s --user %s", to, config.ShellQuote(f.user)))
	o.Login = func(context.Context, string) (string, string, error) { return f.user, string(secret), nil }
	return err
}

func (a *app) publish(ctx context.Context, p prepared, to artifact.Ref, o artifact.Options) error {
	done, err := artifact.Publish(ctx, to, p.artifact, p.bundles, o)
	if err != nil {
		return err
	}
	result := map[string]any{
		"skill": p.artifact.Name, "version": p.artifact.Version, "digest": p.artifact.Digest, "ref": done.String(), "signed": len(p.bundles) > 0,
	}
	if len(p.bundles) > 0 {
		result["bundle"] = abi.DigestOf(p.bundles[0])
	}
	return a.show(result, func() {
		fmt.Fprintf(a.out, "published %s %s as %s\n", p.artifact.Name, p.artifact.Version, done)
		if len(p.bundles) == 0 {
			a.say("warning: it is not signed, and no daemon takes it like that")
		}
	})
}
