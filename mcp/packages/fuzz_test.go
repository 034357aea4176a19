package packages

import (
	"archive/tar"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/mcp/source"
	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// FuzzPackument: whatever a registry says, a manifest is refused or asks for packages by
// names and versions, and a tree that comes out of it is one that the lock file can say.
func FuzzPackument(f *testing.F) {
	const dist = `"dist":{"tarball":"https://registry.example/left/-/left-1.0.0.tgz","integrity":"sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="}`
	f.Add(`{"name":"left","dist-tags":{"latest":"1.0.0"},"versions":{"1.0.0":{"name":"left","version":"1.0.0","dependencies":{"left":"^1"},` + dist + `}}}`)
	f.Add(`{"name":"left","versions":{"1.0.0":{"name":"left","version":"1.0.0","dependencies":{"alias":"npm:@a/b@1.x || 2"},"os":"!linux",` + dist + `}}}`)
	f.Add(`{"name":"left","versions":{"1.0.0":{"name":"left","version":"1.0.0","peerDependencies":{"../x":"git+ssh://x"},"bundleDependencies":["x"]}}}`)
	r := registry{base: "https://registry.example", origin: "https://registry.example"}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := decodePackument([]byte(text), "left")
		if err != nil {
			return
		}
		s := &resolver{registry: r, known: map[string]*packument{"left": p}, placed: map[string]*Resolved{}}
		top, err := s.place("", need{name: "left", of: "left", versions: "1.0.0"})
		if err != nil || top == nil {
			return
		}
		for _, n := range top.needs {
			if !validName(n.name) || !validName(n.of) || strings.ContainsAny(n.versions, ":/#") {
				t.Fatalf("needs %+v", n)
			}
		}
		lock, err := lockFile([]Resolved{*top})
		if err != nil {
			t.Fatal(err)
		}
		if l, err := sbom.FromPackageLock(lock, sbom.All); err != nil || len(l.Packages) != 1 {
			t.Fatalf("%s: %v", lock, err)
		}
	})
}

// FuzzArchive: whatever is in an archive, it is refused or makes plain files below its
// own folder.
func FuzzArchive(f *testing.F) {
	f.Add(pack([]*tar.Header{{Name: "package/package.json"}, {Name: "package/dist/index.js"}}, []string{about, "x"}))
	f.Add(pack([]*tar.Header{{Name: "package/../../x"}, {Name: "p/l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, {Name: "p/l/x"}}, []string{"", "", "x"}))
	f.Fuzz(func(t *testing.T, archive []byte) {
		dir := t.TempDir()
		if err := os.Mkdir(filepath.Join(dir, "app"), 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(filepath.Join(dir, "app"))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = root.Close() }()
		u := &unpacker{root: root}
		p := Resolved{Path: "node_modules/@acme/weather", Name: "@acme/weather", Version: "1.0.0"}
		if is, err := u.unpack(p, archive); err == nil {
			if entry, err := is.entry(p, ""); err == nil && !strings.HasPrefix(entry, p.Path+"/") {
				t.Fatalf("entry %q", entry)
			}
		}
		err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (!d.Type().IsRegular() || !strings.HasPrefix(path, filepath.Join(dir, "app", p.Path)+"/")) {
				t.Errorf("made %s", path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

// FuzzSeal: a seal that is read is the one that was written.
func FuzzSeal(f *testing.F) {
	good := Seal{Schema: SchemaSeal, Runtime: RuntimeNode, Entry: "node_modules/x/i.js", Tree: "sha256:" + "0000000000000000000000000000000000000000000000000000000000000000"}
	text, err := good.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(`{}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := decodeSeal(text)
		if err != nil {
			return
		}
		if again, err := s.encode(); err != nil || string(again) != string(text) || !fs.ValidPath(s.Entry) {
			t.Fatalf("%q, %v", again, err)
		}
	})
}

// FuzzCommand: a command line is refused, or names one exact version or one absolute path,
// never anything that a shell or a launcher would still have to decide.
func FuzzCommand(f *testing.F) {
	for _, line := range []string{
		"npx -y @acme/weather@1.0.0", "npx --package=left@1.0.0 right", "npx left", "npx left@latest", "npx left@^1", "npx -c left@1.0.0", "npx --package=evil left@1.0.0",
		"npx left@npm:evil@1.0.0", "npx git+https://x/y", "uvx p==1.2.3", "uvx --from p==1.2.3 c", "go run m@v1.2.3", "docker run i@sha256:0", "sh -c left", "/usr/bin/env left", "/opt/server --x",
	} {
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		p, file, _, err := source.Command(strings.Split(line, " "))
		switch {
		case err != nil:
			var r *reason.Refusal
			if !errors.As(err, &r) || r.Reason == "" {
				t.Fatalf("%q: %v", line, err)
			}
		case p != nil && p.Registry == source.NPM:
			if file != "" || !validName(p.Name) || !validVersion(p.Version) {
				t.Fatalf("%q: %+v", line, p)
			}
		case p == nil && (!filepath.IsAbs(file) || filepath.Clean(file) != file):
			t.Fatalf("%q: %q", line, file)
		}
	})
}
