package config

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/glovebox-dev/glovebox/internal/durable"
)

// ErrLocked is returned when another daemon uses the state folder.
var ErrLocked = errors.New("another glovebox daemon is running on this state folder")

// ErrHeld is wrapped where another process holds a file.
var ErrHeld = errors.New("another process holds it")

// ErrOwner is returned for a state folder of another user.
var ErrOwner = errors.New("the state folder belongs to another user")

// State is the folder that holds everything the daemon keeps: folders 0700, files
// 0600, nothing reached through a symbolic link.
type State struct{ dir string }

// The folders of a state, all made by OpenState.
var folders = []string{"run", "keys", "cache", "skills", "grants", "agents"}

// OpenState opens the state folder at dir and makes what is missing. A folder or a
// file that others may enter or read is refused with a *ModeError.
func OpenState(dir string) (*State, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	if err := os.MkdirAll(abs, 0o700); err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	s := &State{dir: abs}
	if err := s.private(abs, true); err != nil {
		return nil, fmt.Errorf("open state folder: %w", err)
	}
	for _, name := range folders {
		p := filepath.Join(abs, name)
		if err := os.Mkdir(p, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("open state folder: %w", err)
		}
		if err := s.private(p, true); err != nil {
			return nil, fmt.Errorf("open state folder: %w", err)
		}
	}
	for _, name := range []string{"", "run", "keys", "grants"} {
		if err := s.privateFiles(filepath.Join(abs, name)); err != nil {
			return nil, fmt.Errorf("open state folder: %w", err)
		}
	}
	return s, nil
}

// FindState opens a state folder that exists and makes nothing.
func FindState(dir string) (*State, error) {
	abs, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find state folder: %w", err)
	}
	s := &State{dir: abs}
	if err := s.private(abs, true); err != nil {
		return nil, fmt.Errorf("find state folder: %w", err)
	}
	return s, nil
}

func (s *State) privateFiles(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if err := s.private(filepath.Join(dir, e.Name()), false); err != nil {
			return err
		}
	}
	return nil
}

// private refuses a path that others may enter, that is a link, or that is not ours.
func (s *State) private(path string, folder bool) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	want := fs.FileMode(0o600)
	if folder {
		want = 0o700
	}
	switch {
	case folder && !info.IsDir():
		return fmt.Errorf("%s: not a folder", path)
	case !folder && !info.Mode().IsRegular():
		return fmt.Errorf("%s: not a regular file", path)
	case info.Mode().Perm()&0o077 != 0:
		return &ModeError{Path: path, Mode: info.Mode().Perm(), Want: want}
	}
	return owned(path, info)
}

// Dir returns the absolute path of the folder.
func (s *State) Dir() string { return s.dir }

// TokenFile holds the operator's bearer token.
func (s *State) TokenFile() string { return s.path("token") }

// ApprovalTokenFile is the file with the token that answers approvals; the other one
// cannot.
func (s *State) ApprovalTokenFile() string { return s.path("approval-token") }

// AddressFile holds http://HOST:PORT of the running daemon.
func (s *State) AddressFile() string { return s.path("run/address") }

// InfoFile holds the running daemon's Info.
func (s *State) InfoFile() string { return s.path("run/daemon.json") }

// DefaultConfigFile is read when no --config is given and it exists.
func (s *State) DefaultConfigFile() string { return s.path("glovebox.yaml") }

// Audit is the database of the audit log.
func (s *State) Audit() string { return s.path("audit.db") }

// Approvals is the database of asks, grants and endorsements.
func (s *State) Approvals() string { return s.path("approvals.db") }

// Budget is the database of what the agents have spent.
func (s *State) Budget() string { return s.path("budget.db") }

// KV is the database of the skills' key-value stores.
func (s *State) KV() string { return s.path("kv.db") }

// Secrets is the database of encrypted secrets.
func (s *State) Secrets() string { return s.path("secrets.db") }

