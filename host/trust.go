package host

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/install"
	"github.com/glovebox-dev/glovebox/skills/registry"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// verdictTime is how long a judgement holds while nothing changes that it rests on:
// advisories age, and waivers and keys expire.
const verdictTime = time.Minute

// trust judges skills for one state folder: with the keys, roots and policy of the
// configuration, and with what registries and advisories say at the moment.
type trust struct {
	state    *config.State
	settings config.Trust
	now      func() time.Time
	log      *slog.Logger

	mu       sync.Mutex // guards what follows
	own      fs.FileInfo
	gate     *install.Gate
	gateErr  error
	index    source[*advisory.Index]
	client   source[*registry.Client]
	known    install.Known
	looked   time.Time // when registries were last asked whether they are current
	epoch    uint64    // grows with each change of what a judgement rests on
	verdicts map[string]*verdict
}

// verdict is the judgement of one folder.
type verdict struct {
	epoch    uint64
	at       time.Time
	digest   abi.Digest // of the manifest
	expected abi.Digest
	sig      fs.FileInfo // nil: there is no signature
	module   fs.FileInfo // of a judgement that read the module; nil: of one that did not
	*install.Admission
	err error
}

// source is a database of the state folder that another process may make or write.
type source[T interface{ Close() error }] struct {
	file  string
	files [2]fs.FileInfo // the database and its write-ahead log
	fresh bool           // written just before it was read: read it again
	open  T
	ok    bool
	err   error
}

func newTrust(state *config.State, settings config.Trust, log *slog.Logger) *trust {
	return &trust{
		state: state, settings: settings, now: time.Now, log: log, verdicts: map[string]*verdict{},
		index:  source[*advisory.Index]{file: state.Advisories()},
		client: source[*registry.Client]{file: state.Registries()},
	}
}

// Refresh looks whether a key, a revocation or an advisory has come or gone. It is
// cheap while nothing has, and returns the epoch.
func (t *trust) Refresh(ctx context.Context) uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := statOf(t.state.PublisherKey())
	if t.epoch == 0 || !sameFile(t.own, own) {
		t.own, t.epoch = own, t.epoch+1
		t.gate, t.gateErr = install.Open(t.state, t.settings)
		if t.gateErr != nil {
			t.log.Error("no skill is loaded", "err", t.gateErr)
		}
	}
	if t.index.changed(ctx, func(ctx context.Context) (*advisory.Index, error) { return advisory.Open(ctx, t.index.file) }) {
		t.epoch++
		t.known.Advisories = nil
		switch {
		case t.index.err != nil:
			t.known.Advisories = broken{t.index.err}
		case t.index.ok:
			t.known.Advisories = t.index.open
		}
	}
	if now := t.now(); t.client.changed(ctx, t.openRegistries) || now.Sub(t.looked).Abs() >= verdictTime {
		was := t.known
		t.known.Revoked, t.known.Unrevocable = t.revocations(ctx)
		if t.looked = now; !sameRevocations(was, t.known) {
			t.epoch++
		}
	}
	return t.epoch
}

func (t *trust) openRegistries(ctx context.Context) (*registry.Client, error) {
	return registry.Open(ctx, registry.Config{DB: t.client.file, Dir: t.state.RegistryCache(), Log: t.log, Now: t.now})
}

// revocations returns what registries withdrew. What cannot be read withdraws
// everything that was not built here.
func (t *trust) revocations(ctx context.Context) ([]install.Revocation, error) {
	if t.client.err != nil || !t.client.ok {
		return nil, errors.Join(t.client.err, lost(t.client.file, t.state.RegistryCache()))
	}
	list, err := t.client.open.Revocations(ctx)
	if t.settings.Current {
		err = errors.Join(err, t.outdated(ctx))
	}
	out := make([]install.Revocation, 0, len(list))
	for _, r := range list {
		one := install.Revocation{Digest: r.Digest, Signer: abi.Signer{Key: r.Key}, By: "registry " + string(r.Registry), Reason: r.Reason}
		if r.Identity != nil {
			one.Signer = abi.Signer{Issuer: r.Identity.Issuer, Identity: r.Identity.SAN}
		}
		out = append(out, one)
	}
	return out, err
}

// Look judges a bundle without its module. A judgement is kept while nothing changes.
func (t *trust) Look(ctx context.Context, b *skills.Bundle, expected abi.Digest) (*install.Admission, error) {
	sig := statOf(filepath.Join(b.Dir, signature.File))
	t.mu.Lock()
	v := t.verdicts[b.Dir]
	gate, known, epoch, gateErr := t.gate, t.known, t.epoch, t.gateErr
	t.mu.Unlock()
	now := t.now()
	if v != nil && v.epoch == epoch && v.digest == b.Digest && v.expected == expected && sameFile(v.sig, sig) &&
		(v.module == nil || sameFile(v.module, statOf(moduleFile(b)))) &&
		now.Sub(v.at) < verdictTime && now.Sub(v.at) >= 0 && (sig == nil || v.at.Sub(sig.ModTime()) > settled) {
		return v.Admission, v.err
	}
	if gate == nil {
		return nil, closed(gateErr)
	}
	known.Now = now
	v = &verdict{epoch: epoch, at: now, digest: b.Digest, expected: expected, sig: sig}
	v.Admission, v.err = gate.Look(ctx, b, expected, known)
	if ctx.Err() == nil {
		t.keep(b.Dir, v)
	}
	return v.Admission, v.err
}

