package broker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// vaultPaths returns paths for a vault and its key in an empty folder.
func vaultPaths(t *testing.T) (db, key string) {
	t.Helper()
	dir := t.TempDir()
	return filepath.Join(dir, "secrets.db"), filepath.Join(dir, "secrets.key")
}

func mustOpen(t *testing.T, db, key string) *Vault {
	t.Helper()
	v, err := OpenVault(t.Context(), db, key)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = v.Close() })
	return v
}

func set(t *testing.T, v *Vault, name abi.SecretName, value string) {
	t.Helper()
	if err := v.Set(t.Context(), name, []byte(value)); err != nil {
		t.Fatal(err)
	}
}

// holds checks the value that a request would be given.
func holds(t *testing.T, v *Vault, name abi.SecretName, want string) {
	t.Helper()
	o, err := v.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := o.values[name].value(); got != want {
		t.Errorf("%s holds %q; want %q", name, got, want)
	}
}

func TestVaultKeepsListsAndRemoves(t *testing.T) {
	t.Parallel()
	db, key := vaultPaths(t)
	v := mustOpen(t, db, key)
	for _, path := range []string{db, key} {
		info, err := os.Stat(path)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, %v", path, info.Mode(), err)
		}
	}
	set(t, v, "b", "value-of-b")
	set(t, v, "a", "value-of-a")
	set(t, v, "a", "value-of-a-2")
	list, err := v.List(t.Context())
	if err != nil || len(list) != 2 || list[0].Name != "a" || list[1].Name != "b" || list[0].Updated.IsZero() {
		t.Errorf("%v %v", list, err)
	}
	holds(t, v, "a", "value-of-a-2")
	if v.Matcher().Contains([]byte("value-of-a-2")) != true || v.Matcher().Contains([]byte("plain text")) {
		t.Error("matcher does not follow")
	}
	if err := v.Remove(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if err := v.Remove(t.Context(), "a"); !errors.Is(err, ErrNoSecret) {
		t.Errorf("%v", err)
	}
	holds(t, v, "a", "")
	if ok, err := v.Present(t.Context(), "a"); ok || err != nil {
		t.Error("removed and present")
	}
	if ok, err := v.Present(t.Context(), "b"); !ok || err != nil {
		t.Error("stored and not present")
	}
}

func TestVaultFileHoldsNoValue(t *testing.T) {
	t.Parallel()
	db, key := vaultPaths(t)
	v := mustOpen(t, db, key)
	set(t, v, "a", "correct-horse-battery")
	for _, path := range []string{db, db + "-wal", key} {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		m, err := redact.NewMatcher(map[string]string{"a": "correct-horse-battery"})
		if err != nil {
			t.Fatal(err)
		}
		if m.Contains(b) {
			t.Errorf("%s holds the value", path)
		}
	}
}

func TestVaultRefusesValuesThatCannotBeGuarded(t *testing.T) {
	t.Parallel()
	v := mustOpen(t, firstOf(vaultPaths(t)), secondOf(t))
	for name, c := range map[string]struct {
		value string
		want  error
	}{
		"seven bytes": {"abcdefg", redact.ErrTooShort}, "empty": {"", redact.ErrTooShort}, "one letter": {strings.Repeat("a", 40), redact.ErrTooPlain},
		"huge": {strings.Repeat("abcdefgh", 4096), redact.ErrTooLong}, "part of its label": {"[secret:", ErrBadSecret},
	} {
		err := v.Set(t.Context(), "a", []byte(c.value))
		if !errors.Is(err, c.want) || !errors.Is(err, ErrBadSecret) {
			t.Errorf("%s: %v", name, err)
		}
		if c.value != "" && strings.Contains(err.Error(), c.value) {
			t.Errorf("%s: the error repeats the value: %v", name, err)
		}
	}
	if err := v.Set(t.Context(), "", []byte("long enough")); err == nil {
		t.Error("an empty name")
	}
	set(t, v, "a", "abcdefgh") // eight are enough
}

