package registry

import (
	"bytes"
	"cmp"
	"context"
	"crypto"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// How long what a maker signs is valid. At half of it, Sign renews what it has keys for.
const (
	day           = 24 * time.Hour
	rootLife      = 365 * day
	targetsLife   = 90 * day
	snapshotLife  = 30 * day
	timestampLife = 1 * day
	maxTimestampD = 7 * day // for air gaps
)

// MakerConfig says where a registry is made.
type MakerConfig struct {
	Dir       string           // the static files, for any web server or folder copy
	Keys      string           // folder with the private keys that are at hand
	Signers   []crypto.Signer  // further keys
	Timestamp time.Duration    // how long a timestamp is valid; 0: one day, at most seven
	Now       func() time.Time // nil: time.Now
}

// Maker writes a registry. One process at a time may do so; one that dies leaves the
// old state or the new one, because clients see nothing before timestamp.json is
// replaced.
type Maker struct {
	cfg  MakerConfig
	keys keyring
}

// Keys of a registry, by file name in the key folder.
const (
	rootKeyFile = "root-%d.pem"
	onlineKey   = "timestamp.pem"
	snapshotKey = "snapshot.pem"
	targetsKey  = "targets.pem"
)

// Init makes an empty registry whose root needs threshold of n new keys, P-256 all of
// them: 2 of 3, or 1 of 1 for who publishes alone.
func Init(cfg MakerConfig, threshold, n int) (*Maker, error) {
	if n < 1 || n > 9 || threshold < 1 || threshold > n {
		return nil, fmt.Errorf("%d of %d root keys; want 1 of 1 up to 9 of 9", threshold, n)
	}
	if entries, err := os.ReadDir(cfg.Dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty", cfg.Dir)
	}
	if err := os.MkdirAll(cfg.Keys, 0o700); err != nil {
		return nil, err
	}
	m, err := newMaker(cfg)
	if err != nil {
		return nil, err
	}
	root := metadata.Root(m.life(rootLife))
	add := func(role, file string) error {
		key, err := NewKey(filepath.Join(cfg.Keys, file))
		if err != nil {
			return err
		}
		if err := m.keys.add(key); err != nil {
			return err
		}
		public, _, err := tufKey(key.Public())
		if err != nil {
			return err
		}
		return root.Signed.AddKey(public, role)
	}
	for i := range n {
		if err := add(metadata.ROOT, fmt.Sprintf(rootKeyFile, i+1)); err != nil {
			return nil, err
		}
	}
	root.Signed.Roles[metadata.ROOT].Threshold = threshold
	for role, file := range map[string]string{metadata.TARGETS: targetsKey, metadata.SNAPSHOT: snapshotKey, metadata.TIMESTAMP: onlineKey} {
		if err := add(role, file); err != nil {
			return nil, err
		}
	}
	if err := save(m, metadata.ROOT, root.Signed.Roles[metadata.ROOT].KeyIDs, root, 1); err != nil {
		return nil, err
	}
	targets := metadata.Targets(m.life(targetsLife))
	if err := m.putIndex(targets, "", nil); err != nil {
		return nil, err
	}
	if err := save(m, metadata.TARGETS, root.Signed.Roles[metadata.TARGETS].KeyIDs, targets, 1); err != nil {
		return nil, err
	}
	_, err = m.Sign()
	return m, err
}

// OpenMaker opens a registry that Init made.
func OpenMaker(cfg MakerConfig) (*Maker, error) {
	m, err := newMaker(cfg)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(m.file("1.root.json")); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no registry in %s; make one with: glovebox registry init %s", cfg.Dir, cfg.Dir)
	} else if err != nil {
		return nil, err
	}
	return m, nil
}

func newMaker(cfg MakerConfig) (*Maker, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Timestamp == 0 {
		cfg.Timestamp = timestampLife
	}
	if cfg.Timestamp < time.Minute || cfg.Timestamp > maxTimestampD {
		return nil, fmt.Errorf("timestamps valid for %s; want up to %s", cfg.Timestamp, maxTimestampD)
	}
	keys, err := openKeys(cfg.Keys)
	if err != nil {
		return nil, err
	}
	for _, s := range cfg.Signers {
		if err := keys.add(s); err != nil {
			return nil, err
		}
	}
	return &Maker{cfg, keys}, nil
}

