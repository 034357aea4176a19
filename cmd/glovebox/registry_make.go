package main

import (
	"bytes"
	"crypto"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/registry"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/spf13/cobra"
)

// making are the flags of the verbs that write a registry.
type making struct {
	keys  string
	extra []string
	valid time.Duration
}

func (m *making) flags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&m.keys, "keys", "", "`FOLDER` with the private keys (default: DIR.keys)")
	cmd.Flags().StringArrayVar(&m.extra, "key", nil, "`FILE` with a further private key; may be repeated")
	cmd.Flags().DurationVar(&m.valid, "valid", 24*time.Hour, "how long the new timestamp holds, at most 168h")
}

func (m *making) config(dir string) (registry.MakerConfig, error) {
	cfg := registry.MakerConfig{Dir: dir, Keys: m.keys, Timestamp: m.valid}
	if cfg.Keys == "" {
		cfg.Keys = strings.TrimRight(dir, "/") + ".keys"
	}
	for _, file := range m.extra {
		key, err := registry.ReadKey(file)
		if err != nil {
			return cfg, err
		}
		cfg.Signers = append(cfg.Signers, key)
	}
	return cfg, nil
}

// maker makes a verb that changes a registry and publishes it; its first argument is
// the registry's folder.
func (a *app) maker(cmd *cobra.Command, change func(*cobra.Command, *registry.Maker, []string) (registry.Report, error)) *cobra.Command {
	var m making
	m.flags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, err := m.config(args[0])
		if err != nil {
			return err
		}
		r, err := registry.OpenMaker(cfg)
		if err != nil {
			return err
		}
		rep, err := change(cmd, r, args)
		if err != nil {
			return err
		}
		return a.showReport(rep)
	}
	return cmd
}

func (a *app) showReport(rep registry.Report) error {
	return a.show(rep, func() {
		if rep.Timestamp > 0 {
			fmt.Fprintf(a.out, "published: timestamp %d, snapshot %d; sign again before %s\n", rep.Timestamp, rep.Snapshot, rep.Expires.Format(time.DateTime))
		} else {
			fmt.Fprintln(a.out, "written, not published")
		}
		for _, p := range rep.Pending {
			a.say("warning: waits: %s", p)
		}
		for _, l := range rep.Lost {
			a.say("warning: publisher %s is left out by clients: %s (%s)", l.Publisher, l.What, l.Reason)
		}
	})
}

func (a *app) registryInit() *cobra.Command {
	var m making
	var threshold, keys int
	cmd := &cobra.Command{
		Use: "init DIR", Short: "Make a registry of static files, and its keys", Args: exactly(1),
		Long: `Make an empty registry in DIR, for any static web server, and its private keys in
DIR.keys: root keys, which belong offline and apart from each other, targets.pem, which
signs the index, snapshot.pem and timestamp.pem, which sign what is current. Give
DIR/1.root.json to those who are to use it, together with its SHA-256 by another way.`,
		Example: `  glovebox registry init public
  glovebox registry init public --root-keys 1 --threshold 1`,
		RunE: func(_ *cobra.Command, args []string) error {
			cfg, err := m.config(args[0])
			if err != nil {
				return err
			}
			r, err := registry.Init(cfg, threshold, keys)
			if err != nil {
				return err
			}
			digest, err := r.RootDigest()
			if err != nil {
				return err
			}
			return a.show(map[string]any{"dir": cfg.Dir, "keys": cfg.Keys, "root": r.RootFile(), "sha256": digest}, func() {
				fmt.Fprintf(a.out, "root %s\n%s\n", r.RootFile(), digest)
				a.say("keys in %s: take the root keys out of it and keep them apart", cfg.Keys)
			})
		},
	}
	m.flags(cmd)
	cmd.Flags().IntVar(&keys, "root-keys", 3, "`NUMBER` of root keys")
	cmd.Flags().IntVar(&threshold, "threshold", 2, "`NUMBER` of them that a root needs")
	return cmd
}

