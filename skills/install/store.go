package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/semver"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/internal/durable"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
)

// Store keeps installed skills. Several processes may use one.
type Store struct {
	dir    string // of the versions: DIR/NAME/HEX
	lock   string // file
	grants string // folder where the operator's grants are written

	step func(Step) // of a test: told before each step of a change
}

// Step is a moment of a change at which a process may die.
type Step string

// The steps of an installation, in order. StepLock replaces the lock file: before it
// the old version counts, after it the new one.
const (
	StepStage  Step = "stage"  // files are written beside the versions
	StepPlace  Step = "place"  // the folder of the version takes its name
	StepGrant  Step = "grant"  // the grant of the new version is laid ready
	StepLock   Step = "lock"   // the commit
	StepFinish Step = "finish" // the grant takes its name
	StepClean  Step = "clean"  // what nobody needs is removed
)

// Steps returns all steps in their order.
func Steps() []Step {
	return []Step{StepStage, StepPlace, StepGrant, StepLock, StepFinish, StepClean}
}

// OpenStore returns the store of a state folder.
func OpenStore(state *config.State) *Store {
	return &Store{dir: state.Skills(), lock: state.SkillsLock(), grants: state.Grants(), step: func(Step) {}}
}

// Lock returns which versions count now.
func (s *Store) Lock() (*Lock, error) { return ReadLock(s.lock) }

// LockFile is the path of the lock file.
func (s *Store) LockFile() string { return s.lock }

// Dir returns the folder of an installed version.
func (s *Store) Dir(e *Entry) string { return filepath.Join(s.dir, string(e.Name), e.Folder.Hex()) }

// folderOf names the folder of an artifact under one signature: nothing in it ever
// changes.
func folderOf(artifact abi.Digest, sig []byte) abi.Digest {
	return abi.DigestOf([]byte(string(artifact) + "\n" + string(abi.DigestOf(sig)) + "\n"))
}

// stagePrefix begins the names of folders that are not yet, or no longer, versions.
const stagePrefix = ".stage-"

// Stage writes an artifact and its signature to a folder of its own in the store, from
// which nothing is loaded. release removes it, unless it has been placed.
func (s *Store) Stage(a *artifact.Artifact, sig []byte) (_ *skills.Bundle, release func(), err error) {
	if err := a.Name.Check(); err != nil {
		return nil, nil, err
	}
	parent := filepath.Join(s.dir, string(a.Name))
	if err := ownFolder(parent); err != nil {
		return nil, nil, err
	}
	s.step(StepStage)
	dir, err := os.MkdirTemp(parent, stagePrefix)
	if err != nil {
		return nil, nil, fmt.Errorf("stage skill: %w", err)
	}
	release = func() { _ = os.RemoveAll(dir) }
	defer func() {
		if err != nil {
			release()
		}
	}()
	folder := filepath.Join(dir, "skill")
	if err := a.Extract(folder, sig); err != nil {
		return nil, nil, fmt.Errorf("stage skill: %w", err)
	}
	b, err := skills.Open(folder)
	return b, release, err
}

// ownFolder makes a folder of the store; a link of that name is none.
func ownFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("open the store of skills: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("open the store of skills: %w", err)
	}
	if !info.IsDir() {
		return fmt.Errorf("open the store of skills: %s is not a folder", dir)
	}
	return nil
}

// commit makes a staged version the one that counts, together with its grant: the text
// of a grant file that pins it. still is asked first, while nobody else changes the
// store.
func (s *Store) commit(staged *skills.Bundle, e Entry, grant []byte, still func(*Lock) error) (err error) {
	release, err := s.change()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	lock, err := s.Lock()
	if err != nil {
		return err
	}
	if err := s.finish(lock); err != nil {
		return err
	}
	if err := still(lock); err != nil {
		return err
	}
	sig, err := readSignature(staged.Dir)
	if err != nil {
		return fmt.Errorf("install skill: %w", err)
	}
	e.Folder = folderOf(e.Artifact, sig)
	if old := lock.Find(e.Name); old != nil {
		e.Highest, e.Content, e.Previous = old.Highest, old.Content, old.Folder
		if old.Folder == e.Folder {
			e.Previous = old.Previous
		}
	}
	if e.Highest == "" || semver.Compare("v"+e.Version, "v"+e.Highest) >= 0 {
		e.Highest, e.Content = e.Version, e.Artifact
	}
	s.step(StepPlace)
	if err := s.place(staged.Dir, s.Dir(&e)); err != nil {
		return fmt.Errorf("install skill: %w", err)
	}
	s.step(StepGrant)
	if err := config.WriteFile(s.nextGrant(e.Name), grant); err != nil {
		return fmt.Errorf("install skill: %w", err)
	}
	return s.write(lock.with(e))
}