func (m *Maker) file(name string) string { return filepath.Join(m.cfg.Dir, filepath.FromSlash(name)) }

// life is when something that is signed now expires.
func (m *Maker) life(d time.Duration) time.Time {
	return m.cfg.Now().UTC().Add(d).Truncate(time.Second)
}

// RootFile is what operators pin: the first root.
func (m *Maker) RootFile() string { return m.file("1.root.json") }

// versions returns the versions of a role that lie in the folder, the newest first.
func (m *Maker) versions(role string) ([]int64, error) {
	entries, err := os.ReadDir(m.cfg.Dir)
	if err != nil {
		return nil, err
	}
	var list []int64
	for _, e := range entries {
		number, ok := strings.CutSuffix(e.Name(), "."+role+".json")
		if v, err := strconv.ParseInt(number, 10, 64); ok && err == nil && v > 0 {
			list = append(list, v)
		}
	}
	slices.SortFunc(list, func(a, b int64) int { return cmp.Compare(b, a) })
	return list, nil
}

// load reads one version of a role.
func load[T metadata.Roles](m *Maker, role string, version int64) (*metadata.Metadata[T], error) {
	data, err := os.ReadFile(m.file(fmt.Sprintf("%d.%s.json", version, role)))
	if err != nil {
		return nil, err
	}
	return (&metadata.Metadata[T]{}).FromBytes(data)
}

// newest reads the newest version of a role, published or not; nil if there is none.
func newest[T metadata.Roles](m *Maker, role string) (*metadata.Metadata[T], int64, error) {
	list, err := m.versions(role)
	if err != nil || len(list) == 0 {
		return nil, 0, err
	}
	meta, err := load[T](m, role, list[0])
	return meta, list[0], err
}

// save signs a version of a role with the keys that are at hand and writes it.
// Nothing points to it yet.
func save[T metadata.Roles](m *Maker, role string, ids []string, meta *metadata.Metadata[T], version int64) error {
	if _, err := sign(m.keys, ids, meta); err != nil {
		return err
	}
	data, err := meta.ToBytes(true)
	if err != nil {
		return err
	}
	return writePublic(m.file(fmt.Sprintf("%d.%s.json", version, role)), data)
}

// putTarget stores bytes and lists them in meta.
func (m *Maker) putTarget(meta *targetsMetadata, path string, data []byte) error {
	if err := checkTarget(path); err != nil {
		return err
	}
	file, err := metadata.TargetFile().FromBytes(path, data, "sha256")
	if err != nil {
		return err
	}
	name, err := storedName(path, file, int64(len(data)))
	if err != nil {
		return err
	}
	if err := writePublic(m.file(name), data); err != nil {
		return err
	}
	meta.Signed.Targets[path] = file
	return nil
}

// getTarget reads what meta lists, nil if it does not.
func (m *Maker) getTarget(meta *targetsMetadata, path string) ([]byte, error) {
	want := meta.Signed.Targets[path]
	if want == nil {
		return nil, nil
	}
	name, err := storedName(path, want, want.Length)
	if err != nil {
		return nil, err
	}
	data, err := folder(m.cfg.Dir).Get(context.Background(), name, want.Length)
	if err != nil {
		return nil, err
	}
	return data, want.VerifyLengthHashes(data)
}

func (m *Maker) putIndex(meta *targetsMetadata, by Publisher, entries []Entry) error {
	if entries == nil {
		entries = []Entry{}
	}
	data, err := encode(index{1, entries})
	if err != nil {
		return err
	}
	if _, err := DecodeIndex(data, by); err != nil { // what clients would refuse is not written
		return err
	}
	return m.putTarget(meta, by.prefix()+indexFile, data)
}

func (m *Maker) getIndex(meta *targetsMetadata, by Publisher) ([]Entry, error) {
	data, err := m.getTarget(meta, by.prefix()+indexFile)
	if err != nil || data == nil {
		return nil, err
	}
	return DecodeIndex(data, by)
}

func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	err := enc.Encode(v)
	return b.Bytes(), err
}
