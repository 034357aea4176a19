package registry

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata/config"
	"github.com/theupdateframework/go-tuf/v2/metadata/updater"
)

// TestOffline: without any source the stored set answers, until it expires.
func TestOffline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	root, _, err := r.maker.top()
	if err != nil {
		t.Fatal(err)
	}
	r.mustAdd()
	// Roots that came after the pinned one count offline too.
	r.must(r.maker.Rotate("targets", root.Signed.Roles["targets"].KeyIDs[0], "targets-2.pem"))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	r.dir = t.TempDir()
	if err := r.client.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.clock.add(23 * time.Hour)
	if all, err := r.show(); err != nil || len(all) != 1 {
		t.Fatalf("%v, %d entries", err, len(all))
	}
	r.clock.add(2 * time.Hour)
	_, err = r.show()
	reason(t, err, Frozen)
}

// TestStoredSetIsVerifiedAgain changes what the database holds.
func TestStoredSetIsVerifiedAgain(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, sql string
		want      Reason
	}{
		{"an index", `UPDATE file SET data = CAST(replace(CAST(data AS TEXT), '1.0.0', '6.6.6') AS BLOB) WHERE name LIKE 'targets/%.index.json'`, Tampered},
		{"a timestamp", `UPDATE file SET data = CAST(replace(CAST(data AS TEXT), '2026', '2036') AS BLOB) WHERE name = 'timestamp.json'`, Unsigned},
		{"no files", `DELETE FROM file`, NoData},
		{"higher versions", `UPDATE seen SET version = 99 WHERE role = 'snapshot'`, Rollback},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.mustAdd()
			if _, err := r.client.db.Write.ExecContext(context.Background(), c.sql); err != nil {
				t.Fatal(err)
			}
			if err := r.client.Close(); err != nil {
				t.Fatal(err)
			}
			r.open()
			_, err := r.show()
			reason(t, err, c.want)
			list, err := r.client.List(context.Background())
			if err != nil || list[0].Problem == nil || list[0].Problem.Reason != c.want {
				t.Errorf("list: %v, %s", err, indent(t, list))
			}
		})
	}
}

func TestFolderSource(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	copied := r.copy()
	if st := r.mustAdd(copied); st.Skills != 1 {
		t.Fatalf("%s", indent(t, st))
	}
	r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
	if err := os.CopyFS(filepath.Join(copied, "x"), os.DirFS(r.dir)); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(copied, "x", "timestamp.json"), filepath.Join(copied, "timestamp.json")); err != nil {
		t.Fatal(err)
	}
	reason(t, r.refresh(), NoData) // half a copy
	if err := os.RemoveAll(copied); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(copied, os.DirFS(r.dir)); err != nil {
		t.Fatal(err)
	}
	outside := filepath.Join(t.TempDir(), "timestamp.json")
	if err := os.Rename(filepath.Join(copied, "timestamp.json"), outside); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(copied, "timestamp.json")); err != nil {
		t.Fatal(err)
	}
	reason(t, r.refresh(), NoData) // a link out of the folder
	if err := os.Remove(filepath.Join(copied, "timestamp.json")); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(filepath.Join(copied, "timestamp.json"), 0o600); err != nil {
		t.Fatal(err)
	}
	reason(t, r.refresh(), NoData) // does not wait for a writer
}

func TestSources(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for source, want := range map[string]string{
		"http://registry.example/": "addresses; use https",
		"http://localhost:9/":      "addresses; use https",
		"ftp://registry.example/":  "want https",
		"registry":                 "want https",
		"./registry":               "want https",
		"https://u:p@reg.example/": "user information",
		"https://reg.example/?a=b": "query",
		"oci://reg.example":        "want oci://",
		"oci://reg.example/Index":  "want oci://",
		"oci://reg.example/a:b/c":  "want oci://",
	} {
		_, err := r.add(source)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v; want an error with %q", source, err, want)
		}
	}
	if _, err := r.add(make([]string, 9)...); err == nil {
		t.Error("nine mirrors were added")
	}
}

