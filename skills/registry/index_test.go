package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

func indexOf(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	data, err := encode(index{1, entries})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecodeIndexRefuses(t *testing.T) {
	t.Parallel()
	good := string(indexOf(t, entry("acme/weather", "1.4.2")))
	if list, err := DecodeIndex([]byte(good), "acme"); err != nil || len(list) != 1 {
		t.Fatalf("%v, %v", err, list)
	}
	digest := string(entry("acme/weather", "1.4.2").Digest)
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown field of the file", `"schema": 1`, `"schema": 1, "more": 1`, `unknown field "more"`},
		{"unknown field of an entry", `"version"`, `"latest": true, "version"`, `unknown field "latest"`},
		{"unknown field of an identity", `"issuer"`, `"trust": true, "issuer"`, `unknown field "trust"`},
		{"unknown field of a yank", `"yanked": null`, `"yanked": {"reason":"x","since":"2026-01-01T00:00:00Z","by":1}`, `unknown field "by"`},
		{"a field in other letters", `"schema": 1`, `"schema": 1, "Skills": []`, `unknown field "Skills"`},
		{"an entry's field in other letters", `"name"`, `"Name": "globex/x", "name"`, `unknown field "Name"`},
		{"a key twice", `"schema": 1`, `"schema": 1, "schema": 1`, "duplicate key"},
		{"an entry's key twice", `"version"`, `"version": "9.9.9", "version"`, "duplicate key"},
		{"a key twice, once in escapes", `"schema": 1`, `"schema": 1, "\u0073chema": 1`, "duplicate key"},
		{"a schema of tomorrow", `"schema": 1`, `"schema": 2`, "schema 2"},
		{"no schema", `"schema": 1,`, ``, "schema 0"},
		{"text behind it", "\n}\n", "\n} {}", "not valid JSON"},
		{"a null entry", `"skills": [`, `"skills": [null,`, "want an object"},
		{"another publisher's name", `"acme/weather"`, `"globex/weather"`, "may not publish"},
		{"the registry's name", `"acme/weather"`, `"weather"`, "may not publish"},
		{"a path for a name", `"acme/weather"`, `"acme/../weather"`, "skill"},
		{"an upper-case name", `"acme/weather"`, `"acme/Weather"`, "skill"},
		{"a look-alike name", `"acme/weather"`, `"acme/wеather"`, "skill"},
		{"a name with a newline", `"acme/weather"`, `"acme/weather\n"`, "skill"},
		{"a reserved publisher", `"acme/weather"`, `"targets/weather"`, "taken by the registry"},
		{"a version that is none", `"1.4.2"`, `"latest"`, "semantic version"},
		{"a version with v", `"1.4.2"`, `"v1.4.2"`, "semantic version"},
		{"a short version", `"1.4.2"`, `"1.4"`, "semantic version"},
		{"no digest", `"digest": "` + digest + `"`, `"digest": ""`, "digest"},
		{"an upper-case digest", `"digest": "` + digest, `"digest": "` + strings.ToUpper(digest), "digest"},
		{"another digest in oci", "weather@" + digest, "weather@" + string(abi.DigestOf(nil)), "oci"},
		{"a tag in oci", "weather@" + digest, "weather:latest", "oci"},
		{"an oci reference with a user", `"oci": "reg.example`, `"oci": "x@reg.example`, "oci"},
		{"no place at all", `"oci": "reg.example/acme/weather@` + digest + `",`, ``, "where it is"},
		{"a path of another publisher", `"bundle"`, `"path": "globex/w.tar", "bundle"`, "not below"},
		{"a path that climbs", `"bundle"`, `"path": "acme/../w.tar", "bundle"`, "target"},
		{"a path that is absolute", `"bundle"`, `"path": "/etc/passwd", "bundle"`, "not below"},
		{"no bundle", `"bundle": "sha256`, `"bundle": "sha1`, "bundle"},
		{"an abi of tomorrow", `extism-mcp/v2`, `extism-mcp/v9`, "abi"},
		{"no identity", `"issuer": "https://issuer.example",`, ``, "identity"},
		{"two identities", `"issuer"`, `"key": "k", "issuer"`, "identity"},
		{"capabilities that are not sorted", `"GET https://api.weather.example /v1/*"`, `"b","a"`, "sorted"},
		{"a capability without lines", `"GET https://api.weather.example /v1/*"`, ``, "lines"},
		{"a capability that hides text", `GET https`, `GET \u202ehttps`, "cannot be seen"},
		{"a yank without a day", `"yanked": null`, `"yanked": {"reason":"x"}`, "since"},
		{"a yank without a reason", `"yanked": null`, `"yanked": {"since":"2026-01-01T00:00:00Z"}`, "reason"},
		{"a day without a zone", `"yanked": null`, `"yanked": {"reason":"x","since":"2026-01-01"}`, "since"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			bad := strings.Replace(good, c.old, c.new, 1)
			if bad == good {
				t.Fatalf("%q is not in the index:\n%s", c.old, good)
			}
			if _, err := DecodeIndex([]byte(bad), "acme"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v; want an error with %q", err, c.want)
			}
		})
	}
}