func (a *app) registryAddSkill() *cobra.Command {
	var publisher, oci string
	cmd := a.maker(&cobra.Command{
		Use: "add-skill DIR BUNDLE", Short: "Announce a signed skill", Args: exactly(2),
		Long: `Announce a signed skill: BUNDLE is its folder, or the packed file that "skill publish"
writes. It has to pass "skill verify" here first; what the index says of it is read out
of it. The packed skill is stored in the registry, unless --oci says where else it is.
A version that was announced is never replaced.`,
		Example: `  glovebox registry add-skill public hello --publisher acme
  glovebox registry add-skill public hello-1.0.0.skill.tar --oci reg.example/acme/hello`,
	}, func(_ *cobra.Command, r *registry.Maker, args []string) (registry.Report, error) {
		art, compiled, signed, raw, err := a.openSigned(args[1])
		if err != nil {
			return registry.Report{}, err
		}
		e := registry.Entry{Name: registry.SkillID(art.Name), Version: art.Version, Digest: art.Digest, Bundle: abi.DigestOf(raw),
			ABI: compiled.Manifest.ABI, Capabilities: registry.CapabilitiesOf(compiled.Manifest.Needs), Identity: registry.Identity{Key: signed.Signer}}
		if publisher != "" {
			e.Name = registry.SkillID(publisher + "/" + string(art.Name))
		}
		if signed.Issuer != "" {
			e.Identity = registry.Identity{Issuer: signed.Issuer, SAN: signed.Signer}
		}
		if i := slices.IndexFunc(art.Blobs, func(b artifact.Blob) bool { return b.Name == skills.SBOMFile }); i >= 0 {
			e.SBOM = art.Blobs[i].Digest
		}
		if oci != "" {
			e.OCI = oci + "@" + string(art.Digest)
			return r.AddSkill(e, nil)
		}
		var packed bytes.Buffer
		if err := artifact.WriteTar(&packed, art, raw); err != nil {
			return registry.Report{}, err
		}
		e.Path = art.FileName()
		if publisher != "" {
			e.Path = publisher + "/" + e.Path
		}
		return r.AddSkill(e, packed.Bytes())
	})
	cmd.Flags().StringVar(&publisher, "publisher", "", "`NAME` that stands before the skill's: PUBLISHER/SKILL")
	cmd.Flags().StringVar(&oci, "oci", "", "`HOST/REPOSITORY` that holds it already")
	return cmd
}

// openSigned opens a folder or a packed skill and verifies its signature by the trust
// of the state folder.
func (a *app) openSigned(name string) (*artifact.Artifact, *abi.Compiled, *signature.Signed, []byte, error) {
	art, compiled, candidates, err := openArtifact(name)
	if err != nil {
		return nil, nil, nil, nil, err
	}
	trusted, err := a.trusted(art.Name, trusting{})
	if err != nil {
		return nil, nil, nil, nil, err
	}
	v, err := signature.New(trusted)
	if err != nil {
		return nil, nil, nil, nil, failed(err.Error(), "correct trust in the configuration")
	}
	for _, raw := range candidates {
		var signed *signature.Signed
		if signed, err = v.Verify(raw, art.Digest, art.Name); err != nil {
			continue
		}
		if signed.Statement != nil {
			err = signed.Statement.Check(signature.FactsOf(compiled, art.Skill))
		}
		if err == nil {
			return art, compiled, signed, raw, nil
		}
	}
	var refusal *signature.Refusal
	if errors.As(err, &refusal) {
		err = refusal.In(config.ShellQuote(name))
	}
	return nil, nil, nil, nil, err
}

func openArtifact(name string) (*artifact.Artifact, *abi.Compiled, [][]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, nil, nil, err
	}
	if info.IsDir() {
		b, err := skills.Open(name)
		if err != nil {
			return nil, nil, nil, err
		}
		art, err := artifact.Manifest(b)
		if err != nil {
			return nil, nil, nil, err
		}
		raw, err := signature.ReadFile(signature.In(b.Dir))
		return art, b.Manifest, [][]byte{raw}, err
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, nil, err
	}
	defer func() { _ = f.Close() }()
	p, err := artifact.ReadTar(f)
	if err != nil {
		return nil, nil, nil, err
	}
	if p.Foreign {
		return nil, nil, nil, failed(name+" holds a module alone, not a skill", "glovebox skill build --help")
	}
	i := slices.IndexFunc(p.Blobs, func(b artifact.Blob) bool { return b.Name == skills.ManifestFile })
	if i < 0 || len(p.Signatures) == 0 {
		return nil, nil, nil, failed(name+" holds no signed skill", "glovebox skill sign --help")
	}
	compiled, err := abi.DecodeCompiled(skills.ManifestFile, p.Blobs[i].Data)
	return p.Artifact, compiled, p.Signatures, err
}

func (a *app) registryYank() *cobra.Command {
	var reason string
	cmd := a.maker(&cobra.Command{
		Use: "yank DIR SKILL VERSION", Short: "Withdraw a version: nobody installs it any more", Args: exactly(3),
		Example: `  glovebox registry yank public acme/hello 1.0.0 --reason "wrong unit"`,
	}, func(_ *cobra.Command, r *registry.Maker, args []string) (registry.Report, error) {
		if reason == "" {
			return registry.Report{}, usage("a reason is shown to whoever has it", "glovebox registry yank --help")
		}
		return r.Yank(registry.SkillID(args[1]), args[2], reason)
	})
	cmd.Flags().StringVar(&reason, "reason", "", "`TEXT` that is shown to people")
	return cmd
}

