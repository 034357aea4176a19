package registry

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// TestAttacks goes through the ways to lie with the files of a registry. Each is
// served to a client that has a good state already, which stays in use.
func TestAttacks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		attack func(*rig)
		want   Reason
	}{
		{"a byte of the index is changed", func(r *rig) { r.edit(r.target("index.json"), flip) }, Tampered},
		{"the index is another one of the same length", func(r *rig) {
			r.edit(r.target("index.json"), func(b []byte) []byte { return bytes.Replace(b, []byte("1.1.0"), []byte("6.6.6"), 1) })
		}, Tampered},
		{"the index is longer than announced", func(r *rig) {
			r.edit(r.target("index.json"), func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) })
		}, Size},
		{"the timestamp never ends", func(r *rig) {
			r.edit("timestamp.json", func([]byte) []byte { return make([]byte, 1<<20) })
		}, Size},
		{"the timestamp's signature is another's", func(r *rig) { r.edit("timestamp.json", forge) }, Unsigned},
		{"the timestamp is not JSON", func(r *rig) { r.edit("timestamp.json", func([]byte) []byte { return []byte("<html>") }) }, Tampered},
		{"the timestamp says a key twice", func(r *rig) {
			r.edit("timestamp.json", func(b []byte) []byte {
				return bytes.Replace(b, []byte(`"version": `), []byte(`"version": 99, "version": `), 1)
			})
		}, Tampered},
		{"a signed content is changed", func(r *rig) {
			r.edit("timestamp.json", func(b []byte) []byte { return bytes.Replace(b, []byte("2026-"), []byte("2036-"), 1) })
		}, Unsigned},
		{"the mirror stands still", func(r *rig) { r.clock.add(25 * time.Hour) }, Frozen},
		{"the snapshot is that of yesterday", func(r *rig) { r.put("3.snapshot.json", "2.snapshot.json") }, Mixed},
		{"the targets are those of yesterday", func(r *rig) { r.put("3.targets.json", "2.targets.json") }, Mixed},
		{"the next root skips a version", func(r *rig) { r.put("2.root.json", "1.root.json") }, Mixed},
		{"the next root is made up", func(r *rig) {
			other := newRig(r.t)
			r.edit("2.root.json", func([]byte) []byte {
				return bytes.Replace(other.root(), []byte(`"version": 1`), []byte(`"version": 2`), 1)
			})
		}, Unsigned},
		{"the next root never ends", func(r *rig) {
			r.edit("2.root.json", func([]byte) []byte { return bytes.Repeat([]byte(" "), 1<<20) })
		}, Size},
		{"the snapshot is missing", func(r *rig) { r.drop("3.snapshot.json") }, NoData},
		{"the index is missing", func(r *rig) { r.drop(r.target("index.json")) }, NoData},
		{"everything is missing", func(r *rig) { r.dir = r.t.TempDir() }, NoData},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			r.mustAdd()
			r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
			c.attack(r)
			why := reason(t, r.refresh(), c.want)
			if why.Registry != "corp" || why.Fix == "" {
				t.Errorf("the refusal %+v does not say which registry, or what helps", why)
			}
			if c.want == Frozen {
				_, err := r.show()
				reason(t, err, Frozen)
				return
			}
			if all, err := r.show(); err != nil || len(all) != 1 {
				t.Errorf("the good state is lost: %v, %d entries", err, len(all))
			}
		})
	}
}

func flip(b []byte) []byte {
	out := bytes.Clone(b)
	out[len(out)/2] ^= 1
	return out
}

// forge replaces a hexadecimal signature by zeros.
func forge(b []byte) []byte {
	i := bytes.Index(b, []byte(`"sig": "`)) + len(`"sig": "`)
	return append(append(bytes.Clone(b[:i]), strings.Repeat("0", 20)...), b[i+20:]...)
}

// put serves one file under the name of another.
func (r *rig) put(to, from string) {
	data, err := os.ReadFile(filepath.Join(r.dir, from))
	if err != nil {
		r.t.Fatal(err)
	}
	r.edit(to, func([]byte) []byte { return data })
}

func (r *rig) drop(name string) {
	if err := os.Remove(filepath.Join(r.dir, filepath.FromSlash(name))); err != nil {
		r.t.Fatal(err)
	}
}

