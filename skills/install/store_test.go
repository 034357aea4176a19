package install

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

// dieVerb makes the test binary install a skill and be killed on the way.
const dieVerb = "install-and-die"

// TestMain is the process that is killed when a test starts this binary so.
func TestMain(m *testing.M) {
	if len(os.Args) == 5 && os.Args[1] == dieVerb {
		if err := installAndDie(os.Args[2], os.Args[3], Step(os.Args[4])); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(7) // it should not have lived that long
	}
	os.Exit(m.Run())
}

// installAndDie installs the packed skill in file and kills itself before the step.
func installAndDie(stateDir, file string, step Step) error {
	state, err := config.OpenState(stateDir)
	if err != nil {
		return err
	}
	g, err := Open(state, config.Trust{Advisories: config.Advisories{MaxAge: 1}})
	if err != nil {
		return err
	}
	s := OpenStore(state)
	s.step = func(at Step) {
		if at == step {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	return installFile(context.Background(), s, g, file)
}

// installFile installs a packed skill with everything that it asks for.
func installFile(ctx context.Context, s *Store, g *Gate, file string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }()
	pulled, err := artifact.ReadTar(f)
	if err != nil {
		return err
	}
	grant, err := readGrantFile(s.GrantFile(pulled.Name))
	if err != nil {
		return err
	}
	p, err := s.Prepare(ctx, g, Offer{pulled.Artifact, pulled.Signatures, file}, grant, Known{Now: now}, Options{})
	if err != nil {
		return err
	}
	defer p.Release()
	var all []string
	for _, a := range p.Pending() {
		all = append(all, a.ID)
	}
	next, err := p.Grant(all, []abi.AgentID{"main"})
	if err != nil {
		return err
	}
	return p.Commit(s, next, func() (*abi.Grant, error) { return readGrantFile(s.GrantFile(pulled.Name)) })
}

func readGrantFile(path string) (*abi.Grant, error) {
	data, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return abi.DecodeGrant("grants/x.yaml", data)
}

// shop is a state folder with a store, and packed versions of parcel signed by this
// machine.
type shop struct {
	testing.TB
	state *config.State
	store *Store
	gate  *Gate
}

func newShop(t testing.TB) *shop {
	t.Helper()
	state, err := config.OpenState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := signature.MakeOwnKey(state); err != nil {
		t.Fatal(err)
	}
	g, err := Open(state, config.Trust{Advisories: config.Advisories{MaxAge: 1}})
	if err != nil {
		t.Fatal(err)
	}
	return &shop{t, state, OpenStore(state), g}
}

// pack writes a version as one file.
func (s *shop) pack(version string, change func(*abi.Compiled)) string {
	s.Helper()
	c := parcel(change)
	c.Manifest.Version = version
	b := put(s, c, abitest.MCPv2(), none(s))
	key, err := signature.OwnKey(s.state)
	if err != nil {
		s.Fatal(err)
	}
	a, err := artifact.Manifest(b)
	if err != nil {
		s.Fatal(err)
	}
	sig := (&signtest.KeyPair{Signer: key}).Sign(s, a.Digest, factsOf(b))
	file := filepath.Join(s.TempDir(), a.FileName())
	if err := artifact.WriteFile(file, a, sig); err != nil {
		s.Fatal(err)
	}
	return file
}

func (s *shop) install(file string) error {
	s.Helper()
	return installFile(s.Context(), s.store, s.gate, file)
}

// usable returns the version that counts, if it can be loaded and used: its files are
// whole, the gate admits them, the grant holds for them.
func (s *shop) usable() (string, error) {
	lock, err := s.store.Lock()
	if err != nil {
		return "", err
	}
	e := lock.Installed("parcel")
	if e == nil {
		return "", ErrNotInstalled
	}
	b, err := skills.Open(s.store.Dir(e))
	if err != nil {
		return "", err
	}
	_, a, err := s.gate.Load(s.Context(), b, e.Artifact, Known{Now: now})
	if err != nil {
		return "", err
	}
	g, err := readGrantFile(s.store.GrantFile("parcel"))
	if err != nil {
		return "", err
	}
	rights, why, err := abi.Effective(&b.Manifest.Manifest, g, abi.GlobalPolicy{}, "main", a.Proof(), now)
	if err != nil || !rights.Granted {
		return "", fmt.Errorf("no rights: %v %v", why, err)
	}
	return e.Version, nil
}

// TestKilledInstallation kills the installer before each step of a first installation
// and of an upgrade: what counts afterwards is the old version or the new one, whole and
// with its grant, before anybody mends anything and after.
func TestKilledInstallation(t *testing.T) {
	t.Parallel()
	for _, first := range []bool{true, false} {
		for _, step := range Steps() {
			t.Run(fmt.Sprintf("first %t, before %s", first, step), func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				old := "none"
				if !first {
					old = "1.4.0"
					if err := s.install(s.pack(old, nil)); err != nil {
						t.Fatal(err)
					}
				}
				file := s.pack("1.5.0", func(c *abi.Compiled) { c.Manifest.Needs.KV = &abi.KVNeed{MaxBytes: 1024} })
				killed := testenv.Killed(t, os.Args[0], dieVerb, s.state.Dir(), file, string(step))
				if !killed {
					t.Fatal("the installer was not killed")
				}
				want := old
				if slices.Index(Steps(), step) > slices.Index(Steps(), StepLock) {
					want = "1.5.0"
				}
				for _, when := range []string{"as it was left", "recovered", "recovered twice"} {
					if when != "as it was left" {
						if err := s.store.Recover(); err != nil {
							t.Fatal(err)
						}
					}
					got, err := s.usable()
					if want == "none" && !strings.Contains(fmt.Sprint(err), "no skill of that name") || want != "none" && (got != want || err != nil) {
						t.Errorf("%s: version %q, want %q; %v", when, got, want, err)
					}
				}
				if err := s.install(file); err != nil {
					t.Errorf("once more: %v", err)
				}
				if got, err := s.usable(); got != "1.5.0" || err != nil {
					t.Errorf("once more: version %q, %v", got, err)
				}
			})
		}
	}
}

