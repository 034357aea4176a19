package sbom

import (
	"slices"
	"strings"
	"testing"
)

const packageLock = `{"lockfileVersion":3,"packages":{
  "":{"dependencies":{"runs":"1.0.0"},"devDependencies":{"@extism/as-pdk":"1.0.0"}},
  "node_modules/@extism/as-pdk":{"version":"1.0.0","integrity":"sha512-x","dev":true},
  "node_modules/runs":{"version":"1.0.0","resolved":"https://registry.npmjs.org/runs/-/runs-1.0.0.tgz","integrity":"sha512-x"},
  "node_modules/tool":{"version":"2.0.0","integrity":"sha512-x","dev":true},
  "node_modules/tool/node_modules/runs":{"version":"0.9.0","integrity":"sha512-x","dev":true},
  "node_modules/other":{"name":"real","version":"3.0.0","integrity":"sha512-x","dev":true}}}`

const cargoLock = `version = 4
[[package]]
name = "libc"
version = "0.2.1"
source = "registry+https://github.com/rust-lang/crates.io-index"
checksum = "00"

[[package]]
name = "hello"
version = "0.1.0"
dependencies = ["libc"]
`

func TestScopesOfAPackageLock(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		scope Scope
		want  []string
	}{
		{"what runs", Runtime, []string{"npm runs 1.0.0"}},
		{"what a module is compiled from", Compiled, []string{"npm @extism/as-pdk 1.0.0", "npm runs 1.0.0"}},
		{"everything", All, []string{"npm @extism/as-pdk 1.0.0", "npm real 3.0.0", "npm runs 0.9.0", "npm runs 1.0.0", "npm tool 2.0.0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if l, err := FromPackageLock([]byte(packageLock), c.scope); err != nil || !slices.Equal(texts(l), c.want) {
				t.Errorf("got %v, %v", l, err)
			}
		})
	}
}

func TestLocksAreRefused(t *testing.T) {
	t.Parallel()
	npm := func(entry string) string {
		return `{"lockfileVersion":3,"packages":{"":{},` + entry + `}}`
	}
	for _, c := range []struct {
		name, lock string
		read       func([]byte) (*List, error)
		want       Reason
	}{
		{"version 1", `{"lockfileVersion":1,"dependencies":{}}`, all, ReasonMalformed},
		{"a key twice", npm(`"":{}`), all, ReasonMalformed},
		{"a link", npm(`"node_modules/a":{"resolved":"packages/a","link":true}`), all, ReasonUnpinned},
		{"a folder", npm(`"packages/a":{"version":"1.0.0","integrity":"x"}`), all, ReasonUnpinned},
		{"git", npm(`"node_modules/a":{"version":"1.0.0","resolved":"git+ssh://git@github.com/a/a.git#0","integrity":"x"}`), all, ReasonUnpinned},
		{"a file", npm(`"node_modules/a":{"version":"1.0.0","resolved":"file:a.tgz","integrity":"x"}`), all, ReasonUnpinned},
		{"no integrity", npm(`"node_modules/a":{"version":"1.0.0"}`), all, ReasonUnpinned},
		{"no version", npm(`"node_modules/a":{"integrity":"x"}`), all, ReasonUnpinned},
		{"an entry that is no object", npm(`"node_modules/a":7`), all, ReasonUnpinned},
		{"too many bytes", strings.Repeat(" ", maxLock+1), all, ReasonSize},
		{"no TOML", "[[package", FromCargoLock, ReasonMalformed},
		{"a crate from git", strings.Replace(cargoLock, "registry+https", "git+https", 1), FromCargoLock, ReasonUnpinned},
		{"a crate from a folder", cargoLock + "\n[[package]]\nname = \"fork\"\nversion = \"1.0.0\"\n", FromCargoLock, ReasonUnpinned},
		{"a crate from another registry", strings.Replace(cargoLock, "rust-lang/crates.io-index", "evil/index", 1), FromCargoLock, ReasonUnpinned},
		{"a large Cargo.lock", strings.Repeat(" ", maxLock+1), FromCargoLock, ReasonSize},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := c.read([]byte(c.lock))
			wantReason(t, l, err, c.want)
		})
	}
}

func all(b []byte) (*List, error) { return FromPackageLock(b, All) }