// TestRollback serves a state that was good once. The versions are in the database:
// wiping the cache, or removing the registry and adding it again, forgets nothing.
func TestRollback(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		before func(*testing.T, *rig)
	}{
		{"with the cache", func(*testing.T, *rig) {}},
		{"with a wiped cache", func(t *testing.T, r *rig) {
			if err := os.RemoveAll(filepath.Join(r.state, "cache")); err != nil {
				t.Fatal(err)
			}
		}},
		{"after a restart with a wiped cache", func(t *testing.T, r *rig) {
			if err := r.client.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.RemoveAll(filepath.Join(r.state, "cache")); err != nil {
				t.Fatal(err)
			}
			r.open()
		}},
		{"after removing and adding it", func(t *testing.T, r *rig) {
			if err := r.client.Remove(context.Background(), "corp"); err != nil {
				t.Fatal(err)
			}
			_, err := r.add()
			reason(t, err, Rollback)
			live := r.dir
			r.dir = r.copyOf(live)
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			yesterday := r.copy()
			r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
			r.mustAdd()
			r.dir = yesterday
			c.before(t, r)
			if strings.HasPrefix(c.name, "after removing") {
				return
			}
			reason(t, r.refresh(), Rollback)
			if all, err := r.show(); err != nil || len(all) != 2 {
				t.Errorf("the good state is lost: %v, %d entries", err, len(all))
			}
		})
	}
}

func (r *rig) copyOf(dir string) string {
	old := r.dir
	r.dir = dir
	defer func() { r.dir = old }()
	return r.copy()
}

// TestRestoredDatabase puts the database back to an older state: it says so, nothing of
// it is used, and a refresh neither believes an older mirror nor stays silent.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustAdd()
	yesterday := r.copy()
	db := filepath.Join(r.state, "registry.db")
	if err := r.client.Close(); err != nil {
		t.Fatal(err)
	}
	backup, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	r.open()
	r.must(r.maker.Revoke(Subject{Digest: entry("acme/weather", "1.0.0").Digest}, "malicious", false))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if err := r.client.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(db, backup, 0o600); err != nil {
		t.Fatal(err)
	}
	r.open()
	_, err = r.show()
	reason(t, err, Restored)
	_, err = r.client.Revocations(context.Background())
	reason(t, err, Restored)
	list, err := r.client.List(context.Background())
	if err != nil || len(list) != 1 || !list[0].Restored || list[0].Problem == nil {
		t.Errorf("list: %v, %s", err, indent(t, list))
	}
	live := r.dir
	r.dir = yesterday
	reason(t, r.refresh(), Rollback)
	r.dir = live
	st, err := r.client.Refresh(context.Background(), "corp")
	if err != nil || !st.Restored {
		t.Errorf("refresh: %v, %s", err, indent(t, st))
	}
	if gone, err := r.client.Revocations(context.Background()); err != nil || len(gone) != 1 {
		t.Errorf("revocations after the refresh: %v, %v", err, gone)
	}
}

// TestStolenKeys signs with keys that a registry has, but not for this.
func TestStolenKeys(t *testing.T) {
	t.Parallel()
	t.Run("the timestamp key signs targets", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.mustAdd()
		root, targets, err := r.maker.top()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.maker.putIndex(targets, "", []Entry{entry("acme/weather", "6.6.6")}); err != nil {
			t.Fatal(err)
		}
		if err := r.maker.next(metadata.TARGETS, root.Signed.Roles[metadata.TIMESTAMP].KeyIDs, targets); err != nil {
			t.Fatal(err)
		}
		r.publish(root, map[string]int64{metadata.TARGETS: targets.Signed.Version})
		reason(t, r.refresh(), Unsigned)
	})
	t.Run("a timestamp without a snapshot", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.mustAdd()
		root, _, err := r.maker.top()
		if err != nil {
			t.Fatal(err)
		}
		stamp := metadata.Timestamp(start.Add(day))
		stamp.Signed.Version, stamp.Signed.Meta = 99, map[string]*metadata.MetaFiles{}
		r.stamp(root, stamp)
		reason(t, r.refresh(), Tampered)
	})
	t.Run("a root key that was taken away", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		r.mustAdd()
		root, _, err := r.maker.top()
		if err != nil {
			t.Fatal(err)
		}
		old := root.Signed.Roles[metadata.TARGETS].KeyIDs[0]
		r.must(r.maker.Rotate(metadata.TARGETS, old, "targets-2.pem"))
		if err := r.refresh(); err != nil {
			t.Fatal(err)
		}
		_, targets, err := r.maker.top()
		if err != nil {
			t.Fatal(err)
		}
		if err := r.maker.next(metadata.TARGETS, []string{old}, targets); err != nil {
			t.Fatal(err)
		}
		r.publish(root, map[string]int64{metadata.TARGETS: targets.Signed.Version})
		reason(t, r.refresh(), Unsigned)
	})
}

