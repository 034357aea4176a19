package registry

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// Bounds of metadata, in bytes: those of go-tuf's own client.
const (
	maxRoot      = 512_000
	maxTimestamp = 16_384
	maxSnapshot  = 2_000_000
	maxTargets   = 5_000_000

	// versionSlack is read past the announced length, so that another version of the
	// file, whose signatures may be longer, is told from endless data.
	versionSlack = 1 << 10

	maxRotations  = 256 // roots in one walk
	MaxPublishers = 256 // delegated roles of one registry
)

// held is what is known of a registry before a walk.
type held struct {
	root []byte           // the newest root that is trusted
	seen map[string]int64 // the highest version of each role
}

// set is one complete state of a registry, verified.
type set struct {
	meta     *trustedmetadata.TrustedMetadata
	files    map[string][]byte // by the source's names: enough to walk again without it
	root     []byte
	versions map[string]int64 // by role
	rotated  bool             // an online key was taken away: versions start anew
	expires  time.Time        // of the top-level roles
	until    time.Time        // of the publishers' too
	entries  []Found
	lost     []Lost
	revoked  []Revocation
	lifted   []Revocation
}

// Lost is a publisher whose part of a registry is not believed. The others stand.
type Lost struct {
	Publisher Publisher `json:"publisher"`
	Reason    Reason    `json:"reason"`
	What      string    `json:"what"`
}

// walk is the client workflow of the TUF specification (section 5) over go-tuf's
// trusted set, which does the verifying. go-tuf's own client is not used: without a
// network it ignores every root after the pinned one, its reference time can only be
// moved by a call that says Unsafe, and it keeps no version past a wiped cache.
type walk struct {
	src  Source
	held held
	set  *set
}

// verify walks from the root that is held to the indexes, all of it valid at ref.
func verify(ctx context.Context, src Source, h held, ref time.Time) (_ *set, err error) {
	defer func() {
		// go-tuf follows pointers that signed metadata may leave null: whoever holds one
		// key of a registry must not stop the daemon.
		if p := recover(); p != nil {
			err = refuse(Tampered, "malformed metadata: %v", p)
		}
	}()
	meta, err := trustedmetadata.New(h.root)
	if err != nil {
		return nil, classify("root.json", err)
	}
	meta.RefTime = ref
	w := &walk{src, held{h.root, maps.Clone(h.seen)}, &set{meta: meta, root: h.root, files: map[string][]byte{}, versions: map[string]int64{}}}
	for _, step := range []func(context.Context) error{w.roots, w.timestamp, w.snapshot, w.targets, w.publishers, w.revocations} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return w.set, nil
}

// fetch reads a file of the source and keeps it.
func (w *walk) fetch(ctx context.Context, name string, most int64) ([]byte, error) {
	data, err := w.src.Get(ctx, name, most)
	var known *Refusal
	switch {
	case errors.As(err, &known):
		return nil, known
	case err != nil:
		return nil, &Refusal{Reason: NoData, What: fmt.Sprintf("%s: %v", name, err), Err: err}
	}
	w.set.files[name] = data
	return data, nil
}

// metadata reads a file of metadata: JSON without duplicate keys.
func (w *walk) metadata(ctx context.Context, name string, length, most int64) ([]byte, error) {
	if length > most {
		return nil, refuse(Size, "%s is announced with %d bytes, more than %d", name, length, most)
	}
	if length > 0 {
		most = min(most, length+versionSlack)
	}
	data, err := w.fetch(ctx, name, most)
	if err != nil {
		return nil, err
	}
	if err := abi.CheckJSON(data, maxDepth); err != nil {
		return nil, refuse(Tampered, "%s: %v", name, err)
	}
	return data, nil
}

// current notes the version of a role and refuses one that is older than what was
// accepted before, by whichever mirror.
func (w *walk) current(role string, version int64) error {
	if have := w.held.seen[role]; version < have {
		return refuse(Rollback, "%s version %d is older than version %d, which was accepted before", role, version, have)
	}
	w.set.versions[role] = version
	return nil
}

// expire lowers the time until which the set is valid.
func (w *walk) expire(at time.Time) {
	if w.set.expires.IsZero() || at.Before(w.set.expires) {
		w.set.expires, w.set.until = at, at
	}
}

