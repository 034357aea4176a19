package install

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"golang.org/x/mod/semver"
)

// SchemaLock is the value of the key schema of the lock file that this build reads.
const SchemaLock = "glovebox/lock/v1"

// Bounds of a lock file.
const (
	maxLock    = 4 * abi.MiB
	maxEntries = 1000
)

// Lock is STATE/skills.lock: which version of each skill counts. It is replaced as one
// step. Nothing in it is trusted as such: what it names is verified at every load.
type Lock struct {
	Schema string  `json:"schema"`
	Skills []Entry `json:"skills"` // by name
}

// Entry is one skill. Of one that was removed, Name, Publisher and Highest are left, so
// that an older version does not come back as a new one.
type Entry struct {
	Name      abi.SkillName `json:"name"`
	Version   string        `json:"version,omitempty"`
	Artifact  abi.Digest    `json:"artifact,omitempty"` // what was signed
	Folder    abi.Digest    `json:"folder,omitempty"`   // of artifact and signature: the files are in NAME/HEX
	Manifest  abi.Digest    `json:"manifest,omitempty"` // what the grant pins
	Publisher string        `json:"publisher"`
	Signer    abi.Signer    `json:"signer,omitzero"`
	Signed    time.Time     `json:"signed,omitzero"`
	Source    string        `json:"source,omitempty"` // where it came from, as it was asked for
	Installed time.Time     `json:"installed,omitzero"`
	Pinned    bool          `json:"pinned,omitempty"`
	Previous  abi.Digest    `json:"previous,omitempty"` // the folder before this one, still in the store
	Highest   string        `json:"highest"`            // version that was ever installed
	Content   abi.Digest    `json:"content,omitempty"`  // the artifact that Highest had
}

// Installed reports whether the skill is there.
func (e *Entry) installed() bool { return e != nil && e.Artifact != "" }

// Find returns the entry of a skill, nil if there is none.
func (l *Lock) Find(name abi.SkillName) *Entry {
	i := slices.IndexFunc(l.Skills, func(e Entry) bool { return e.Name == name })
	if i < 0 {
		return nil
	}
	return &l.Skills[i]
}

// Installed returns the entry of a skill that is installed, nil if it is not.
func (l *Lock) Installed(name abi.SkillName) *Entry {
	if e := l.Find(name); e.installed() {
		return e
	}
	return nil
}

// with returns a copy of l in which e stands for its skill.
func (l *Lock) with(e Entry) *Lock {
	next := &Lock{Schema: SchemaLock, Skills: slices.DeleteFunc(slices.Clone(l.Skills), func(old Entry) bool { return old.Name == e.Name })}
	next.Skills = append(next.Skills, e)
	slices.SortFunc(next.Skills, func(a, b Entry) int { return strings.Compare(string(a.Name), string(b.Name)) })
	return next
}

// ReadLock reads a lock file; a file that is not there is an empty one. What it does
// not understand is a *Refusal with ReasonLock: no version is better than a wrong one.
func ReadLock(path string) (*Lock, error) {
	data, err := config.ReadOwned(path, maxLock)
	if errors.Is(err, fs.ErrNotExist) {
		return &Lock{Schema: SchemaLock}, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the lock file: %w", err)
	}
	l, err := DecodeLock(data)
	if err != nil {
		return nil, &Refusal{Reason: ReasonLock, What: fmt.Sprintf("no installed skill is loaded: %s: %v", path, err), Err: err}
	}
	return l, nil
}

// DecodeLock decodes a lock file strictly: no unknown field, no key or skill twice.
func DecodeLock(data []byte) (*Lock, error) {
	if len(data) > maxLock {
		return nil, fmt.Errorf("more than %d bytes", maxLock)
	}
	if err := abi.CheckJSON(data, abi.MaxJSONDepth); err != nil {
		return nil, err
	}
	var l Lock
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&l); err != nil {
		return nil, err
	}
	if l.Schema != SchemaLock {
		return nil, fmt.Errorf("schema %.80q; this build reads %s", l.Schema, SchemaLock)
	}
	if len(l.Skills) > maxEntries {
		return nil, fmt.Errorf("%d skills exceed the limit of %d", len(l.Skills), maxEntries)
	}
	for i := range l.Skills {
		if err := l.Skills[i].check(); err != nil {
			return nil, fmt.Errorf("skill %d: %w", i, err)
		}
		if i > 0 && l.Skills[i-1].Name >= l.Skills[i].Name {
			return nil, fmt.Errorf("skill %q is there twice, or not in its order", l.Skills[i].Name)
		}
	}
	again, err := l.encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, errors.New("not as it was written")
	}
	return &l, nil
}

func (e *Entry) check() error {
	if err := e.Name.Check(); err != nil {
		return err
	}
	if !semver.IsValid("v" + e.Highest) {
		return fmt.Errorf("highest: %.80q is no version", e.Highest)
	}
	if !e.installed() {
		return nil
	}
	if !semver.IsValid("v"+e.Version) || semver.Compare("v"+e.Version, "v"+e.Highest) > 0 {
		return fmt.Errorf("version %.80q is none, or above the highest", e.Version)
	}
	for _, d := range []abi.Digest{e.Artifact, e.Folder, e.Manifest, e.Previous, e.Content} {
		if _, err := abi.ParseDigest(string(d)); d != "" && err != nil {
			return err
		}
	}
	if e.Manifest == "" || e.Folder == "" {
		return errors.New("manifest or folder is missing")
	}
	return nil
}

func (l *Lock) encode() ([]byte, error) {
	b, err := json.MarshalIndent(l, "", "  ")
	if err != nil {
		return nil, err
	}
	return append(b, '\n'), nil
}
