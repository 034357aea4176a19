package registry

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"crypto/rand"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// p256 makes a P-256 key.
func p256(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := NewKey(filepath.Join(t.TempDir(), "k.pem"))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ed(t *testing.T) crypto.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// with opens the registry with further keys and without a key folder of its own.
func (r *rig) with(keys string, signers ...crypto.Signer) *Maker {
	r.t.Helper()
	m, err := OpenMaker(MakerConfig{Dir: r.dir, Keys: keys, Signers: signers, Now: r.clock.now})
	if err != nil {
		r.t.Fatal(err)
	}
	return m
}

func publics(keys ...crypto.Signer) (list []crypto.PublicKey) {
	for _, k := range keys {
		list = append(list, k.Public())
	}
	return list
}

func lost(t *testing.T, st Status, by Publisher, want Reason) {
	t.Helper()
	for _, l := range st.Lost {
		if l.Publisher == by && l.Reason == want {
			return
		}
	}
	t.Errorf("publisher %s is not lost with %s: %s", by, want, indent(t, st.Lost))
}

// TestPublisherSigns delegates globex/* to P-256 and Ed25519 keys, with thresholds.
func TestPublisherSigns(t *testing.T) {
	t.Parallel()
	a, b, c, d := p256(t), ed(t), p256(t), ed(t)
	for _, x := range []struct {
		name      string
		keys      []crypto.Signer
		threshold int
		sign      []crypto.Signer
		listed    bool
	}{
		{"one P-256 key", []crypto.Signer{a}, 1, []crypto.Signer{a}, true},
		{"one Ed25519 key", []crypto.Signer{b}, 1, []crypto.Signer{b}, true},
		{"two of three, mixed", []crypto.Signer{a, b, c}, 2, []crypto.Signer{b, c}, true},
		{"one of the two that are needed", []crypto.Signer{a, b, c}, 2, []crypto.Signer{b}, false},
		{"a key of somebody else", []crypto.Signer{a, b}, 1, []crypto.Signer{d}, false},
	} {
		t.Run(x.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			rep, err := r.maker.Delegate("globex", publics(x.keys...), x.threshold)
			if err != nil || len(rep.Pending) != 1 {
				t.Fatalf("%v, pending %q", err, rep.Pending)
			}
			rep, err = r.with(r.maker.cfg.Keys, x.sign...).AddSkill(entry("globex/robot", "2.0.0"), nil)
			if err != nil || (len(rep.Pending) == 0) != x.listed {
				t.Fatalf("%v, pending %q", err, rep.Pending)
			}
			st := r.mustAdd()
			found, err := r.client.Show(context.Background(), "corp", "globex/robot")
			if err != nil || (len(found) == 1) != x.listed {
				t.Fatalf("%v, %s", err, indent(t, found))
			}
			if x.listed && (found[0].By != "globex" || len(st.Lost) != 0) {
				t.Errorf("%s, lost %s", indent(t, found), indent(t, st.Lost))
			}
			if !x.listed {
				lost(t, st, "globex", NoData)
			}
		})
	}
}

// TestSignersMeetInTheFolder: each signer adds its signature where it is, with its key
// only; whoever has the online keys publishes.
func TestSignersMeetInTheFolder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a, b, c := p256(t), ed(t), p256(t)
	if _, err := r.maker.Delegate("globex", publics(a, b, c), 2); err != nil {
		t.Fatal(err)
	}
	none := t.TempDir()
	rep, err := r.with(none, a).AddSkill(entry("globex/robot", "2.0.0"), nil)
	if err != nil || rep.Timestamp != 0 || len(rep.Pending) == 0 {
		t.Fatalf("without online keys: %v, %s", err, indent(t, rep))
	}
	if st := r.mustAdd(); len(st.Lost) != 1 {
		t.Fatalf("published with one signature: %s", indent(t, st))
	}
	if _, err := r.with(none, c).Sign(); err != nil {
		t.Fatal(err)
	}
	r.must(r.maker.Sign())
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	if found, err := r.client.Show(context.Background(), "", "globex/robot"); err != nil || len(found) != 1 {
		t.Errorf("%v, %s", err, indent(t, found))
	}
}

