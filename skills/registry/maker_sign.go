package registry

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"reflect"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Report is what a maker published, and what it could not.
type Report struct {
	Root      int64     `json:"root"` // versions
	Targets   int64     `json:"targets"`
	Snapshot  int64     `json:"snapshot"`
	Timestamp int64     `json:"timestamp"`
	Expires   time.Time `json:"expires"`           // of the timestamp: sign again before
	Pending   []string  `json:"pending,omitempty"` // what waits for signatures that are not at hand
	Lost      []Lost    `json:"lost,omitempty"`    // publishers whom clients will not believe
}

// Sign adds the signatures of the keys at hand where they are missing, renews what has
// lived half its life, and publishes: a new snapshot if anything changed, a new
// timestamp in any case. A client reads the result before others can see it; what it
// would refuse is not published.
func (m *Maker) Sign() (Report, error) {
	var rep Report
	root, err := m.currentRoot(&rep)
	if err != nil {
		return rep, err
	}
	role := root.Signed.Roles[metadata.TARGETS]
	targets, err := pick(m, &rep, metadata.TARGETS, role.KeyIDs, root)
	if err != nil {
		return rep, err
	}
	if targets == nil {
		return rep, errors.New("no version of targets.json has enough signatures")
	}
	rep.Root, rep.Targets = root.Signed.Version, targets.Signed.Version
	list := map[string]int64{metadata.TARGETS: targets.Signed.Version}
	if d := targets.Signed.Delegations; d != nil {
		for _, r := range d.Roles {
			meta, err := pick(m, &rep, r.Name, r.KeyIDs, targets)
			if err != nil {
				return rep, err
			}
			if meta != nil {
				list[r.Name] = meta.Signed.Version
			}
		}
	}
	snapshot, err := m.snapshot(root, list)
	if err != nil {
		return rep, err
	}
	rep.Snapshot = snapshot.Signed.Version
	return rep, m.timestamp(&rep, root, snapshot)
}

// currentRoot returns the newest root, renewed if it is due and the keys are there.
func (m *Maker) currentRoot(rep *Report) (*metadata.Metadata[metadata.RootType], error) {
	root, version, err := newest[metadata.RootType](m, metadata.ROOT)
	if err != nil {
		return nil, err
	}
	if root == nil {
		return nil, fmt.Errorf("the registry in %s has no root", m.cfg.Dir)
	}
	if !m.due(root.Signed.Expires, rootLife) {
		return root, nil
	}
	if err := m.nextRoot(root, version, root.Signed.Roles[metadata.ROOT].KeyIDs); err != nil {
		rep.Pending = append(rep.Pending, err.Error())
		return load[metadata.RootType](m, metadata.ROOT, version)
	}
	return root, nil
}

// nextRoot writes root as the next version, signed by signers. Clients ask for it by
// its number, so it is not written before the old and the new root are content.
func (m *Maker) nextRoot(root *metadata.Metadata[metadata.RootType], version int64, signers []string) error {
	old, err := load[metadata.RootType](m, metadata.ROOT, version)
	if err != nil {
		return err
	}
	root.Signed.Version, root.Signed.Expires, root.Signatures = version+1, m.life(rootLife), nil
	if _, err := sign(m.keys, signers, root); err != nil {
		return err
	}
	if err := errors.Join(old.VerifyDelegate(metadata.ROOT, root), root.VerifyDelegate(metadata.ROOT, root)); err != nil {
		return fmt.Errorf("the next root needs more of the root keys: %w", err)
	}
	return save(m, metadata.ROOT, nil, root, version+1)
}

func (m *Maker) due(expires time.Time, life time.Duration) bool {
	return expires.Sub(m.cfg.Now()) < life/2
}

// targetsMetadata is the metadata of the targets role and of publishers.
type targetsMetadata = metadata.Metadata[metadata.TargetsType]

// verifier is root or targets metadata.
type verifier interface {
	VerifyDelegate(role string, meta any) error
}

// pick returns the newest version of a role that has enough signatures, nil if there
// is none.
func pick(m *Maker, rep *Report, role string, ids []string, parent verifier) (*targetsMetadata, error) {
	list, err := m.versions(role)
	if err != nil {
		return nil, err
	}
	for _, version := range list {
		meta, err := load[metadata.TargetsType](m, role, version)
		if err != nil {
			return nil, err
		}
		added, err := sign(m.keys, ids, meta)
		if err != nil {
			return nil, err
		}
		if added {
			if err := save(m, role, nil, meta, version); err != nil {
				return nil, err
			}
		}
		if err := m.acceptable(role, version, meta, parent); err != nil {
			rep.Pending = append(rep.Pending, fmt.Sprintf("%s version %d: %v", role, version, err))
			continue
		}
		return m.renewed(rep, role, ids, meta, parent)
	}
	if len(list) == 0 {
		rep.Pending = append(rep.Pending, fmt.Sprintf("%s has signed nothing yet", role))
	}
	return nil, nil
}

// acceptable reports why a version of a role is not published.
func (m *Maker) acceptable(role string, version int64, meta *targetsMetadata, parent verifier) error {
	if meta.Signed.Version != version {
		return fmt.Errorf("the file holds version %d", meta.Signed.Version)
	}
	if err := parent.VerifyDelegate(role, meta); err != nil {
		return err
	}
	by := Publisher(role)
	if role == metadata.TARGETS {
		by = ""
	}
	_, err := m.getIndex(meta, by)
	return err
}