// Load judges a bundle with everything in it, and returns its module. It
// remembers nothing but a refusal.
func (t *trust) Load(ctx context.Context, b *skills.Bundle, expected abi.Digest) (abi.Blob, error) {
	t.Refresh(ctx)
	t.mu.Lock()
	gate, known, epoch, gateErr := t.gate, t.known, t.epoch, t.gateErr
	t.mu.Unlock()
	if gate == nil {
		return abi.Blob{}, closed(gateErr)
	}
	known.Now = t.now()
	info := statOf(moduleFile(b)) // before it is read
	module, _, err := gate.Load(ctx, b, expected, known)
	if err != nil && ctx.Err() == nil {
		t.keep(b.Dir, &verdict{epoch: epoch, at: known.Now, digest: b.Digest, expected: expected, sig: statOf(filepath.Join(b.Dir, signature.File)), module: info, err: err})
	}
	return module, err
}

// sameRevocations compares what two moments know of registries.
func sameRevocations(a, b install.Known) bool {
	if (a.Unrevocable == nil) != (b.Unrevocable == nil) || a.Unrevocable != nil && a.Unrevocable.Error() != b.Unrevocable.Error() {
		return false
	}
	return slices.Equal(a.Revoked, b.Revoked)
}

func moduleFile(b *skills.Bundle) string { return filepath.Join(b.Dir, b.Manifest.Manifest.Module) }

// keep remembers a judgement; of folders that are gone, too, up to a bound.
func (t *trust) keep(dir string, v *verdict) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.verdicts) > 2*maxSkills {
		clear(t.verdicts)
	}
	t.verdicts[dir] = v
}

// Close closes the databases.
func (t *trust) Close() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return errors.Join(t.index.close(), t.client.close())
}

func closed(cause error) error {
	return &install.Refusal{Reason: "trust.config", What: "no skill is loaded, since the keys and roots of the configuration cannot be used: " + cause.Error(), Err: cause}
}

// broken is a database of advisories that cannot be opened: every question is refused
// with the reason.
type broken struct{ err error }

// Check implements install.Advisories.
func (b broken) Check(context.Context, []sbom.Package, advisory.Policy, time.Time) (advisory.Report, error) {
	return advisory.Report{}, b.err
}

// changed looks at the files of the source, opens or closes it as they come and go,
// and reports whether there is news.
func (s *source[T]) changed(ctx context.Context, open func(context.Context) (T, error)) bool {
	files := [2]fs.FileInfo{statOf(s.file), statOf(s.file + "-wal")}
	same := sameFile(s.files[0], files[0]) && sameFile(s.files[1], files[1])
	if same && s.err == nil && !s.fresh {
		return false
	}
	failed := s.err
	if !s.ok || files[0] == nil || !os.SameFile(s.files[0], files[0]) {
		_ = s.close()
		if s.err = nil; files[0] != nil {
			if s.open, s.err = open(ctx); s.err == nil {
				s.ok = true
			}
			files = [2]fs.FileInfo{statOf(s.file), statOf(s.file + "-wal")} // opening writes
		}
	}
	s.files, s.fresh = files, false
	for _, f := range files {
		s.fresh = s.fresh || f != nil && time.Since(f.ModTime()) < settled
	}
	return !same || failed == nil || s.err == nil
}

func (s *source[T]) close() error {
	if !s.ok {
		return nil
	}
	s.ok = false
	return s.open.Close()
}

// statOf returns nil for what is not there.
func statOf(path string) fs.FileInfo {
	info, err := os.Lstat(path)
	if err != nil {
		return nil
	}
	return info
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// Judge is the gate of a state folder with what is known at this moment, for the
// command line.
type Judge struct{ trust *trust }

// OpenJudge opens what judgements rest on. The caller closes it.
func OpenJudge(ctx context.Context, cfg Config) *Judge {
	t := newTrust(cfg.State, cfg.Settings.Trust, cfg.logger())
	t.Refresh(ctx)
	return &Judge{t}
}

// Gate returns the gate, or why nothing can be judged.
func (j *Judge) Gate() (*install.Gate, install.Known, error) {
	j.trust.mu.Lock()
	defer j.trust.mu.Unlock()
	if j.trust.gate == nil {
		return nil, install.Known{}, closed(j.trust.gateErr)
	}
	known := j.trust.known
	known.Now = j.trust.now()
	return j.trust.gate, known, nil
}

// Close closes the databases.
func (j *Judge) Close() error { return j.trust.Close() }
