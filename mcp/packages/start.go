package packages

import (
	"context"
	"debug/buildinfo"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/sandbox"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// mountPoint is where the files of a server are in its box.
const mountPoint = "/app"

// Boxer starts programs in boxes: a *sandbox.Boxer.
type Boxer interface {
	Start(ctx context.Context, b sandbox.Box) (*sandbox.Process, error)
}

// Launch is a server that was verified just now, and how it is started.
type Launch struct {
	Installed
	Profile sandbox.ProfileName
	Argv    []string // without the operator's arguments
	Mount   sandbox.Mount

	seen tree
}

// Verify reads every file of a server and asks the advisories about every package of it.
// The error is a *reason.Refusal.
func (s *Store) Verify(ctx context.Context, pin abi.Digest) (*Launch, error) {
	seal, seen, err := s.look(pin)
	if err != nil {
		return nil, err
	}
	app := filepath.Join(s.path(pin.Hex()), filesDir)
	findings, err := s.advised(ctx, pin, seal, app)
	if err != nil {
		return nil, err
	}
	l := &Launch{Installed: Installed{pin, *seal, findings}, Mount: sandbox.Mount{Host: app, Box: mountPoint}, seen: seen}
	entry := path.Join(mountPoint, seal.Entry)
	if seal.Runtime == RuntimeBinary {
		l.Profile, l.Argv = sandbox.MCPBinary, []string{entry}
		return l, nil
	}
	node, err := s.node()
	if err != nil {
		return nil, err
	}
	l.Profile, l.Argv = sandbox.MCPNode, []string{node, entry}
	return l, nil
}

// Judge asks the advisories about a server that runs, without reading its files: for
// whenever new ones are known.
func (s *Store) Judge(ctx context.Context, pin abi.Digest) ([]advisory.Finding, error) {
	seal, err := s.sealOf(pin)
	if err != nil {
		return nil, err
	}
	return s.advised(ctx, pin, seal, filepath.Join(s.path(pin.Hex()), filesDir))
}

// Start verifies a server and starts it with args. b has the rest of its box: variables,
// sockets, further mounts, limits where the profile's are not wanted, and in Argv what runs
// the server, such as the relay; the profile, the program and the first mount are the
// server's.
// If a file was touched between the verification and the moment when the box had its
// files, the server is ended at once.
func (s *Store) Start(ctx context.Context, x Boxer, pin abi.Digest, args []string, b sandbox.Box) (*sandbox.Process, error) {
	if boxer, ok := x.(*sandbox.Boxer); x == nil || ok && boxer == nil {
		return nil, refuse(reason.NoSandbox, "apt-get install -y bubblewrap", "an MCP server runs in a box only, and there is no sandbox here")
	}
	l, err := s.Verify(ctx, pin)
	if err != nil {
		return nil, err
	}
	if b.Profile, err = sandbox.FindProfile(l.Profile); err != nil {
		return nil, err
	}
	if b.Limits == (sandbox.Limits{}) {
		b.Limits, b.Scratch = b.Profile.Limits, b.Profile.Size
	}
	if len(b.Argv) > 0 {
		b.Programs = append(slices.Clone(b.Programs), l.Argv[0])
	}
	b.Argv = slices.Concat(b.Argv, l.Argv, args)
	b.Mounts = slices.Concat([]sandbox.Mount{l.Mount}, b.Mounts)
	p, err := x.Start(ctx, b)
	if errors.Is(err, sandbox.ErrNoSandbox) {
		return nil, &reason.Refusal{Reason: reason.NoSandbox, What: "the MCP server is not started", Fix: "apt-get install -y bubblewrap", Err: err}
	}
	if err != nil {
		return nil, err
	}
	if same, err := l.seen.held(l.Mount.Host); err != nil || !same {
		p.Kill()
		return nil, &reason.Refusal{Reason: reason.Tree, What: "files of the MCP server were touched while it was started", Fix: "install it again", Err: err}
	}
	return p, nil
}

// sealOf reads the seal that a pin names.
func (s *Store) sealOf(pin abi.Digest) (*Seal, error) {
	bad := func(err error) error {
		return &reason.Refusal{Reason: reason.Tree, What: fmt.Sprintf("what was installed as %s is not there, or not as it was sealed", pin), Fix: "install it again", Err: err}
	}
	if _, err := abi.ParseDigest(string(pin)); err != nil {
		return nil, bad(err)
	}
	text, err := config.ReadOwned(filepath.Join(s.path(pin.Hex()), sealFile), maxSeal)
	if err != nil {
		return nil, bad(err)
	}
	if abi.DigestOf(text) != pin {
		return nil, bad(errors.New("another seal"))
	}
	seal, err := decodeSeal(text)
	if err != nil {
		return nil, bad(err)
	}
	return seal, nil
}

// look holds all files of a server against its seal.
func (s *Store) look(pin abi.Digest) (*Seal, tree, error) {
	seal, err := s.sealOf(pin)
	if err != nil {
		return nil, tree{}, err
	}
	seen, err := readTree(filepath.Join(s.path(pin.Hex()), filesDir))
	if err == nil && seen.digest != seal.Tree {
		err = fmt.Errorf("the files are %s, sealed were %s", seen.digest, seal.Tree)
	}
	if err != nil {
		return nil, tree{}, &reason.Refusal{Reason: reason.Tree, What: fmt.Sprintf("files of the MCP server %s were changed after they were sealed", pin), Fix: "install it again", Err: err}
	}
	return seal, seen, nil
}

// advised asks the advisories about everything that lies in app.
func (s *Store) advised(ctx context.Context, pin abi.Digest, seal *Seal, app string) ([]advisory.Finding, error) {
	list, err := listed(seal, app)
	if err != nil {
		return nil, &reason.Refusal{Reason: reason.Lock, What: "what the MCP server consists of cannot be told", Err: err}
	}
	policy := s.cfg.Policy
	policy.Bundle = pin
	r, err := s.cfg.Advisories.Check(ctx, list.Packages, policy, s.cfg.Now())
	if err != nil {
		fix := ""
		if known := (*advisory.Refusal)(nil); errors.As(err, &known) {
			fix = known.Fix
		}
		return nil, &reason.Refusal{Reason: reason.Advisory, What: "it cannot be told what is known against the MCP server", Fix: fix, Err: err}
	}
	for _, f := range r.Findings {
		if f.Verdict != advisory.Block {
			continue
		}
		if f.Malicious {
			return nil, refuse(reason.Advisory, "", "the MCP server contains %s, which is known to be malicious (%s)", f.Package, f.ID)
		}
		return nil, refuse(reason.Advisory, "waive "+f.ID+" under trust.advisories.waivers", "the MCP server contains %s with %s, severity %s", f.Package, f.ID, f.Severity)
	}
	if r.Verdict == advisory.Block {
		return nil, refuse(reason.Advisory, "", "the advisories say no to the MCP server")
	}
	return r.Findings, nil
}

// listed reads which packages a server consists of.
func listed(seal *Seal, app string) (_ *sbom.List, err error) {
	if seal.Runtime == RuntimeNode {
		text, err := config.ReadOwned(filepath.Join(app, lockName), maxLock)
		if err != nil {
			return nil, err
		}
		return sbom.FromPackageLock(text, sbom.All)
	}
	f, err := os.Open(filepath.Join(app, filepath.FromSlash(seal.Entry)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return programList(f)
}

// maxLock bounds the lock file of a server, in bytes.
const maxLock = 16 << 20

func programList(r io.ReaderAt) (*sbom.List, error) {
	info, err := buildinfo.Read(r)
	if err != nil {
		return nil, err
	}
	return sbom.FromBuildInfo(info)
}

// node returns the interpreter. The path of this process is not asked, since whoever sets
// it would choose what runs.
func (s *Store) node() (string, error) {
	paths := []string{"/usr/bin/node", "/usr/local/bin/node", "/usr/bin/nodejs"}
	if s.cfg.Node != "" {
		paths = []string{s.cfg.Node}
	}
	for _, p := range paths {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", refuse(reason.Launcher, "install node, for instance with: apt-get install nodejs", "there is no interpreter for the MCP server at %q", paths)
}