// roots follows the chain of roots, each signed by its predecessor (5.3).
func (w *walk) roots(ctx context.Context) error {
	for range maxRotations {
		old := w.set.meta.Root.Signed
		name := fmt.Sprintf("%d.root.json", old.Version+1)
		data, err := w.metadata(ctx, name, 0, maxRoot)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return err
		}
		next, err := w.set.meta.UpdateRoot(data)
		if err != nil {
			return classify(name, err)
		}
		w.set.root = data
		if dropped(old.Roles[metadata.TIMESTAMP], next.Signed.Roles[metadata.TIMESTAMP]) ||
			dropped(old.Roles[metadata.SNAPSHOT], next.Signed.Roles[metadata.SNAPSHOT]) {
			w.forget()
		}
	}
	root := w.set.meta.Root.Signed
	if !root.ConsistentSnapshot {
		return refuse(Mismatch, "root.json: the registry does not use consistent snapshots")
	}
	w.expire(root.Expires)
	return w.current(metadata.ROOT, root.Version)
}

// forget lets versions start anew (5.3.11): whoever held a key that the roots took
// away may have raised them as high as they go.
func (w *walk) forget() {
	w.set.rotated = true
	maps.DeleteFunc(w.held.seen, func(role string, _ int64) bool { return role != metadata.ROOT })
}

func dropped(old, next *metadata.Role) bool {
	return slices.ContainsFunc(old.KeyIDs, func(id string) bool { return !slices.Contains(next.KeyIDs, id) })
}

func (w *walk) timestamp(ctx context.Context) error {
	const name = "timestamp.json"
	data, err := w.metadata(ctx, name, 0, maxTimestamp)
	if err != nil {
		return err
	}
	m, err := w.set.meta.UpdateTimestamp(data)
	if err != nil {
		return classify(name, err)
	}
	w.expire(m.Signed.Expires)
	if err := w.current(metadata.TIMESTAMP, m.Signed.Version); err != nil {
		return err
	}
	return w.current(metadata.SNAPSHOT, m.Signed.Meta["snapshot.json"].Version)
}

func (w *walk) snapshot(ctx context.Context) error {
	want := w.set.meta.Timestamp.Signed.Meta["snapshot.json"]
	name := fmt.Sprintf("%d.snapshot.json", want.Version)
	data, err := w.metadata(ctx, name, want.Length, maxSnapshot)
	if err != nil {
		return err
	}
	m, err := w.set.meta.UpdateSnapshot(data, false)
	if err != nil {
		return classify(name, mixed(name, data, want.Version, err))
	}
	w.expire(m.Signed.Expires)
	return nil
}

func (w *walk) targets(ctx context.Context) error {
	m, err := w.role(ctx, metadata.TARGETS, metadata.ROOT)
	if err != nil {
		return err
	}
	w.expire(m.Signed.Expires)
	return w.index(ctx, "", m)
}

// role reads the metadata of targets or of a publisher.
func (w *walk) role(ctx context.Context, role, parent string) (*targetsMetadata, error) {
	want, ok := w.set.meta.Snapshot.Signed.Meta[role+".json"]
	if !ok {
		return nil, refuse(NoData, "the snapshot lists no %s", role)
	}
	if err := w.current(role, want.Version); err != nil {
		return nil, err
	}
	name := fmt.Sprintf("%d.%s.json", want.Version, role)
	data, err := w.metadata(ctx, name, want.Length, maxTargets)
	if err != nil {
		return nil, err
	}
	m, err := w.set.meta.UpdateDelegatedTargets(data, role, parent)
	if err != nil {
		return nil, classify(name, mixed(name, data, want.Version, err))
	}
	return m, nil
}

// mixed says more of a file that is not the one that was announced: it may be one of
// another version.
func mixed(name string, data []byte, want int64, err error) error {
	var differs *metadata.ErrLengthOrHashMismatch
	var file struct {
		Signed struct {
			Version int64 `json:"version"`
		} `json:"signed"`
	}
	if errors.As(err, &differs) && json.Unmarshal(data, &file) == nil && file.Signed.Version != want {
		return &Refusal{Reason: Mixed, What: fmt.Sprintf("%s: expected version %d, got %d", name, want, file.Signed.Version), Err: err}
	}
	return err
}

// index reads the index.json of one role, if it has one.
func (w *walk) index(ctx context.Context, by Publisher, m *targetsMetadata) error {
	file, ok := m.Signed.Targets[by.prefix()+indexFile]
	if !ok {
		return nil
	}
	data, err := w.target(ctx, by.prefix()+indexFile, file, MaxIndex)
	if err != nil {
		return err
	}
	entries, err := DecodeIndex(data, by)
	if err != nil {
		return &Refusal{Reason: Mismatch, What: by.prefix() + indexFile + ": " + err.Error(), Err: err}
	}
	for _, e := range entries {
		w.set.entries = append(w.set.entries, Found{Entry: e, By: by})
	}
	return nil
}