// renewed signs the same content anew when half its life is over and the keys are there.
func (m *Maker) renewed(rep *Report, role string, ids []string, meta *targetsMetadata, parent verifier) (*targetsMetadata, error) {
	if !m.due(meta.Signed.Expires, targetsLife) {
		return meta, nil
	}
	old := *meta
	if err := m.next(role, ids, meta); err != nil {
		return nil, err
	}
	if err := parent.VerifyDelegate(role, meta); err != nil {
		rep.Pending = append(rep.Pending, fmt.Sprintf("%s version %d expires %s and is to be renewed: %v", role, old.Signed.Version, old.Signed.Expires.Format(timeFormat), err))
		return &old, nil
	}
	return meta, nil
}

// metaFile describes a file of metadata by version, length and hash.
func (m *Maker) metaFile(role string, version int64) (*metadata.MetaFiles, error) {
	data, err := os.ReadFile(m.file(fmt.Sprintf("%d.%s.json", version, role)))
	if err != nil {
		return nil, err
	}
	file, err := metadata.TargetFile().FromBytes(role, data, "sha256")
	if err != nil {
		return nil, err
	}
	return &metadata.MetaFiles{Version: version, Length: file.Length, Hashes: file.Hashes}, nil
}

// snapshot returns the published snapshot if it still says what list says, else the
// next one. A role that was listed once stays listed, and never with a lower version.
func (m *Maker) snapshot(root *metadata.Metadata[metadata.RootType], list map[string]int64) (*metadata.Metadata[metadata.SnapshotType], error) {
	published, err := m.published()
	if err != nil {
		return nil, err
	}
	next := metadata.Snapshot(m.life(snapshotLife))
	next.Signed.Meta = map[string]*metadata.MetaFiles{}
	if published != nil {
		maps.Copy(next.Signed.Meta, published.Signed.Meta)
	}
	for role, version := range list {
		if old := next.Signed.Meta[role+".json"]; old != nil && old.Version > version {
			return nil, fmt.Errorf("%s version %d was published, the newest good one here is %d: put the missing file back", role, old.Version, version)
		}
		if next.Signed.Meta[role+".json"], err = m.metaFile(role, version); err != nil {
			return nil, err
		}
	}
	if published != nil && reflect.DeepEqual(published.Signed.Meta, next.Signed.Meta) && !m.due(published.Signed.Expires, snapshotLife) &&
		root.VerifyDelegate(metadata.SNAPSHOT, published) == nil {
		return published, nil
	}
	versions, err := m.versions(metadata.SNAPSHOT)
	if err != nil {
		return nil, err
	}
	next.Signed.Version = 1
	if len(versions) > 0 {
		next.Signed.Version = versions[0] + 1
	}
	return next, save(m, metadata.SNAPSHOT, root.Signed.Roles[metadata.SNAPSHOT].KeyIDs, next, next.Signed.Version)
}

// published returns the snapshot that timestamp.json points to, nil before the first.
func (m *Maker) published() (*metadata.Metadata[metadata.SnapshotType], error) {
	stamp, err := m.stamp()
	if err != nil || stamp == nil {
		return nil, err
	}
	at := stamp.Signed.Meta["snapshot.json"]
	if at == nil {
		return nil, errors.New("timestamp.json names no snapshot")
	}
	return load[metadata.SnapshotType](m, metadata.SNAPSHOT, at.Version)
}

func (m *Maker) stamp() (*metadata.Metadata[metadata.TimestampType], error) {
	data, err := os.ReadFile(m.file("timestamp.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return metadata.Timestamp().FromBytes(data)
}

// timestamp publishes the snapshot: the one file that is replaced, and the last.
func (m *Maker) timestamp(rep *Report, root *metadata.Metadata[metadata.RootType], snapshot *metadata.Metadata[metadata.SnapshotType]) error {
	old, err := m.stamp()
	if err != nil {
		return err
	}
	next := metadata.Timestamp(m.life(m.cfg.Timestamp))
	if old != nil {
		next.Signed.Version = old.Signed.Version + 1
	}
	if next.Signed.Meta["snapshot.json"], err = m.metaFile(metadata.SNAPSHOT, snapshot.Signed.Version); err != nil {
		return err
	}
	if _, err := sign(m.keys, root.Signed.Roles[metadata.TIMESTAMP].KeyIDs, next); err != nil {
		return err
	}
	if err := errors.Join(root.VerifyDelegate(metadata.SNAPSHOT, snapshot), root.VerifyDelegate(metadata.TIMESTAMP, next)); err != nil {
		rep.Pending = append(rep.Pending, fmt.Sprintf("not published, the online keys are not at hand: %v", err))
		return nil
	}
	data, err := next.ToBytes(true)
	if err != nil {
		return err
	}
	first, err := os.ReadFile(m.RootFile())
	if err != nil {
		return err
	}
	seen, err := verify(context.Background(), overlay{stored{"timestamp.json": data}, folder(m.cfg.Dir)}, held{root: first}, m.cfg.Now())
	if err != nil {
		return fmt.Errorf("not published, a client would refuse it: %w", err)
	}
	rep.Timestamp, rep.Expires, rep.Lost = next.Signed.Version, next.Signed.Expires, seen.lost
	return writePublic(m.file("timestamp.json"), data)
}

// overlay is a folder in which some files are replaced.
type overlay struct {
	over  stored
	below Source
}

// Get implements Source.
func (o overlay) Get(ctx context.Context, name string, most int64) ([]byte, error) {
	if _, ok := o.over[name]; ok {
		return o.over.Get(ctx, name, most)
	}
	return o.below.Get(ctx, name, most)
}

// RootDigest returns the SHA-256 of the root that operators pin.
func (m *Maker) RootDigest() (abi.Digest, error) {
	data, err := os.ReadFile(m.RootFile())
	if err != nil {
		return "", err
	}
	return abi.DigestOf(data), nil
}
