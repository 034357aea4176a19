package registry

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestInterruptedMaker replays a change file by file, as a maker that is killed in
// between leaves them: at each point a client has the old state or the new one.
func TestInterruptedMaker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before := r.copy()
	r.mustAdd()
	r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
	var written []string
	if err := filepath.WalkDir(r.dir, func(p string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(r.dir, p)
		if _, statErr := os.Stat(filepath.Join(before, rel)); err == nil && !d.IsDir() && (rel == "timestamp.json" || errors.Is(statErr, fs.ErrNotExist)) {
			written = append(written, rel)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if len(written) != 4 { // index, targets, snapshot, timestamp
		t.Fatalf("written: %q", written)
	}
	order := func(name string) int {
		return slices.IndexFunc([]string{"index.json", ".targets.json", ".snapshot.json", "timestamp.json"}, func(s string) bool { return strings.HasSuffix(name, s) })
	}
	slices.SortFunc(written, func(a, b string) int { return order(a) - order(b) })
	after := r.dir
	for i, name := range written {
		data := mustRead(t, filepath.Join(after, name))
		if err := os.WriteFile(filepath.Join(before, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
		r.dir = before
		if err := r.refresh(); err != nil {
			t.Fatalf("after %s: %v", name, err)
		}
		want := 1
		if i == len(written)-1 {
			want = 2
		}
		if all, err := r.show(); err != nil || len(all) != want {
			t.Errorf("after %s: %v, %d entries", name, err, len(all))
		}
	}
}

// TestTimestampIsWrittenLast watches the order in which a maker writes.
func TestTimestampIsWrittenLast(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if err := os.Chmod(filepath.Join(r.dir, "timestamp.json"), 0o644); err != nil {
		t.Fatal(err)
	}
	old := mustRead(t, filepath.Join(r.dir, "timestamp.json"))
	delete(r.maker.keys, mustID(t, r, "timestamp"))
	rep, err := r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil)
	if err != nil || len(rep.Pending) != 1 || rep.Timestamp != 0 {
		t.Fatalf("%v, %s", err, indent(t, rep))
	}
	if string(mustRead(t, filepath.Join(r.dir, "timestamp.json"))) != string(old) {
		t.Error("published without the timestamp key")
	}
	if st := r.mustAdd(); st.Skills != 1 {
		t.Errorf("%s", indent(t, st))
	}
	// The interrupted call is repeated with the key: the same version again is no error.
	r.must(r.with(r.maker.cfg.Keys).AddSkill(entry("acme/weather", "1.1.0"), nil))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if all, err := r.show(); err != nil || len(all) != 2 {
		t.Errorf("%v, %d entries", err, len(all))
	}
}

func mustID(t *testing.T, r *rig, role string) string {
	t.Helper()
	root, _, err := r.maker.top()
	if err != nil {
		t.Fatal(err)
	}
	return root.Signed.Roles[role].KeyIDs[0]
}

func TestMakerRefuses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	other := entry("acme/weather", "1.0.0")
	other.Bundle = other.Digest
	bad := entry("acme/weather", "1.1.0")
	bad.Capabilities = Capabilities{"http": {"b", "a"}}
	for name, err := range map[string]error{
		"another content for a version": second(r.maker.AddSkill(other, nil)),
		"an entry that clients refuse":  second(r.maker.AddSkill(bad, nil)),
		"an artifact without a path":    second(r.maker.AddSkill(entry("acme/x", "1.0.0"), []byte("x"))),
		"a target out of the folder":    second(r.maker.Put("../x", nil)),
		"an index by hand":              second(r.maker.Put("index.json", nil)),
		"a yank of what is not there":   second(r.maker.Yank("acme/weather", "9.9.9", "x")),
		"a yank without a reason":       second(r.maker.Yank("acme/weather", "1.0.0", "")),
		"lifting what is not revoked":   second(r.maker.Revoke(Subject{Key: "k"}, "x", true)),
		"revoking nothing":              second(r.maker.Revoke(Subject{}, "x", false)),
		"a second Init":                 second(Init(MakerConfig{Dir: r.dir, Keys: t.TempDir()}, 1, 1)),
		"3 of 2 keys":                   second(Init(MakerConfig{Dir: t.TempDir(), Keys: t.TempDir()}, 3, 2)),
		"timestamps for a month":        second(Init(MakerConfig{Dir: t.TempDir(), Keys: t.TempDir(), Timestamp: 30 * day}, 1, 1)),
		"no registry":                   second(OpenMaker(MakerConfig{Dir: t.TempDir()})),
	} {
		if err == nil {
			t.Errorf("%s is done", name)
		}
	}
	if st := r.mustAdd(); st.Skills != 1 {
		t.Errorf("%s", indent(t, st))
	}
}

func second[T any](_ T, err error) error { return err }

func TestYank(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
	r.must(r.maker.Yank("acme/weather", "1.1.0", "sends coordinates to the wrong host"))
	r.mustAdd()
	all, err := r.show()
	if err != nil || len(all) != 2 || all[0].Yanked == nil || all[0].Yanked.Since.Time != start {
		t.Errorf("%v, %s", err, indent(t, all))
	}
	found, err := r.client.Search(context.Background(), "")
	if err != nil || len(found) != 1 || found[0].Version != "1.0.0" {
		t.Errorf("%v, %s", err, indent(t, found))
	}
}

// TestRenewal signs day after day for two years: nothing ever expires for a client.
func TestRenewal(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustAdd()
	for i := range 26 {
		r.clock.add(28 * day)
		r.must(r.maker.Sign())
		if err := r.refresh(); err != nil {
			t.Fatalf("month %d: %v", i+1, err)
		}
	}
	if all, err := r.show(); err != nil || len(all) != 1 {
		t.Errorf("%v, %d entries", err, len(all))
	}
}

// TestKilledClient: what a client saves is one transaction.
func TestKilledClient(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustAdd()
	r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
	if _, err := r.client.db.Write.Exec(`CREATE TRIGGER die BEFORE INSERT ON seen BEGIN SELECT RAISE(FAIL, 'killed'); END`); err != nil {
		t.Fatal(err)
	}
	if err := r.refresh(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("got %v", err)
	}
	if err := r.client.Close(); err != nil {
		t.Fatal(err)
	}
	r.open()
	if all, err := r.show(); err != nil || len(all) != 1 {
		t.Errorf("%v, %d entries", err, len(all))
	}
}

func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustAdd()
	if _, err := r.show(); err != nil {
		t.Fatal(err)
	}
	daemon := r.client
	r.open() // the command line
	r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	all, err := daemon.Show(context.Background(), "", "acme/weather")
	if err != nil || len(all) != 2 {
		t.Errorf("the daemon does not see the refresh: %v, %d entries", err, len(all))
	}
}

func ExampleInit() {
	dir, err := os.MkdirTemp("", "registry")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	m, err := Init(MakerConfig{Dir: filepath.Join(dir, "public"), Keys: filepath.Join(dir, "keys")}, 2, 3)
	if err != nil {
		panic(err)
	}
	report, err := m.AddSkill(entry("acme/weather", "1.4.2"), nil)
	fmt.Println(report.Targets, report.Snapshot, report.Timestamp, err)
	// Output: 2 2 2 <nil>
}