// target reads a target and compares it with what was signed for.
func (w *walk) target(ctx context.Context, name string, want *metadata.TargetFiles, most int64) ([]byte, error) {
	stored, err := storedName(name, want, most)
	if err != nil {
		return nil, err
	}
	data, err := w.fetch(ctx, stored, want.Length)
	if err != nil {
		return nil, err
	}
	if err := want.VerifyLengthHashes(data); err != nil {
		return nil, &Refusal{Reason: Tampered, What: fmt.Sprintf("target %s: %v", name, err), Err: err}
	}
	return data, nil
}

// storedName is where a source keeps a target: DIR/HASH.FILE below targets (5.7.3).
func storedName(name string, want *metadata.TargetFiles, most int64) (string, error) {
	if want.Length < 0 || want.Length > most {
		return "", refuse(Size, "target %s is announced with %d bytes, more than %d", name, want.Length, most)
	}
	sum := want.Hashes["sha256"]
	if len(sum) != 32 {
		return "", refuse(Mismatch, "target %s is signed without a SHA-256", name)
	}
	dir, file := path.Split(name)
	return "targets/" + dir + hex.EncodeToString(sum) + "." + file, nil
}

// publishers reads what each delegated role signed. One that cannot be believed loses
// its own skills only: no publisher can take the registry away from the others.
func (w *walk) publishers(ctx context.Context) error {
	d := w.set.meta.Targets[metadata.TARGETS].Signed.Delegations
	if d == nil {
		return w.collisions()
	}
	if d.SuccinctRoles != nil || len(d.Roles) > MaxPublishers {
		return refuse(Mismatch, "targets.json: want at most %d publishers, each delegated by name", MaxPublishers)
	}
	seen := map[string]bool{}
	for _, role := range d.Roles {
		if seen[role.Name] {
			return refuse(Mismatch, "targets.json: publisher %q is delegated twice", clip(role.Name))
		}
		seen[role.Name] = true
		if err := w.publisher(ctx, role); err != nil {
			if ctx.Err() != nil {
				return err
			}
			why := classify(role.Name, err)
			delete(w.set.meta.Targets, role.Name)
			w.set.lost = append(w.set.lost, Lost{Publisher(role.Name), why.Reason, why.What})
		}
	}
	return w.collisions()
}

func (w *walk) publisher(ctx context.Context, role metadata.DelegatedRole) error {
	by := Publisher(role.Name)
	if err := by.Check(); err != nil {
		return &Refusal{Reason: Mismatch, What: err.Error(), Err: err}
	}
	if ok, err := role.IsDelegatedPath(by.prefix() + indexFile); err != nil || !ok {
		return refuse(Mismatch, "publisher %s is not delegated %s", by, by.prefix()+indexFile)
	}
	m, err := w.role(ctx, role.Name, metadata.TARGETS)
	if err != nil {
		return err
	}
	if m.Signed.Expires.Before(w.set.until) {
		w.set.until = m.Signed.Expires
	}
	return w.index(ctx, by, m)
}

// collisions refuses one name and version that both the registry and a publisher
// announce: nobody could say which is meant.
func (w *walk) collisions() error {
	seen := map[string]bool{}
	for _, e := range w.set.entries {
		id := string(e.Name) + " " + e.Version
		if seen[id] {
			return refuse(Mismatch, "%s is announced twice", id)
		}
		seen[id] = true
	}
	slices.SortStableFunc(w.set.entries, order)
	return nil
}

func order(a, b Found) int {
	if c := strings.Compare(string(a.Name), string(b.Name)); c != 0 {
		return c
	}
	return newer(a.Version, b.Version)
}

// revocations reads the registry's list. Publishers have none: they yank.
func (w *walk) revocations(ctx context.Context) error {
	file, ok := w.set.meta.Targets[metadata.TARGETS].Signed.Targets[revocationsFile]
	if !ok {
		return nil
	}
	data, err := w.target(ctx, revocationsFile, file, maxRevocationsFile)
	if err != nil {
		return err
	}
	w.set.revoked, w.set.lifted, err = DecodeRevocations(data)
	if err != nil {
		return &Refusal{Reason: Mismatch, What: revocationsFile + ": " + err.Error(), Err: err}
	}
	return nil
}