// place gives a staged folder its name. One that has it already and is whole is the
// same; one that is not would be refused at load and gives way.
func (s *Store) place(staged, dir string) error {
	if _, err := os.Lstat(dir); err == nil {
		b, err := skills.Open(dir)
		if err == nil {
			sig, serr := readSignature(dir)
			digest, derr := artifact.DigestOf(b)
			if serr == nil && derr == nil && folderOf(digest, sig).Hex() == filepath.Base(dir) {
				return os.RemoveAll(staged)
			}
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
	}
	if err := os.Rename(staged, dir); err != nil {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// write replaces the lock file and finishes the change.
func (s *Store) write(next *Lock) error {
	data, err := next.encode()
	if err != nil {
		return err
	}
	if _, err := DecodeLock(data); err != nil {
		return fmt.Errorf("write the lock file: %w", err)
	}
	s.step(StepLock)
	if err := config.WriteFile(s.lock, data); err != nil {
		return err
	}
	s.step(StepFinish)
	if err := s.finish(next); err != nil {
		return err
	}
	s.step(StepClean)
	return s.clean(next)
}

// Remove takes a skill out of use. Its highest version is remembered, its grant stays
// unless it says so: it is pinned to what was removed.
func (s *Store) Remove(name abi.SkillName) (Entry, error) {
	return s.edit(name, func(e *Entry) {
		*e = Entry{Name: e.Name, Publisher: e.Publisher, Highest: e.Highest, Content: e.Content}
	})
}

// Pin keeps a skill at its version, or lets it be upgraded again.
func (s *Store) Pin(name abi.SkillName, pinned bool) (Entry, error) {
	return s.edit(name, func(e *Entry) { e.Pinned = pinned })
}

func (s *Store) edit(name abi.SkillName, change func(*Entry)) (was Entry, err error) {
	release, err := s.change()
	if err != nil {
		return Entry{}, err
	}
	defer func() { err = errors.Join(err, release()) }()
	lock, err := s.Lock()
	if err != nil {
		return Entry{}, err
	}
	e := lock.Installed(name)
	if e == nil {
		return Entry{}, fmt.Errorf("%w: %q", ErrNotInstalled, name)
	}
	was, next := *e, *e
	change(&next)
	return was, s.write(lock.with(next))
}

// ErrNotInstalled is returned for a skill that is not in the store.
var ErrNotInstalled = errors.New("no skill of that name was installed")

// WriteGrant replaces the operator's grant of a skill. It waits for an installation that
// is under way, so that the later word counts.
func (s *Store) WriteGrant(name abi.SkillName, text []byte) (path string, err error) {
	release, err := s.change()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, release()) }()
	lock, err := s.Lock()
	if err == nil {
		err = s.finish(lock)
	}
	if err != nil {
		return "", err
	}
	path = filepath.Join(s.grants, string(name)+".yaml")
	return path, config.WriteFile(path, text)
}

// Recover finishes what a process that was killed left behind. It does not wait for one
// that is at work.
func (s *Store) Recover() (err error) {
	left, err := filepath.Glob(filepath.Join(s.grants, "*"+nextSuffix))
	if err != nil || len(left) == 0 {
		return err
	}
	release, err := config.TryLockFile(s.lock + ".guard")
	if errors.Is(err, config.ErrHeld) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	lock, err := s.Lock()
	if err != nil {
		return err
	}
	if err := s.finish(lock); err != nil {
		return err
	}
	return s.clean(lock)
}

// change keeps other processes from changing the store.
func (s *Store) change() (release func() error, err error) { return config.LockFile(s.lock + ".guard") }

// nextSuffix ends the name of a grant that waits for its version to be committed. No
// skill has a name with a dot.
const nextSuffix = ".next.yaml"

func (s *Store) nextGrant(name abi.SkillName) string {
	return filepath.Join(s.grants, string(name)+nextSuffix)
}

// GrantFile is where the grant of a skill is: the one that waits for a version which is
// committed already, else the operator's.
func (s *Store) GrantFile(name abi.SkillName) string {
	next := s.nextGrant(name)
	if _, err := os.Lstat(next); err == nil {
		if lock, err := s.Lock(); err == nil && committed(next, name, lock) {
			return next
		}
	}
	return filepath.Join(s.grants, string(name)+".yaml")
}

// finish gives the grants that wait their names, as far as the lock file holds the
// versions that they pin; the others were never committed.
func (s *Store) finish(lock *Lock) error {
	left, err := filepath.Glob(filepath.Join(s.grants, "*"+nextSuffix))
	if err != nil {
		return err
	}
	for _, path := range left {
		name := abi.SkillName(strings.TrimSuffix(filepath.Base(path), nextSuffix))
		if committed(path, name, lock) {
			err = os.Rename(path, filepath.Join(s.grants, string(name)+".yaml"))
		} else {
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("finish installation: %w", err)
		}
	}
	if len(left) > 0 {
		return durable.SyncDir(s.grants)
	}
	return nil
}

// committed reports whether the grant that waits in path is that of the version which
// the lock file names.
func committed(path string, name abi.SkillName, lock *Lock) bool {
	e := lock.Installed(name)
	if e == nil {
		return false
	}
	data, err := config.ReadOwned(path, 256*abi.KiB)
	if err != nil {
		return false
	}
	g, err := abi.DecodeGrant(filepath.Base(path), data)
	return err == nil && g.Skill == name && g.Pin != nil && g.Pin.SHA256 == e.Manifest.Hex()
}

// staleStage is how old a staged folder is that belongs to no living process.
const staleStage = time.Hour

// clean removes versions that the lock file does not name, and staged folders that
// were left behind.
func (s *Store) clean(lock *Lock) error {
	for _, e := range lock.Skills {
		dir := filepath.Join(s.dir, string(e.Name))
		entries, err := os.ReadDir(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("clean the store of skills: %w", err)
		}
		for _, d := range entries {
			name := d.Name()
			keep := name == e.Folder.Hex() || name == e.Previous.Hex() || !d.IsDir()
			if strings.HasPrefix(name, stagePrefix) {
				info, err := d.Info()
				keep = err != nil || time.Since(info.ModTime()) < staleStage
			} else if len(name) != 64 {
				keep = true // not ours
			}
			if !keep {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					return fmt.Errorf("clean the store of skills: %w", err)
				}
			}
		}
	}
	return nil
}
