package packages

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/mcp/source"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"golang.org/x/sync/errgroup"
)

// Advisories is an *advisory.Index.
type Advisories interface {
	Check(ctx context.Context, packages []sbom.Package, p advisory.Policy, now time.Time) (advisory.Report, error)
}

// Config is what a store works with. All of it is required but Registry, Node and Now.
type Config struct {
	Dir        string           // its own folder, made if it is missing
	Registry   string           // of npm; "": NPMRegistry. Nothing is fetched from elsewhere
	Client     *broker.Operator // made for the origin of Registry
	Advisories Advisories
	Policy     advisory.Policy
	Prover     Prover
	Node       string           // absolute path of the interpreter; "": found in the usual folders
	Now        func() time.Time // nil: time.Now
}

// Store keeps installed servers, each in a folder named by its pin. Several processes may
// use one.
type Store struct {
	cfg  Config
	npm  registry
	step func(step) // of a test: told before each step of an installation
}

// step is a moment of an installation at which a process may die.
type step string

// The steps, in order.
const (
	stepStage step = "stage" // files are written beside the servers
	stepSeal  step = "seal"  // the seal is written
	stepPlace step = "place" // the folder takes its name
	stepLearn step = "learn" // what was seen is remembered
)

// Names in the store. A pin is 64 digits, so none is another's.
const (
	stagePrefix = ".stage-"
	knownFile   = "known.json"
	guardFile   = "guard"
	sealFile    = "seal.json"
	filesDir    = "app"
	lockName    = "package-lock.json"
)