// TestTarget fetches by name: from the sources first, then from the cache, only what is
// signed, only what is asked for.
func TestTarget(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t)
	zip := bytes.Repeat([]byte("zip"), 1000)
	r.must(r.maker.Put("osv/npm.zip", zip))
	packed := entry("acme/tar", "1.0.0")
	packed.OCI, packed.Path = "", "acme/tar-1.0.0.skill.tar"
	r.must(r.maker.AddSkill(packed, []byte("packed skill")))
	r.mustAdd()
	if got, err := r.client.Target(ctx, "corp", packed.Path, 1000); err != nil || string(got) != "packed skill" {
		t.Errorf("%v, %q", err, got)
	}
	_, err := r.client.Target(ctx, "corp", "osv/npm.zip", 2999)
	reason(t, err, Size)
	if got, err := r.client.Target(ctx, "corp", "osv/npm.zip", 3000); err != nil || !bytes.Equal(got, zip) {
		t.Errorf("%v, %d bytes", err, len(got))
	}
	_, err = r.client.Target(ctx, "corp", "osv/Go.zip", 3000)
	reason(t, err, NoData)
	if _, err := r.client.Target(ctx, "corp", "../keys/root-1.pem", 3000); err == nil {
		t.Error("a path out of the targets was fetched")
	}
	live := r.dir
	r.dir = t.TempDir()
	if got, err := r.client.Target(ctx, "corp", "osv/npm.zip", 3000); err != nil || !bytes.Equal(got, zip) {
		t.Errorf("from the cache: %v, %d bytes", err, len(got))
	}
	if err := filepath.WalkDir(filepath.Join(r.state, "cache", "corp"), func(p string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != "seen.json" {
			err = os.WriteFile(p, bytes.Repeat([]byte("bad"), 1000), 0o600)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	_, err = r.client.Target(ctx, "corp", "osv/npm.zip", 3000)
	reason(t, err, NoData)
	r.dir = live
	r.edit(r.target("npm.zip"), flip)
	_, err = r.client.Target(ctx, "corp", "osv/npm.zip", 3000)
	reason(t, err, Tampered)
	r.edit(r.target("npm.zip"), func(b []byte) []byte { return append(b, 'x') })
	_, err = r.client.Target(ctx, "corp", "osv/npm.zip", 3000)
	reason(t, err, Size)
}

// TestRevocations: the union of all registries, as far as it is signed; nothing comes
// back by silence.
func TestRevocations(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	r := newRig(t)
	bad := entry("acme/weather", "1.0.0")
	r.must(r.maker.Revoke(Subject{Digest: bad.Digest}, "malicious release", false))
	r.must(r.maker.Revoke(Subject{Identity: &bad.Identity}, "account taken over", false))
	r.mustAdd()
	list, err := r.client.Revocations(ctx)
	if err != nil || len(list) != 2 || list[0].Registry != "corp" {
		t.Fatalf("%v, %s", err, indent(t, list))
	}
	covers := func(by Identity, d ...string) (n int) {
		for _, r := range list {
			if r.Covers(by) {
				n++
			}
		}
		return n
	}
	if !list[1].Covers(Identity{}, bad.Digest) && !list[0].Covers(Identity{}, bad.Digest) || covers(bad.Identity) != 1 || covers(Identity{}) != 0 {
		t.Errorf("covers: %s", indent(t, list))
	}

	// A later list without them.
	if _, err := r.maker.edit("", func(meta *targetsMetadata) error {
		return r.maker.putTarget(meta, revocationsFile, []byte(`{"schema":1,"revoked":[]}`))
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if list, err := r.client.Revocations(ctx); err != nil || len(list) != 2 {
		t.Errorf("forgotten by silence: %v, %s", err, indent(t, list))
	}
	// No list at all.
	if _, err := r.maker.edit("", func(meta *targetsMetadata) error {
		delete(meta.Signed.Targets, revocationsFile)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if list, err := r.client.Revocations(ctx); err != nil || len(list) != 2 {
		t.Errorf("forgotten by silence: %v, %s", err, indent(t, list))
	}
	// Lifted in so many words, and revoked once more.
	r.must(r.maker.Revoke(Subject{Digest: bad.Digest}, "again", false))
	r.must(r.maker.Revoke(Subject{Digest: bad.Digest}, "a false alarm", true))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if list, err := r.client.Revocations(ctx); err != nil || len(list) != 1 || list[0].Identity == nil {
		t.Errorf("lifted: %v, %s", err, indent(t, list))
	}
	r.must(r.maker.Revoke(Subject{Digest: bad.Digest}, "it was none", false))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if list, err := r.client.Revocations(ctx); err != nil || len(list) != 2 {
		t.Errorf("revoked again: %v, %s", err, indent(t, list))
	}
	// Expired metadata does not make a revocation untrue.
	r.clock.add(30 * day)
	if list, err := r.client.Revocations(ctx); err != nil || len(list) != 2 {
		t.Errorf("expired: %v, %s", err, indent(t, list))
	}
	if err := r.client.Remove(ctx, "corp"); err != nil {
		t.Fatal(err)
	}
	if list, err := r.client.Revocations(ctx); err != nil || len(list) != 0 {
		t.Errorf("removed registry: %v, %s", err, indent(t, list))
	}
}

// TestUnsignedRevocationsDoNotCount alters the list on its way.
func TestUnsignedRevocationsDoNotCount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustAdd()
	r.must(r.maker.Revoke(Subject{Digest: entry("acme/weather", "1.0.0").Digest}, "malicious", false))
	r.edit(r.target("revocations.json"), func(b []byte) []byte { return bytes.Replace(b, []byte("malicious"), []byte("maliciouz"), 1) })
	reason(t, r.refresh(), Tampered)
	if list, err := r.client.Revocations(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("%v, %s", err, indent(t, list))
	}
}

// TestExpiredUseIsLogged: the grace period is never silent.
func TestExpiredUseIsLogged(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.client.Add(context.Background(), Request{Name: "corp", Sources: []string{r.url}, Root: r.root(), MaxAge: 48 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	r.client.cfg.Log = slog.New(slog.NewTextHandler(&log, nil))
	if _, err := r.show(); err != nil || log.Len() > 0 {
		t.Fatalf("%v, %s", err, log.String())
	}
	r.clock.add(30 * time.Hour)
	for range 2 {
		if _, err := r.show(); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "expired registry metadata is used"); n != 2 {
		t.Errorf("%d lines for two uses: %s", n, log.String())
	}
}

// TestStandardClientReadsIt: what a maker writes is plain TUF; go-tuf's own client
// follows it, a delegated role included.
func TestStandardClientReadsIt(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m, err := Init(MakerConfig{Dir: filepath.Join(dir, "r"), Keys: filepath.Join(dir, "k")}, 2, 3)
	if err != nil {
		t.Fatal(err)
	}
	key := ed(t)
	if _, err := m.Delegate("globex", publics(key), 1); err != nil {
		t.Fatal(err)
	}
	if err := m.keys.add(key); err != nil {
		t.Fatal(err)
	}
	if _, err := m.AddSkill(entry("globex/robot", "1.0.0"), nil); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(http.FileServer(http.Dir(m.cfg.Dir)))
	t.Cleanup(server.Close)
	root, err := os.ReadFile(m.RootFile())
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config.New(server.URL, root)
	if err != nil {
		t.Fatal(err)
	}
	cfg.LocalMetadataDir, cfg.LocalTargetsDir = filepath.Join(dir, "c"), filepath.Join(dir, "c", "targets")
	up, err := updater.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := up.Refresh(); err != nil {
		t.Fatal(err)
	}
	for path, by := range map[string]Publisher{"index.json": "", "globex/index.json": "globex"} {
		want, err := up.GetTargetInfo(path)
		if err != nil {
			t.Fatal(err)
		}
		want.Path = path
		_, data, err := up.DownloadTarget(want, "", "")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeIndex(data, by); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