func TestIndexBounds(t *testing.T) {
	t.Parallel()
	entries := make([]Entry, MaxEntries+1)
	for i := range entries {
		entries[i] = entry("acme/weather", fmt.Sprintf("1.%d.%d", i/100, i%100))
	}
	if list, err := DecodeIndex(indexOf(t, entries[:MaxEntries]...), "acme"); err != nil || len(list) != MaxEntries || list[0].Version != "1.99.99" {
		t.Errorf("%d entries: %v", MaxEntries, err)
	}
	if _, err := DecodeIndex(indexOf(t, entries...), "acme"); err == nil || !strings.Contains(err.Error(), "exceed the limit") {
		t.Errorf("%d entries: %v", MaxEntries+1, err)
	}
	if _, err := DecodeIndex(append(indexOf(t), bytes.Repeat([]byte(" "), int(MaxIndex))...), ""); err == nil {
		t.Error("an index over the limit of bytes was decoded")
	}
	if _, err := DecodeIndex(indexOf(t, entries[0], entries[0]), "acme"); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("a version twice: %v", err)
	}
	if _, err := DecodeIndex(bytes.Repeat([]byte("["), 1<<20), ""); err == nil {
		t.Error("a million brackets were decoded")
	}
}

func BenchmarkDecodeIndex(b *testing.B) {
	entries := make([]Entry, MaxEntries)
	for i := range entries {
		entries[i] = entry("acme/weather", fmt.Sprintf("1.%d.%d", i/100, i%100))
	}
	data := indexOf(b, entries...)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		if _, err := DecodeIndex(data, "acme"); err != nil {
			b.Fatal(err)
		}
	}
}