// forgeIndex signs an index, unchecked, as a publisher whose key was stolen would.
func (r *rig) forgeIndex(by Publisher, key crypto.Signer, path string, index []byte) {
	r.t.Helper()
	m := r.with(r.maker.cfg.Keys, key)
	root, targets, err := m.top()
	if err != nil {
		r.t.Fatal(err)
	}
	meta := metadata.Targets()
	if err := m.putTarget(meta, path, index); err != nil {
		r.t.Fatal(err)
	}
	if err := m.next(string(by), delegation(targets, by).KeyIDs, meta); err != nil {
		r.t.Fatal(err)
	}
	r.publish(root, map[string]int64{metadata.TARGETS: targets.Signed.Version, string(by): meta.Signed.Version})
}

// TestPublisherStaysInItsOwnSpace gives a publisher's key to a thief. The other
// publishers, and the registry, stand.
func TestPublisherStaysInItsOwnSpace(t *testing.T) {
	t.Parallel()
	key := ed(t)
	robot := entry("globex/robot", "2.0.0")
	foreign, twice, outside := robot, robot, robot
	foreign.Name = "acme/weather"
	outside.OCI, outside.Path = "", "acme/weather.skill.tar"
	for _, c := range []struct {
		name    string
		path    string
		entries []Entry
		want    Reason // "" for not even looked at
	}{
		{"a name of another publisher", "globex/index.json", []Entry{foreign}, Mismatch},
		{"a name twice", "globex/index.json", []Entry{robot, twice}, Mismatch},
		{"an artifact of another publisher", "globex/index.json", []Entry{outside}, Mismatch},
		{"the index of another publisher", "acme/index.json", []Entry{foreign}, ""},
		{"the registry's own index", "index.json", []Entry{foreign}, ""},
		{"the registry's revocations", "revocations.json", []Entry{robot}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			if _, err := r.maker.Delegate("globex", publics(key), 1); err != nil {
				t.Fatal(err)
			}
			data, err := encode(index{1, c.entries})
			if err != nil {
				t.Fatal(err)
			}
			r.forgeIndex("globex", key, c.path, data)
			st := r.mustAdd()
			if c.want != "" {
				lost(t, st, "globex", c.want)
			}
			all, err := r.show()
			if err != nil || len(all) != 1 || all[0].By != "" || all[0].Version != "1.0.0" {
				t.Errorf("%v, %s", err, indent(t, all))
			}
			if _, err := r.client.Target(context.Background(), "corp", c.path, 1<<20); c.path == "revocations.json" || c.path == "acme/index.json" {
				reason(t, err, NoData)
			}
		})
	}
}

// TestDroppedKey: what a key signed that the registry took away counts no more.
func TestDroppedKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old, fresh := p256(t), p256(t)
	if _, err := r.maker.Delegate("globex", publics(old), 1); err != nil {
		t.Fatal(err)
	}
	r.must(r.with(r.maker.cfg.Keys, old).AddSkill(entry("globex/robot", "2.0.0"), nil))
	r.mustAdd()
	if _, err := r.maker.Delegate("globex", publics(fresh), 1); err != nil {
		t.Fatal(err)
	}
	st, err := r.client.Refresh(context.Background(), "corp")
	if err != nil {
		t.Fatal(err)
	}
	lost(t, st, "globex", Unsigned)
	if found, err := r.client.Show(context.Background(), "", "globex/robot"); err != nil || len(found) != 0 {
		t.Errorf("%v, %s", err, indent(t, found))
	}
	r.must(r.with(r.maker.cfg.Keys, fresh).Sign())
	if st, err = r.client.Refresh(context.Background(), "corp"); err != nil || len(st.Lost) != 0 {
		t.Errorf("after the new key signed: %v, %s", err, indent(t, st.Lost))
	}
}

