package signature

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/glovebox-dev/glovebox/host/config"
)

// PinnedRoot returns the file of the public-good root that the operator updated to;
// where there is none, the embedded one is used.
func PinnedRoot(s *config.State) string { return filepath.Join(s.Dir(), "trust", "public-good.json") }

// Trusted reads the keys and roots that t names, and this machine's own key, which
// signs any skill here as config.LocalPublisher once it is made.
func Trusted(s *config.State, t config.Trust) (Config, error) {
	cfg := Config{Roots: map[string]Root{}}
	pinned, err := readFile(PinnedRoot(s), MaxRoot)
	switch {
	case err == nil:
		cfg.Roots[""] = Root{Class: PublicGood, JSON: pinned}
	case !errors.Is(err, fs.ErrNotExist):
		return Config{}, fmt.Errorf("trust: %w", err)
	}
	for _, r := range t.Roots {
		b, err := readFile(r.File, MaxRoot)
		if err != nil {
			return Config{}, fmt.Errorf("trust: root %q: %w", r.Name, err)
		}
		cfg.Roots[string(r.Name)] = Root{Class: Class(r.Class), JSON: b}
	}
	own, err := OwnKey(s)
	switch {
	case err == nil:
		k, err := PublicKeyOf(own)
		if err != nil {
			return Config{}, fmt.Errorf("trust: %s: %w", s.PublisherKey(), err)
		}
		cfg.Publishers = append(cfg.Publishers, Publisher{Name: config.LocalPublisher, Skills: []string{"*"}, Key: k})
	case !errors.Is(err, fs.ErrNotExist):
		return Config{}, fmt.Errorf("trust: %w", err)
	}
	for _, p := range t.Publishers {
		q, err := publisher(p)
		if err != nil {
			return Config{}, fmt.Errorf("trust: publisher %q: %w", p.Name, err)
		}
		cfg.Publishers = append(cfg.Publishers, q)
	}
	return cfg, nil
}

func publisher(p config.Publisher) (Publisher, error) {
	q := Publisher{Name: string(p.Name), Skills: p.Skills, TrustedRoot: string(p.Root)}
	if p.Identity != nil {
		id := Identity(*p.Identity)
		q.Identity = &id
		return q, nil
	}
	b, err := readFile(p.Key, MaxKey)
	if err != nil {
		return q, err
	}
	if q.Key, err = ParseKey(b); err != nil {
		return q, fmt.Errorf("%s: %w", p.Key, err)
	}
	if !p.From.IsZero() {
		q.Key.From = p.From.End().AddDate(0, 0, -1)
	}
	if !p.Until.IsZero() {
		q.Key.Until = p.Until.End()
	}
	return q, nil
}

// OwnKey loads this machine's own signing key. Where there is none yet, the error
// wraps fs.ErrNotExist.
func OwnKey(s *config.State) (Signer, error) {
	b, err := readFile(s.PublisherKey(), MaxKey)
	if err != nil {
		return nil, fmt.Errorf("own key: %w", err)
	}
	k, err := LoadSigner(b, nil)
	if err != nil {
		return nil, fmt.Errorf("own key: %s: %w", s.PublisherKey(), err)
	}
	return k, nil
}

// MakeOwnKey loads this machine's own signing key, and makes it first if there is
// none: mode 0600, whole or not at all, and never over one that somebody else made.
func MakeOwnKey(s *config.State) (k Signer, made bool, err error) {
	if k, err = OwnKey(s); !errors.Is(err, fs.ErrNotExist) {
		return k, false, err
	}
	text, err := GenerateKey()
	if err != nil {
		return nil, false, err
	}
	if made, err = create(s.PublisherKey(), text); err != nil {
		return nil, false, fmt.Errorf("own key: %w", err)
	}
	k, err = OwnKey(s)
	return k, made, err
}

// create writes a file that must not exist yet; made is false where it does.
func create(path string, data []byte) (made bool, err error) {
	dir, err := os.MkdirTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fresh := filepath.Join(dir, filepath.Base(path))
	if err := config.WriteFile(fresh, data); err != nil {
		return false, err
	}
	err = os.Link(fresh, path) // a rename would replace the other one
	if errors.Is(err, fs.ErrExist) {
		return false, nil
	}
	return err == nil, err
}

var errTooLong = errors.New("more")

// readFile reads a regular file of at most limit bytes.
func readFile(path string, limit int64) (b []byte, err error) {
	info, err := os.Stat(path) // before the open: opening a FIFO blocks
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if b, err = io.ReadAll(io.LimitReader(f, limit+1)); err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s: %w than %d bytes", path, errTooLong, limit)
	}
	return b, err
}