// TestSignedManifestCounts compares an entry with the manifest that was signed.
func TestSignedManifestCounts(t *testing.T) {
	t.Parallel()
	need := abi.HTTPNeed{Origin: "https://api.weather.example", Methods: []string{"GET"}, Paths: []string{"/v1/*"}}
	manifest := func() *abi.Manifest {
		return &abi.Manifest{Name: "weather", Version: "1.4.2", ABI: abi.ProfileMCPv2, Needs: abi.Needs{HTTP: []abi.HTTPNeed{need}}}
	}
	e := entry("acme/weather", "1.4.2")
	if err := e.Match(manifest()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*abi.Manifest){
		"name":               func(m *abi.Manifest) { m.Name = "other" },
		"version":            func(m *abi.Manifest) { m.Version = "1.4.3" },
		"abi":                func(m *abi.Manifest) { m.ABI = abi.ProfileRaw },
		"fewer capabilities": func(m *abi.Manifest) { m.Needs = abi.Needs{} },
		"a further method":   func(m *abi.Manifest) { m.Needs.HTTP[0].Methods = []string{"GET", "POST"} },
		"a further path":     func(m *abi.Manifest) { m.Needs.HTTP[0].Paths = []string{"/v1/*", "/admin"} },
		"a further origin":   func(m *abi.Manifest) { m.Needs.HTTP[0].Origin = "https://*.weather.example" },
		"a secret": func(m *abi.Manifest) {
			m.Needs.Secrets = []abi.SecretNeed{{Name: "k", Only: []abi.Origin{"https://x.example"}}}
		},
		"files":               func(m *abi.Manifest) { m.Needs.Files = []abi.FileNeed{{Mount: "/data", Access: abi.AccessRead}} },
		"a key-value store":   func(m *abi.Manifest) { m.Needs.KV = &abi.KVNeed{MaxBytes: 1} },
		"questions to people": func(m *abi.Manifest) { m.Needs.Human = &abi.HumanNeed{Ask: true} },
	} {
		m := manifest()
		change(m)
		if err := e.Match(m); err == nil {
			t.Errorf("%s: an index that says something else was believed", name)
		} else {
			reason(t, err, Mismatch)
		}
	}
}

func TestDecodeRevocationsRefuses(t *testing.T) {
	t.Parallel()
	digest := string(abi.DigestOf([]byte("x")))
	one := `{"digest": "` + digest + `", "reason": "malicious", "since": "2026-01-01T00:00:00Z"}`
	good := `{"schema": 1, "revoked": [` + one + `]}`
	if revoked, lifted, err := DecodeRevocations([]byte(good)); err != nil || len(revoked) != 1 || len(lifted) != 0 {
		t.Fatalf("%v, %v, %v", err, revoked, lifted)
	}
	for _, c := range []struct{ name, old, new, want string }{
		{"unknown field", `"schema": 1`, `"schema": 1, "until": 1`, "unknown field"},
		{"unknown field of an entry", `"reason"`, `"registry": "other", "reason"`, "unknown field"},
		{"a field in other letters", `"reason"`, `"Digest": "", "reason"`, "unknown field"},
		{"a key twice", `"schema": 1`, `"schema": 1, "schema": 1`, "duplicate key"},
		{"a schema of tomorrow", `"schema": 1`, `"schema": 9`, "schema"},
		{"no subject", `"digest": "` + digest + `", `, ``, "exactly one"},
		{"two subjects", `"reason"`, `"key": "k", "reason"`, "exactly one"},
		{"half an identity", `"digest": "` + digest + `"`, `"identity": {"issuer": "https://x"}`, "identity"},
		{"a key for an identity", `"digest": "` + digest + `"`, `"identity": {"key": "k"}`, "identity"},
		{"a digest that is none", digest, "sha256:abc", "digest"},
		{"a subject twice", one, one + `,` + one, "twice"},
		{"revoked and lifted at once", `]}`, `], "lifted": [` + one + `]}`, "twice"},
		{"no reason", `"malicious"`, `""`, "reason"},
		{"a reason that hides text", `malicious`, `fine\u200b`, "cannot be seen"},
		{"no day", `, "since": "2026-01-01T00:00:00Z"`, ``, "since"},
	} {
		bad := strings.Replace(good, c.old, c.new, 1)
		if bad == good {
			t.Fatalf("%s: nothing changed", c.name)
		}
		if _, _, err := DecodeRevocations([]byte(bad)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v; want an error with %q", c.name, err, c.want)
		}
	}
	var many []string
	for i := range MaxRevocations + 1 {
		many = append(many, fmt.Sprintf(`{"key":"%d","reason":"r","since":"2026-01-01T00:00:00Z"}`, i))
	}
	if _, _, err := DecodeRevocations([]byte(`{"schema":1,"revoked":[` + strings.Join(many, ",") + `]}`)); err == nil {
		t.Error("a list over the limit was decoded")
	}
	if _, _, err := DecodeRevocations([]byte(`{"schema":1,"revoked":[` + strings.Join(many[1:], ",") + `]}`)); err != nil {
		t.Errorf("a list at the limit: %v", err)
	}
}