// TestPublisherExpires loses a publisher that signs no more, and nobody else.
func TestPublisherExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	key := p256(t)
	if _, err := r.maker.Delegate("globex", publics(key), 1); err != nil {
		t.Fatal(err)
	}
	r.must(r.with(r.maker.cfg.Keys, key).AddSkill(entry("globex/robot", "2.0.0"), nil))
	r.mustAdd()
	r.clock.add(targetsLife - 12*timestampLife/24) // the timestamp is renewed then, the publisher not
	if _, err := r.maker.Sign(); err != nil {
		t.Fatal(err)
	}
	if err := r.refresh(); err != nil {
		t.Fatal(err)
	}
	r.clock.add(timestampLife - 1e9)
	if found, err := r.client.Show(context.Background(), "", "globex/robot"); err != nil || len(found) != 0 {
		t.Errorf("%v, %s", err, indent(t, found))
	}
	if found, err := r.show(); err != nil || len(found) != 1 {
		t.Errorf("%v, %s", err, indent(t, found))
	}
}

func TestRootThreshold(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.mustAdd()
	root, _, err := r.maker.top()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(r.maker.cfg.Keys, "root-3.pem")); err != nil {
		t.Fatal(err)
	}
	two := r.with(r.maker.cfg.Keys)
	if _, err := two.Rotate(metadata.ROOT, root.Signed.Roles[metadata.ROOT].KeyIDs[2], "root-4.pem"); err != nil {
		t.Fatalf("two of three keys do not sign a root: %v", err)
	}
	st, err := r.client.Refresh(context.Background(), "corp")
	if err != nil || st.Version != 2 {
		t.Fatalf("%v, %s", err, indent(t, st))
	}
	for _, file := range []string{"root-2.pem", "root-4.pem"} {
		if err := os.Remove(filepath.Join(r.maker.cfg.Keys, file)); err != nil {
			t.Fatal(err)
		}
	}
	one := r.with(r.maker.cfg.Keys)
	_, err = one.Rotate(metadata.ROOT, root.Signed.Roles[metadata.ROOT].KeyIDs[1], "root-5.pem")
	if err == nil || !strings.Contains(err.Error(), "more of the root keys") {
		t.Errorf("one key of three signed a root: %v", err)
	}
	if _, err := os.Stat(filepath.Join(r.dir, "3.root.json")); err == nil {
		t.Error("a root without enough signatures was published")
	}
}

// TestRootMustSignItself refuses what an operator was given by mistake or by a forger.
func TestRootMustSignItself(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	good := r.root()
	for name, bad := range map[string][]byte{
		"not JSON":           []byte("hello"),
		"a key twice":        bytes.Replace(good, []byte(`"signed"`), []byte(`"signed": {}, "signed"`), 1),
		"changed":            bytes.Replace(good, []byte(`"version": 1`), []byte(`"version": 7`), 1),
		"one signature less": good[:bytes.LastIndex(good, []byte(`{`))],
		"null keys":          []byte(`{"signatures":[],"signed":{"_type":"root","keys":{"a":null},"roles":{"root":{"keyids":["a"],"threshold":1}},"spec_version":"1.0","version":1,"expires":"2030-01-01T00:00:00Z","consistent_snapshot":true}}`),
		"the timestamp":      mustRead(t, filepath.Join(r.dir, "timestamp.json")),
		"another registry's": newRig(t).root(),
	} {
		if _, err := r.client.Add(context.Background(), Request{Name: "corp", Sources: []string{r.url}, Root: bad}); err == nil {
			t.Errorf("a root that is %s was pinned", name)
		}
	}
	if list, err := r.client.List(context.Background()); err != nil || len(list) != 0 {
		t.Errorf("%v, %s", err, indent(t, list))
	}
}

func mustRead(t *testing.T, file string) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestKeysAreStrong(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	if _, err := r.maker.Delegate("globex", []crypto.PublicKey{key.Public()}, 1); err == nil {
		t.Error("an RSA key was delegated to")
	}
	one := p256(t).Public()
	if _, err := r.maker.Delegate("globex", []crypto.PublicKey{one, one}, 2); err == nil {
		t.Error("one key counts twice")
	}
	for _, name := range []Publisher{"targets", "snapshot", "..", "a/b", "Globex", ""} {
		if _, err := r.maker.Delegate(name, []crypto.PublicKey{one}, 1); err == nil {
			t.Errorf("publisher %q was delegated to", name)
		}
	}
	der, err := x509.MarshalPKCS8PrivateKey(ed(t))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "open.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadKey(file); err == nil {
		t.Error("a private key that others can read was used")
	}
}