// Key returns the file of the key with the name.
func (s *State) Key(name string) string { return s.path("keys/" + name) }

// Cache is the folder of compiled modules.
func (s *State) Cache() string { return s.path("cache") }

// Skills is the folder of installed skills.
func (s *State) Skills() string { return s.path("skills") }

// Grants is the folder of the grants that the command line writes.
func (s *State) Grants() string { return s.path("grants") }

// SkillsLock says which versions of skills are installed.
func (s *State) SkillsLock() string { return s.path("skills.lock") }

// Advisories is the database of OSV records.
func (s *State) Advisories() string { return s.path("advisories.db") }

// Registries is the database of what was verified of registries.
func (s *State) Registries() string { return s.path("registries.db") }

// RegistryCache is the folder with what was fetched from registries.
func (s *State) RegistryCache() string { return s.path("cache/registries") }

// PublisherKey is this machine's own signing key.
func (s *State) PublisherKey() string { return s.path("keys/publisher.pem") }

// EgressFile holds the private origins that the command line opened.
func (s *State) EgressFile() string { return s.path("egress.yaml") }

func (s *State) path(name string) string { return filepath.Join(s.dir, filepath.FromSlash(name)) }

// AgentDir makes and returns the folder of one agent, with its workspace.
func (s *State) AgentDir(name AgentName) (string, error) {
	var checked AgentName
	if err := checked.UnmarshalText([]byte(name)); err != nil {
		return "", err
	}
	dir := filepath.Join(s.dir, "agents", string(checked))
	for _, p := range []string{dir, filepath.Join(dir, "workspace")} {
		if err := os.Mkdir(p, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", fmt.Errorf("make folder of agent %s: %w", name, err)
		}
		if err := s.private(p, true); err != nil {
			return "", fmt.Errorf("open folder of agent %s: %w", name, err)
		}
	}
	return dir, nil
}

// LoadKey returns the 32 random bytes of the key with the name and makes them first
// if there are none. A file of another length is refused, not replaced.
func (s *State) LoadKey(name string) ([]byte, error) {
	path := s.Key(name)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = make([]byte, 32)
		_, _ = rand.Read(b) // never fails, crypto/rand ends the process instead
		return b, WriteFile(path, b)
	}
	if err != nil {
		return nil, fmt.Errorf("load key %s: %w", name, err)
	}
	if len(b) != 32 {
		return nil, fmt.Errorf("load key %s: %s has %d bytes, want 32", name, path, len(b))
	}
	return b, nil
}

// Token returns the operator's token and whether it was made just now: "gb_" and
// the hexadecimal form of 32 random bytes.
func (s *State) Token() (token string, created bool, err error) {
	return readToken(s.TokenFile(), "gb_")
}

// ApprovalToken returns the token with which a person answers approvals, "gba_" and 64
// digits. It opens nothing else, and the operator's token does not stand in for it.
func (s *State) ApprovalToken() (token string, created bool, err error) {
	return readToken(s.ApprovalTokenFile(), "gba_")
}

// readToken returns the token in file and makes it first if there is none.
func readToken(file, prefix string) (token string, created bool, err error) {
	b, err := os.ReadFile(file)
	if err == nil {
		token = strings.TrimSpace(string(b))
		if len(token) != len(prefix)+64 || !strings.HasPrefix(token, prefix) {
			return "", false, fmt.Errorf("read token: %s is damaged; remove it, a new one is made at the next start", file)
		}
		return token, false, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", false, fmt.Errorf("read token: %w", err)
	}
	raw := make([]byte, 32)
	_, _ = rand.Read(raw)
	token = prefix + hex.EncodeToString(raw)
	return token, true, WriteFile(file, []byte(token+"\n"))
}

// WriteFile replaces the file at path as one step, mode 0600, and makes it durable:
// a reader sees the old or the new content, never half of one.
func WriteFile(path string, data []byte) error { return durable.ReplaceBytes(path, 0o600, data) }