func firstOf(a, _ string) string { return a }

func secondOf(t *testing.T) string { _, key := vaultPaths(t); return key }

func TestVaultNeedsItsKeyFile(t *testing.T) {
	t.Parallel()
	db, key := vaultPaths(t)
	v := mustOpen(t, db, key)
	set(t, v, "a", "value-of-a")
	if err := v.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	other := append([]byte(nil), good...)
	other[0] ^= 1
	for name, c := range map[string]struct {
		prepare func() error
		want    error
	}{
		"missing":      {func() error { return os.Remove(key) }, ErrNoKey},
		"another":      {func() error { return os.WriteFile(key, other, 0o600) }, ErrWrongKey},
		"short":        {func() error { return os.WriteFile(key, good[:31], 0o600) }, ErrKeyFile},
		"long":         {func() error { return os.WriteFile(key, append(good[:32:32], 0), 0o600) }, ErrKeyFile},
		"empty":        {func() error { return os.WriteFile(key, nil, 0o600) }, ErrKeyFile},
		"for a group":  {func() error { return errors.Join(os.WriteFile(key, good, 0o600), os.Chmod(key, 0o640)) }, ErrKeyFile},
		"for everyone": {func() error { return os.Chmod(key, 0o604) }, ErrKeyFile},
		"a link": {func() error {
			return errors.Join(os.Remove(key), os.WriteFile(key+".real", good, 0o600), os.Symlink(key+".real", key))
		}, ErrKeyFile},
		"a folder": {func() error { return errors.Join(os.Remove(key), os.Mkdir(key, 0o700)) }, ErrKeyFile},
	} {
		_ = os.RemoveAll(key)
		if err := os.WriteFile(key, good, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := c.prepare(); err != nil {
			t.Fatal(err)
		}
		v, err := OpenVault(t.Context(), db, key)
		if err == nil {
			_ = v.Close()
		}
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = os.RemoveAll(key)
	if err := os.WriteFile(key, good, 0o600); err != nil {
		t.Fatal(err)
	}
	holds(t, mustOpen(t, db, key), "a", "value-of-a")
	if err := os.Chmod(db, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenVault(t.Context(), db, key); err == nil {
		t.Error("a database that others can read was opened")
	}
}

func TestVaultRowsAreBoundToNameAndVersion(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]string{
		"swapped between names": `UPDATE secret SET sealed = (SELECT sealed FROM secret WHERE name = 'b'), version = (SELECT version FROM secret WHERE name = 'b') WHERE name = 'a'`,
		"renamed":               `UPDATE secret SET name = 'c' WHERE name = 'a'`,
		"older version":         `UPDATE secret SET version = version - 1 WHERE name = 'a'`,
		"one bit":               `UPDATE secret SET sealed = CAST(x'00' || substr(sealed, 2) AS BLOB) WHERE name = 'a'`,
		"truncated":             `UPDATE secret SET sealed = substr(sealed, 1, 20) WHERE name = 'a'`,
		"empty":                 `UPDATE secret SET sealed = x'' WHERE name = 'a'`,
	} {
		db, key := vaultPaths(t)
		v := mustOpen(t, db, key)
		set(t, v, "a", "value-of-a")
		set(t, v, "b", "value-of-b")
		if _, err := v.db.Write.ExecContext(t.Context(), tamper); err != nil {
			t.Fatal(err)
		}
		if _, err := v.current(t.Context()); !errors.Is(err, ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A vault that cannot be read stops all requests: nothing could be searched.
func TestUnreadableVaultStopsRequests(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	k.open("http://127.0.0.1:1")
	k.secret("key", "correct-horse-battery", abi.Injection{Kind: abi.InjectBearer}, "http://127.0.0.1:1")
	if _, err := k.vault.db.Write.ExecContext(t.Context(), `UPDATE secret SET version = 99`); err != nil {
		t.Fatal(err)
	}
	_, p := k.get("http://127.0.0.1:1/")
	wantProblem(t, p, abi.CodeInternal, "")
	if e := k.lastEvent(); !strings.Contains(e.Detail, "store-key") || strings.Contains(p.Message, "store-key") {
		t.Errorf("%+v %+v", e, p)
	}
}

func TestVaultIsSharedBetweenProcesses(t *testing.T) {
	t.Parallel()
	db, key := vaultPaths(t)
	daemon, cli := mustOpen(t, db, key), mustOpen(t, db, key)
	set(t, cli, "a", "value-of-a")
	holds(t, daemon, "a", "value-of-a")
	set(t, cli, "a", "value-of-a-2")
	holds(t, daemon, "a", "value-of-a-2")
	if err := cli.Rekey(t.Context()); err != nil {
		t.Fatal(err)
	}
	holds(t, daemon, "a", "value-of-a-2")
	set(t, daemon, "b", "value-of-b")
	holds(t, cli, "b", "value-of-b")
}

func TestRekeyReplacesTheKey(t *testing.T) {
	t.Parallel()
	db, key := vaultPaths(t)
	v := mustOpen(t, db, key)
	set(t, v, "a", "value-of-a")
	old, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	if err := v.Rekey(t.Context()); err != nil {
		t.Fatal(err)
	}
	now, err := os.ReadFile(key)
	if err != nil || string(now) == string(old) {
		t.Fatalf("the key file did not change: %v", err)
	}
	if _, err := os.Stat(key + nextKey); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the file of the next key is left: %v", err)
	}
	holds(t, v, "a", "value-of-a")
	if err := os.WriteFile(key, old, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenVault(t.Context(), db, key); !errors.Is(err, ErrWrongKey) {
		t.Errorf("the old key still opens the vault: %v", err)
	}
}

func TestInterruptedRekey(t *testing.T) {
	t.Parallel()
	for name, after := range map[string]bool{"before the rows were committed": false, "after, before the file was moved": true} {
		db, key := vaultPaths(t)
		v := mustOpen(t, db, key)
		set(t, v, "a", "value-of-a")
		old, err := os.ReadFile(key)
		if err != nil {
			t.Fatal(err)
		}
		if after {
			if err := v.Rekey(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Rename(key, key+nextKey), os.WriteFile(key, old, 0o600)); err != nil {
				t.Fatal(err)
			}
		} else if _, err := makeKey(key + nextKey); err != nil {
			t.Fatal(err)
		}
		holds(t, v, "a", "value-of-a") // a reader does not have to wait for a writer
		w := mustOpen(t, db, key)
		holds(t, w, "a", "value-of-a")
		if _, err := os.Stat(key + nextKey); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: not settled", name)
		}
		set(t, w, "b", "value-of-b")
		holds(t, v, "b", "value-of-b")
	}
}

func TestVaultConcurrently(t *testing.T) {
	t.Parallel()
	db, key := vaultPaths(t)
	vaults := make([]*Vault, 4)
	var wg sync.WaitGroup
	for i := range vaults { // also: all of them make the first key at once
		wg.Go(func() {
			v, err := OpenVault(context.Background(), db, key)
			if err != nil {
				t.Error(err)
				return
			}
			vaults[i] = v
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	for i, v := range vaults {
		t.Cleanup(func() { _ = v.Close() })
		wg.Go(func() {
			for n := range 5 {
				if err := v.Set(context.Background(), abi.SecretName(fmt.Sprintf("n%d", i)), []byte(fmt.Sprintf("value-%d-%d", i, n))); err != nil {
					t.Error(err)
				}
				if n == 2 {
					if err := v.Rekey(context.Background()); err != nil {
						t.Error(err)
					}
				}
				if _, err := v.current(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	for _, v := range vaults {
		for i := range vaults {
			holds(t, v, abi.SecretName(fmt.Sprintf("n%d", i)), fmt.Sprintf("value-%d-4", i))
		}
	}
}