// FuzzDecodeIndex: what is decoded encodes to an index that decodes to the same.
func FuzzDecodeIndex(f *testing.F) {
	e := entry("acme/weather", "1.4.2")
	f.Add(indexOf(f, e), "acme")
	e.Yanked, e.Identity = &Yank{"bad", Since{start}}, Identity{Key: "SHA256:x"}
	f.Add(indexOf(f, e, entry("robot", "0.1.0-rc.1+b")), "")
	f.Add([]byte(`{"schema":1,"skills":null}`), "")
	f.Fuzz(func(t *testing.T, data []byte, by string) {
		list, err := DecodeIndex(data, Publisher(by))
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, e := range list {
			id := string(e.Name) + " " + e.Version
			if seen[id] || by != "" && e.Name.Publisher() != Publisher(by) || e.Name.Check() != nil || strings.ContainsAny(e.OCI+e.Path, " \n\\%?#") || strings.Contains(e.Path, "..") && !strings.Contains(e.Path, "...") && checkTarget(e.Path) != nil {
				t.Fatalf("accepted %+v", e)
			}
			seen[id] = true
		}
		again, err := DecodeIndex(indexOf(t, list...), Publisher(by))
		if err != nil {
			t.Fatal(err)
		}
		a, _ := json.Marshal(list)
		b, _ := json.Marshal(again)
		if !bytes.Equal(a, b) {
			t.Fatalf("%s\n%s", a, b)
		}
	})
}

func FuzzDecodeRevocations(f *testing.F) {
	f.Add([]byte(`{"schema":1,"revoked":[{"key":"k","reason":"r","since":"2026-01-01T00:00:00Z"}],"lifted":[{"identity":{"issuer":"i","san":"s"},"reason":"r","since":"2026-01-01T00:00:00Z"}]}`))
	f.Add([]byte(`{"schema":1,"revoked":[{"digest":"` + string(abi.DigestOf(nil)) + `","reason":"r","since":"2026-01-01T00:00:00Z"}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		revoked, lifted, err := DecodeRevocations(data)
		if err != nil {
			return
		}
		seen := map[string]bool{}
		for _, r := range append(revoked, lifted...) {
			if r.check() != nil || seen[r.id()] || r.Reason == "" || r.Since.IsZero() || r.Registry != "" {
				t.Fatalf("accepted %+v", r)
			}
			seen[r.id()] = true
		}
	})
}

// FuzzMetadata walks over hostile metadata: each answer is a refusal with a reason.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"signed":{"_type":"timestamp"},"signatures":[]}`), uint8(1))
	f.Add([]byte(`{"signatures":[{"keyid":"a","sig":"00"}],"signed":{"_type":"root","keys":{"a":null},"roles":{"root":null},"spec_version":"1.0","version":2}}`), uint8(0))
	dir := f.TempDir()
	m, err := Init(MakerConfig{Dir: dir + "/r", Keys: dir + "/k"}, 1, 1)
	if err != nil {
		f.Fatal(err)
	}
	root, err := folder(m.cfg.Dir).Get(f.Context(), "1.root.json", maxRoot)
	if err != nil {
		f.Fatal(err)
	}
	names := []string{"2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"}
	f.Fuzz(func(t *testing.T, data []byte, which uint8) {
		src := overlay{stored{names[int(which)%len(names)]: data}, folder(m.cfg.Dir)}
		if _, err := verify(t.Context(), src, held{root: root}, m.cfg.Now()); err != nil && classify("", err).Reason == "" {
			t.Fatalf("%v is no refusal", err)
		}
		_ = checkRoot(data)
	})
}