// TestHistory is what the lock file remembers against an offer.
func TestHistory(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v14, v15 := s.pack("1.4.0", nil), s.pack("1.5.0", nil)
	for _, file := range []string{v14, v15, v15} {
		if err := s.install(file); err != nil {
			t.Fatal(err)
		}
	}
	wants := func(name string, err error, reason Reason) {
		t.Helper()
		if ReasonOf(err) != reason {
			t.Errorf("%s: %v, want %q", name, err, reason)
		}
	}
	wants("a replayed older version", s.install(v14), ReasonDowngrade)
	if _, err := s.store.Pin("parcel", true); err != nil {
		t.Fatal(err)
	}
	v16 := s.pack("1.6.0", nil)
	wants("another version of a pinned skill", s.install(v16), ReasonPinned)
	wants("the pinned version itself", s.install(v15), "")
	if _, err := s.store.Pin("parcel", false); err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.Remove("parcel"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.usable(); err == nil {
		t.Error("a removed skill is usable")
	}
	if left, _ := filepath.Glob(filepath.Join(s.state.Skills(), "parcel", "*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	wants("an older version after the removal", s.install(v14), ReasonDowngrade)
	wants("the newer version after the removal", s.install(v16), "")
	if _, err := s.store.Remove("other"); err == nil {
		t.Error("a skill that is not there was removed")
	}

	prepare := func(file string, opt Options) error {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = f.Close() }()
		pulled, err := artifact.ReadTar(f)
		if err != nil {
			t.Fatal(err)
		}
		p, err := s.store.Prepare(t.Context(), s.gate, Offer{pulled.Artifact, pulled.Signatures, file}, nil, Known{Now: now}, opt)
		if err == nil {
			p.Release()
		}
		return err
	}
	wants("an older version, insisted on", prepare(v14, Options{Downgrade: true}), "")
	wants("another name than asked for", prepare(v16, Options{Name: "letter"}), ReasonRequested)
	wants("another signer than the index names", prepare(v16, Options{Signer: abi.Signer{Key: "x"}}), ReasonRequested)
	wants("another version than asked for", prepare(v16, Options{Version: "1.7.0"}), ReasonRequested)
	wants("another digest than asked for", prepare(v16, Options{Digest: "sha256:" + abi.Digest(strings.Repeat("0", 64))}), ReasonRequested)

	// A version that a publisher of somewhere else changed, or took over.
	was := &Entry{Name: "parcel", Version: "1.6.0", Highest: "1.6.0", Artifact: "sha256:a", Content: "sha256:a", Publisher: "acme"}
	wants("the same version with other content", allowed(&Admission{Skill: "parcel", Version: "1.6.0", Artifact: "sha256:b", Publisher: "acme"}, was, Options{}), ReasonMutated)
	wants("another publisher", allowed(&Admission{Skill: "parcel", Version: "1.7.0", Artifact: "sha256:b", Publisher: "globex"}, was, Options{}), ReasonPublisher)
	wants("another publisher, insisted on", allowed(&Admission{Skill: "parcel", Version: "1.7.0", Artifact: "sha256:b", Publisher: "globex"}, was, Options{OtherOwner: true}), "")
}

// TestGrantOfAnUpgrade keeps what was consented to, asks about the rest and widens
// nothing by itself.
func TestGrantOfAnUpgrade(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	if err := s.install(s.pack("1.4.0", nil)); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(s.pack("1.5.0", func(c *abi.Compiled) {
		n := &c.Manifest.Needs
		n.HTTP[0].Methods = []string{"GET", "POST"}
		n.HTTP = append(n.HTTP, abi.HTTPNeed{Argument: "q", Methods: []string{"GET"}, Paths: []string{"/**"}})
		n.KV = &abi.KVNeed{MaxBytes: 1024}
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	pulled, err := artifact.ReadTar(f)
	if err != nil {
		t.Fatal(err)
	}
	old, err := readGrantFile(s.store.GrantFile("parcel"))
	if err != nil {
		t.Fatal(err)
	}
	p, err := s.store.Prepare(t.Context(), s.gate, Offer{pulled.Artifact, pulled.Signatures, "x"}, old, Known{Now: now}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Release()
	var ids []string
	for _, a := range p.Pending() {
		ids = append(ids, a.ID)
	}
	if got := strings.Join(ids, " "); got != "http:https://api.parcel.example http:argument:q kv" {
		t.Errorf("asks about %s", got)
	}
	if Worst(p.Changes) != RiskHigh || len(p.Changes) != 3 {
		t.Errorf("differences %v", p.Changes)
	}
	g, err := p.Grant([]string{"kv"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(g.Allow.HTTP) != 1 || len(g.Allow.HTTP[0].Methods) != 1 || g.Allow.KV == nil || g.Pin.SHA256 != p.Admission.Manifest.Hex() || *g.Publisher != *p.Admission.Signer.Only() || g.Agents[0] != "main" {
		t.Errorf("grant %+v", g)
	}
	if _, err := p.Grant([]string{"human"}, nil); ReasonOf(err) != ReasonConsent {
		t.Errorf("consent to what is not asked for: %v", err)
	}
	present := func() (*abi.Grant, error) { return readGrantFile(s.store.GrantFile("parcel")) }
	unpinned := *g
	unpinned.Pin = nil
	if err := p.Commit(s.store, &unpinned, present); err == nil {
		t.Error("a grant that is not pinned was committed")
	}
	// Somebody takes the grant back, or installs something newer, while a person reads.
	nothing, err := abi.EncodeGrant(&abi.Grant{Schema: abi.SchemaGrant, Skill: "parcel"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.store.WriteGrant("parcel", nothing); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(s.store, g, present); ReasonOf(err) != ReasonConsent {
		t.Errorf("a grant that was taken back meanwhile came back: %v", err)
	}
	if err := s.install(s.pack("1.6.0", nil)); err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(s.store, g, present); ReasonOf(err) != ReasonDowngrade {
		t.Errorf("an older version than one that was installed meanwhile: %v", err)
	}
}

func FuzzDecodeLock(f *testing.F) {
	f.Add([]byte("{\n  \"schema\": \"glovebox/lock/v1\",\n  \"skills\": []\n}\n"))
	d := abi.Digest("sha256:" + strings.Repeat("0", 64))
	good, err := (&Lock{Schema: SchemaLock, Skills: []Entry{{Name: "a", Version: "1.0.0", Highest: "1.0.0", Artifact: d, Folder: d, Manifest: d, Publisher: "p"}}}).encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, data []byte) {
		l, err := DecodeLock(data)
		if err != nil {
			return
		}
		for _, e := range l.Skills {
			dir := (&Store{dir: "/s"}).Dir(&e)
			if e.installed() && (filepath.Dir(filepath.Dir(dir)) != "/s" || len(filepath.Base(dir)) != 64) {
				t.Errorf("an entry leads to %s", dir)
			}
		}
	})
}

func TestLockFilesAreRefused(t *testing.T) {
	t.Parallel()
	d := abi.Digest("sha256:" + strings.Repeat("0", 64))
	good := Entry{Name: "a", Version: "1.0.0", Highest: "1.0.0", Artifact: d, Folder: d, Manifest: d, Publisher: "p"}
	written := func(entries ...Entry) string {
		text, err := (&Lock{Schema: SchemaLock, Skills: entries}).encode()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	with := func(change func(*Entry)) string {
		e := good
		change(&e)
		return written(e)
	}
	if _, err := DecodeLock([]byte(written(good))); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"an unknown key":           strings.Replace(written(good), `"schema"`, `"trust": "all",`+"\n  "+`"schema"`, 1),
		"a key twice":              strings.Replace(written(good), `"schema"`, `"schema": "glovebox/lock/v1",`+"\n  "+`"schema"`, 1),
		"another schema":           strings.Replace(written(good), "lock/v1", "lock/v2", 1),
		"another layout":           strings.ReplaceAll(written(good), "\n", ""),
		"a name that climbs":       with(func(e *Entry) { e.Name = "../a" }),
		"a folder that climbs":     with(func(e *Entry) { e.Folder = "sha256:../../x" }),
		"an artifact that is none": with(func(e *Entry) { e.Artifact = "x" }),
		"a skill twice":            written(good, good),
		"a version above the peak": with(func(e *Entry) { e.Highest = "0.9.0" }),
		"a version that is none":   with(func(e *Entry) { e.Version = "one" }),
		"no peak":                  with(func(e *Entry) { e.Highest = "" }),
		"no folder":                with(func(e *Entry) { e.Folder = "" }),
		"too many skills":          written(slices.Repeat([]Entry{good}, maxEntries+1)...),
	} {
		if _, err := DecodeLock([]byte(text)); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	path := filepath.Join(t.TempDir(), "skills.lock")
	write(t, path, []byte("{"))
	if _, err := ReadLock(path); ReasonOf(err) != ReasonLock {
		t.Errorf("half a file: %v", err)
	}
}