func (a *app) registryRevoke() *cobra.Command {
	var reason, digest, key, issuer, san string
	var lift bool
	cmd := a.maker(&cobra.Command{
		Use: "revoke DIR", Short: "Say that something must not run any more", Args: exactly(1),
		Long: `Say that a skill, by the digest of its image manifest or of its skill.manifest.json, or
everything that a key or an identity signed, must not run any more. Running skills are
stopped where the registry is used. Only --lift takes that back.`,
		Example: `  glovebox registry revoke public --digest sha256:9f2c… --reason "sends keys away"
  glovebox registry revoke public --hint 0fJb… --reason "the key was stolen"`,
	}, func(_ *cobra.Command, r *registry.Maker, _ []string) (registry.Report, error) {
		if reason == "" {
			return registry.Report{}, usage("a reason is shown to whoever is stopped", "glovebox registry revoke --help")
		}
		s := registry.Subject{Digest: abi.Digest(digest), Key: key}
		if issuer != "" || san != "" {
			s.Identity = &registry.Identity{Issuer: issuer, SAN: san}
		}
		return r.Revoke(s, reason, lift)
	})
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "", "`TEXT` that is shown to people")
	f.StringVar(&digest, "digest", "", "`DIGEST` of one version")
	f.StringVar(&key, "hint", "", "`HINT` of the public key, as \"skill verify\" shows it")
	f.StringVar(&issuer, "issuer", "", "issuer `URL` of an identity, with --san")
	f.StringVar(&san, "san", "", "`NAME` of an identity, with --issuer")
	f.BoolVar(&lift, "lift", false, "take a revocation back")
	return cmd
}

func (a *app) registryDelegate() *cobra.Command {
	var files []string
	var threshold int
	cmd := a.maker(&cobra.Command{
		Use: "delegate DIR PUBLISHER", Short: "Let a publisher sign for its own skills", Args: exactly(2),
		Long: `Let the holders of some keys sign for the skills PUBLISHER/…, and nobody else for those.
Keys of an earlier delegation count no more. They sign with "registry add-skill" in a
copy of DIR, with --keys on their own folder; "registry sign" publishes what they hand in.
With --new a key is made.`,
		Example: `  glovebox registry delegate public acme --public acme.pem.pub
  glovebox registry delegate public acme --public a.pub --public b.pub --public c.pub --threshold 2`,
	}, func(cmd *cobra.Command, r *registry.Maker, args []string) (registry.Report, error) {
		var keys []crypto.PublicKey
		if file := cmd.Flag("new").Value.String(); file != "" {
			key, err := registry.NewKey(file)
			if err != nil {
				return registry.Report{}, err
			}
			keys = append(keys, key.Public())
		}
		for _, file := range files {
			key, err := registry.ReadPublicKey(file)
			if err != nil {
				return registry.Report{}, err
			}
			keys = append(keys, key)
		}
		if len(keys) == 0 {
			return registry.Report{}, usage("whose keys? --public names one", "glovebox registry delegate --help")
		}
		return r.Delegate(registry.Publisher(args[1]), keys, threshold)
	})
	cmd.Flags().StringArrayVar(&files, "public", nil, "public key `FILE`, P-256 or Ed25519; may be repeated")
	cmd.Flags().IntVar(&threshold, "threshold", 1, "`NUMBER` of them that have to sign together")
	cmd.Flags().String("new", "", "make a key in `FILE`, its public half beside it")
	return cmd
}

func (a *app) registryPut() *cobra.Command {
	return a.maker(&cobra.Command{
		Use: "put DIR PATH FILE", Short: "Store another file under the registry's signature", Args: exactly(3),
		Long: `Store another file, such as a snapshot of an advisory database (osv/npm.zip) or the
trusted root of a Sigstore (trust/private.json).`,
		Example: "  glovebox registry put public osv/npm.zip npm-all.zip",
	}, func(_ *cobra.Command, r *registry.Maker, args []string) (registry.Report, error) {
		data, err := readUpTo(args[2], 512<<20)
		if err != nil {
			return registry.Report{}, err
		}
		return r.Put(args[1], data)
	})
}

func (a *app) registryRotate() *cobra.Command {
	var id, file string
	cmd := a.maker(&cobra.Command{
		Use: "rotate DIR ROLE", Short: "Replace a key by a new one, with the root keys", Args: exactly(2),
		Long: `Take a key of root, targets, snapshot or timestamp away and put a new one in its place.
The next root is signed by enough of the root keys, which have to be at hand.`,
		Example: "  glovebox registry rotate public timestamp --file timestamp-2.pem",
	}, func(_ *cobra.Command, r *registry.Maker, args []string) (registry.Report, error) {
		if file == "" {
			return registry.Report{}, usage("--file names the new key in the folder of keys", "glovebox registry rotate --help")
		}
		return r.Rotate(args[1], id, file)
	})
	cmd.Flags().StringVar(&id, "id", "", "`ID` of the key to take away (default: the role's only one)")
	cmd.Flags().StringVar(&file, "file", "", "`NAME` of the new key in the folder of keys")
	return cmd
}

func (a *app) registrySign() *cobra.Command {
	return a.maker(&cobra.Command{
		Use: "sign DIR", Short: "Sign what waits, renew what runs out, and publish", Args: exactly(1),
		Long: `Add the signatures of the keys at hand, renew what has lived half its life, and publish
under a new timestamp. Run it every day, by a timer: without it, clients refuse the
registry when the timestamp runs out.`,
		Example: "  glovebox registry sign public",
	}, func(_ *cobra.Command, r *registry.Maker, _ []string) (registry.Report, error) { return r.Sign() })
}

// readUpTo reads a file of at most most bytes.
func readUpTo(file string, most int64) (b []byte, err error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if b, err = io.ReadAll(io.LimitReader(f, most+1)); err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s has more than %d bytes", file, most)
	}
	return b, err
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