// Open returns the store in a folder. It fails if something is missing to verify with.
func Open(c Config) (*Store, error) {
	if c.Dir == "" || c.Advisories == nil || c.Prover == nil {
		return nil, errors.New("open the store of MCP servers: folder, advisories or provenance is missing")
	}
	if c.Registry == "" {
		c.Registry = NPMRegistry
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	npm, err := newRegistry(c.Registry, c.Client)
	if err != nil {
		return nil, err
	}
	// The user of a box must reach what it is shown; the state folder keeps others out.
	if err := os.Mkdir(c.Dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("open the store of MCP servers: %w", err)
	}
	if info, err := os.Lstat(c.Dir); err != nil || !info.IsDir() {
		return nil, errors.Join(fmt.Errorf("open the store of MCP servers: %s is no folder", c.Dir), err)
	}
	return &Store{cfg: c, npm: npm, step: func(step) {}}, nil
}

// Installed is a server in the store.
type Installed struct {
	Pin      abi.Digest // what a configuration keeps; everything else follows from it
	Seal     Seal
	Findings []advisory.Finding // that the policy lets pass
}

// Install resolves, fetches, verifies and seals an exact version of a package. What is
// in the store already is verified in the same way and is the same. Nothing that belongs
// to the package runs.
//
// The error is a *reason.Refusal, or of the system.
func (s *Store) Install(ctx context.Context, p source.Package) (*Installed, error) {
	switch {
	case p.Registry == source.PyPI:
		return nil, refuse(reason.Launcher, "use the server's package for npm, or a program of Go", "package %s is of PyPI, whose packages cannot be verified here yet", p.Name)
	case p.Registry != source.NPM || !validName(p.Name):
		return nil, refuse(reason.Launcher, "", "%.80q is no package of npm", p.Name)
	case !validVersion(p.Version):
		return nil, refuse(reason.Unpinned, "name an exact version: "+p.Name+"@1.2.3", "version %.80q of package %s is not one exact version", p.Version, p.Name)
	}
	seen, err := readKnown(s.path(knownFile))
	if err != nil {
		return nil, err
	}
	tree, err := s.npm.resolve(ctx, p.Name, p.Version)
	if err != nil {
		return nil, err
	}
	top := tree[slices.IndexFunc(tree, func(r Resolved) bool { return r.Path == "node_modules/"+p.Name })]
	if p.Integrity != "" && p.Integrity != top.Integrity {
		return nil, refuse(reason.Integrity, "", "%s has %s, and %s was asked for", top, top.Integrity, p.Integrity)
	}
	if err := seen.same(tree); err != nil {
		return nil, err
	}
	origin, err := s.origin(ctx, s.npm, top)
	if err != nil {
		return nil, err
	}
	if err := seen.regressed(top, origin); err != nil {
		return nil, err
	}
	seal := Seal{Schema: SchemaSeal, Package: &p, Runtime: RuntimeNode, Origin: origin, Packages: len(tree)}
	return s.keep(ctx, &seal, func(files *os.Root) error { return s.fill(ctx, files, tree, top, &seal) }, func() error {
		return s.learn(tree, top, origin)
	})
}

// fill writes the files of a package's tree.
func (s *Store) fill(ctx context.Context, files *os.Root, tree []Resolved, top Resolved, seal *Seal) error {
	u := &unpacker{root: files}
	for batch := range slices.Chunk(tree, 2*fetches) {
		archives := make([][]byte, len(batch))
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(fetches)
		for i, p := range batch {
			g.Go(func() (err error) {
				archives[i], err = s.npm.archive(gctx, p)
				return err
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		for i, p := range batch {
			is, err := u.unpack(p, archives[i])
			if err != nil {
				return err
			}
			if is.installs() {
				seal.Unbuilt = append(seal.Unbuilt, p.String())
			}
			if p.Path != top.Path {
				continue
			}
			if seal.Entry, err = is.entry(p, seal.Package.Bin); err != nil {
				return err
			}
		}
	}
	slices.Sort(seal.Unbuilt)
	seal.Unbuilt = slices.Compact(seal.Unbuilt)
	if info, err := files.Lstat(filepath.FromSlash(seal.Entry)); err != nil || !info.Mode().IsRegular() {
		return refuse(reason.Malformed, "", "the archive of %s has no file %.120q, which it names as its program", top, seal.Entry)
	}
	text, err := lockFile(tree)
	if err != nil {
		return err
	}
	return files.WriteFile(lockName, text, 0o444)
}

// keep writes files beside the servers, seals them, asks the advisories and gives the
// folder its name. learn is called when it has it.
func (s *Store) keep(ctx context.Context, seal *Seal, fill func(*os.Root) error, learn func() error) (_ *Installed, err error) {
	s.step(stepStage)
	stage, err := os.MkdirTemp(s.cfg.Dir, stagePrefix)
	if err != nil {
		return nil, fmt.Errorf("install MCP server: %w", err)
	}
	defer func() { err = errors.Join(err, discard(stage)) }()
	app := filepath.Join(stage, filesDir)
	if err := errors.Join(os.Chmod(stage, 0o755), os.Mkdir(app, 0o755)); err != nil {
		return nil, fmt.Errorf("install MCP server: %w", err)
	}
	files, err := os.OpenRoot(app)
	if err != nil {
		return nil, fmt.Errorf("install MCP server: %w", err)
	}
	err = errors.Join(fill(files), files.Close())
	if err == nil {
		err = protect(app)
	}
	if err != nil {
		return nil, err
	}
	t, err := readTree(app)
	if err != nil {
		return nil, err
	}
	seal.Tree = t.digest
	s.step(stepSeal)
	text, err := seal.encode()
	if err == nil {
		err = os.WriteFile(filepath.Join(stage, sealFile), text, 0o444)
	}
	if err != nil {
		return nil, err
	}
	in := &Installed{Pin: abi.DigestOf(text), Seal: *seal}
	if in.Findings, err = s.advised(ctx, in.Pin, seal, app); err != nil {
		return nil, err
	}
	s.step(stepPlace)
	if err := s.place(stage, in.Pin); err != nil {
		return nil, err
	}
	s.step(stepLearn)
	if err := learn(); err != nil {
		return nil, err
	}
	return in, nil
}

// place gives a staged folder its name. One that has it already and is whole is the same;
// one that is not gives way.
func (s *Store) place(stage string, pin abi.Digest) (err error) {
	release, err := config.LockFile(s.path(guardFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	dir := s.path(pin.Hex())
	if _, err := os.Lstat(dir); err == nil {
		if _, _, err := s.look(pin); err == nil {
			return nil
		}
		if err := discard(dir); err != nil {
			return fmt.Errorf("install MCP server: %w", err)
		}
	}
	if err := os.Rename(stage, dir); err != nil {
		return fmt.Errorf("install MCP server: %w", err)
	}
	return nil
}

// learn remembers what was installed, unless another installation learned otherwise
// meanwhile.
func (s *Store) learn(tree []Resolved, top Resolved, origin *Origin) (err error) {
	release, err := config.LockFile(s.path(guardFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	k, err := readKnown(s.path(knownFile))
	if err != nil {
		return err
	}
	if err := errors.Join(k.same(tree), k.regressed(top, origin)); err != nil {
		return err
	}
	k.learn(tree, top, origin)
	text, err := k.encode()
	if err != nil {
		return err
	}
	return config.WriteFile(s.path(knownFile), text)
}

// staleStage is how old a staged folder is that belongs to no living process.
const staleStage = time.Hour

// Clean removes every server but those that are named, and what died while it was being
// installed. Name what was installed just now as well.
func (s *Store) Clean(keep ...abi.Digest) (err error) {
	release, err := config.LockFile(s.path(guardFile))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("clean the store of MCP servers: %w", err)
	}
	for _, d := range entries {
		name := d.Name()
		if strings.HasPrefix(name, stagePrefix) {
			if info, err := d.Info(); err != nil || s.cfg.Now().Sub(info.ModTime()) < staleStage {
				continue
			}
		} else if _, err := abi.ParseDigest("sha256:" + name); err != nil || slices.ContainsFunc(keep, func(p abi.Digest) bool { return p.Hex() == name }) {
			continue
		}
		if err := discard(s.path(name)); err != nil {
			return fmt.Errorf("clean the store of MCP servers: %w", err)
		}
	}
	return nil
}

func (s *Store) path(name string) string { return filepath.Join(s.cfg.Dir, name) }
