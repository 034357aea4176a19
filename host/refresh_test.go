package host

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/registry"
)

// corp is a registry in a folder, which the state folder of a test knows.
func corp(t *testing.T, state *config.State) *registry.Maker {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "registry")
	m, err := registry.Init(registry.MakerConfig{Dir: dir, Keys: t.TempDir()}, 1, 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.Revoke(registry.Subject{Key: "nobody"}, "a first list", false); err != nil {
		t.Fatal(err)
	}
	root, err := os.ReadFile(m.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	c, err := registry.Open(t.Context(), registry.Config{DB: state.Registries(), Dir: state.RegistryCache()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Add(t.Context(), registry.Request{Name: "corp", Sources: []string{dir}, Root: root}); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	return m
}

// TestRegistriesAreKeptCurrent refreshes as the daemon does: what was withdrawn since
// is known, and the log says so, also where a registry is gone.
func TestRegistriesAreKeptCurrent(t *testing.T) {
	t.Parallel()
	f := newFixture(t, nil)
	if err := f.refreshRegistries(t.Context()); err != nil || f.events("registry.refreshed") != 0 {
		t.Fatalf("without registries: %v", err)
	}
	m := corp(t, f.state)
	f.trust.Refresh(t.Context())
	digest := abi.DigestOf([]byte("bad"))
	if _, err := m.Revoke(registry.Subject{Digest: digest}, "it steals", false); err != nil {
		t.Fatal(err)
	}
	if err := f.refreshRegistries(t.Context()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the revocation is known", func() bool {
		f.trust.Refresh(t.Context())
		f.trust.mu.Lock()
		defer f.trust.mu.Unlock()
		for _, r := range f.trust.known.Revoked {
			if r.Digest == digest {
				return true
			}
		}
		return false
	})
	if f.events("registry.refreshed", "corp", "allow") != 1 {
		t.Error("the refresh is not on record")
	}
	if err := os.RemoveAll(filepath.Dir(m.RootFile())); err != nil {
		t.Fatal(err)
	}
	if err := f.refreshRegistries(t.Context()); err != nil || f.events("registry.refreshed", "corp", "deny") != 1 {
		t.Errorf("the failure is not on record: %v", err)
	}
	for range 100 {
		if d := jitter(time.Hour); d < 54*time.Minute || d > 66*time.Minute {
			t.Fatalf("waits %s", d)
		}
	}
	f.settings.Trust.Refresh = 0
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if f.keepCurrent(ctx); ctx.Err() != nil { // it returns at once
		t.Error("refreshes although nobody configured it")
	}
}

// TestExpiredRegistry lets the index of a registry expire: what is installed goes on
// with a warning, unless the operator wants it to be current.
func TestExpiredRegistry(t *testing.T) {
	t.Parallel()
	for current, stops := range map[bool]bool{false: false, true: true} {
		state, err := config.OpenState(filepath.Join(t.TempDir(), "state"))
		if err != nil {
			t.Fatal(err)
		}
		corp(t, state)
		tr := newTrust(state, config.Trust{Advisories: config.Default().Trust.Advisories, Current: current}, slog.New(slog.DiscardHandler))
		t.Cleanup(func() { _ = tr.Close() })
		at := time.Now()
		tr.now = func() time.Time { return at }
		before := tr.Refresh(t.Context())
		if tr.known.Unrevocable != nil || tr.warning(t.Context()) != "" {
			t.Errorf("a fresh index: %v", tr.known.Unrevocable)
		}
		eventually(t, "nothing changes any more", func() bool {
			before = tr.Refresh(t.Context())
			return !tr.client.fresh
		})
		at = at.Add(48 * time.Hour)
		if after := tr.Refresh(t.Context()); (tr.known.Unrevocable != nil) != stops || (after != before) != stops {
			t.Errorf("current: %v: an expired index: %v", current, tr.known.Unrevocable)
		}
		if w := tr.warning(t.Context()); !strings.Contains(w, "registry.frozen") || len(tr.known.Revoked) != 1 {
			t.Errorf("warns %q, revoked %v", w, tr.known.Revoked)
		}
	}
}

// TestLostRegistries deletes the database of registries while the cache remembers one:
// it is not taken for a machine to which nothing was ever withdrawn.
func TestLostRegistries(t *testing.T) {
	t.Parallel()
	state, err := config.OpenState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	corp(t, state)
	tr := newTrust(state, config.Trust{Advisories: config.Default().Trust.Advisories}, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { _ = tr.Close() })
	tr.Refresh(t.Context())
	left, err := filepath.Glob(state.Registries() + "*")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range left {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
	if tr.Refresh(t.Context()); tr.known.Unrevocable == nil {
		t.Error("what was withdrawn is forgotten, and nobody is told")
	}
}