// publish signs a snapshot and a timestamp with the online keys, whatever they list.
func (r *rig) publish(root *metadata.Metadata[metadata.RootType], list map[string]int64) {
	r.t.Helper()
	snapshot, err := r.maker.snapshot(root, list)
	if err != nil {
		r.t.Fatal(err)
	}
	old, err := r.maker.stamp()
	if err != nil {
		r.t.Fatal(err)
	}
	stamp := metadata.Timestamp(r.maker.life(day))
	stamp.Signed.Version = old.Signed.Version + 1
	if stamp.Signed.Meta["snapshot.json"], err = r.maker.metaFile(metadata.SNAPSHOT, snapshot.Signed.Version); err != nil {
		r.t.Fatal(err)
	}
	r.stamp(root, stamp)
}

func (r *rig) stamp(root *metadata.Metadata[metadata.RootType], stamp *metadata.Metadata[metadata.TimestampType]) {
	r.t.Helper()
	if _, err := sign(r.maker.keys, root.Signed.Roles[metadata.TIMESTAMP].KeyIDs, stamp); err != nil {
		r.t.Fatal(err)
	}
	data, err := stamp.ToBytes(true)
	if err != nil {
		r.t.Fatal(err)
	}
	r.edit("timestamp.json", func([]byte) []byte { return data })
}

// TestFastForward: whoever stole the online keys raised the versions as high as they
// go. The next root takes the keys away, and clients start anew.
func TestFastForward(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good := r.copy()
	root, targets, err := r.maker.top()
	if err != nil {
		t.Fatal(err)
	}
	snapshot := metadata.Snapshot(start.Add(day))
	snapshot.Signed.Version = 1 << 60
	at, err := r.maker.metaFile(metadata.TARGETS, targets.Signed.Version)
	if err != nil {
		t.Fatal(err)
	}
	snapshot.Signed.Meta = map[string]*metadata.MetaFiles{"targets.json": at}
	if err := save(r.maker, metadata.SNAPSHOT, root.Signed.Roles[metadata.SNAPSHOT].KeyIDs, snapshot, 1<<60); err != nil {
		t.Fatal(err)
	}
	stamp := metadata.Timestamp(start.Add(day))
	stamp.Signed.Version = 1 << 60
	if stamp.Signed.Meta["snapshot.json"], err = r.maker.metaFile(metadata.SNAPSHOT, 1<<60); err != nil {
		t.Fatal(err)
	}
	r.stamp(root, stamp)
	r.mustAdd()

	r.dir, r.maker.cfg.Dir = good, good
	reason(t, r.refresh(), Rollback)
	r.must(r.maker.Rotate(metadata.TIMESTAMP, root.Signed.Roles[metadata.TIMESTAMP].KeyIDs[0], "timestamp-2.pem"))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.show(); err != nil {
		t.Fatal(err)
	}
	// Not a licence to go back from there.
	older := r.copy()
	r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	r.dir = older
	reason(t, r.refresh(), Rollback)
}

// TestMirrors: the first source that is good counts; a bad one before it is passed by.
func TestMirrors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	yesterday := r.copy()
	r.must(r.maker.AddSkill(entry("acme/weather", "1.1.0"), nil))
	broken := r.copy()
	if err := os.WriteFile(filepath.Join(broken, "timestamp.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	if st := r.mustAdd(t.TempDir(), broken, r.url); st.Skills != 2 {
		t.Errorf("status %s", indent(t, st))
	}
	r.dir = yesterday
	why := reason(t, r.refresh(), Tampered)
	for _, text := range []string{"timestamp.json", "accepted before"} {
		if !strings.Contains(why.What, text) {
			t.Errorf("the refusal does not say what each mirror did: %s", why.What)
		}
	}
}

func TestClock(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustAdd()
	r.clock.add(-time.Hour)
	_, err := r.show()
	reason(t, err, Frozen)
	if why := fmt.Sprint(err); !strings.Contains(why, "clock") {
		t.Errorf("%s", why)
	}
}

func TestMaxAge(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	if _, err := r.client.Add(context.Background(), Request{Name: "corp", Sources: []string{r.url}, Root: r.root(), MaxAge: 48 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	r.clock.add(72*time.Hour - time.Second) // a day of validity, and two of grace
	if all, err := r.show(); err != nil || len(all) != 1 {
		t.Fatalf("%v, %d entries", err, len(all))
	}
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	r.clock.add(2 * time.Second)
	_, err := r.show()
	reason(t, err, Frozen)
	reason(t, r.refresh(), Frozen)
}
