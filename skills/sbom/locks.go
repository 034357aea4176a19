package sbom

import (
	"fmt"
	"go/version"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// maxLock bounds a lock file, in bytes.
const maxLock = 16 << 20

// stdlibVersion turns "go1.26.8" and "go1.27rc1" into what OSV writes, "1.26.8" and
// "1.27.0-rc.1".
func stdlibVersion(v string) (string, *Error) {
	m := regexp.MustCompile(`^go(\d+\.\d+)(?:\.(\d+))?(?:(rc|beta)(\d+))?$`).FindStringSubmatch(v)
	if m == nil || !version.IsValid(v) {
		return "", refuse(ReasonUnpinned, "%.40q is no release of Go", v)
	}
	out := m[1] + "."
	if m[2] == "" {
		m[2] = "0"
	}
	if out += m[2]; m[3] != "" {
		out += "-" + m[3] + "." + m[4]
	}
	return out, nil
}

// Scope says which packages of a lock file count.
type Scope int

// The scopes. Everything that installs counts for a server that runs from node_modules. What
// AssemblyScript compiles into a module are the runtime dependencies and those packages, mostly
// "dev" ones, that the skill itself names: its PDK, and the standard library of the compiler.
// What those need in turn (binaryen) runs at build time only.
const (
	Runtime Scope = iota
	Compiled
	All
)

// FromPackageLock reads npm's package-lock.json, versions 2 and 3. Links, folders, git and
// other addresses than an HTTPS registry are refused, for no advisory names them.
func FromPackageLock(lock []byte, scope Scope) (*List, error) {
	if len(lock) > maxLock {
		return nil, refuse(ReasonSize, "%s has %d bytes, more than %d", SourceNPMLock, len(lock), maxLock)
	}
	v, err := canon.Parse(lock, canon.Limits{Bytes: maxLock})
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, What: SourceNPMLock, Err: err}
	}
	doc, _ := v.Any().(map[string]any)
	entries, ok := doc["packages"].(map[string]any)
	if n := fmt.Sprint(doc["lockfileVersion"]); !ok || n != "2" && n != "3" {
		return nil, &Error{
			Reason: ReasonMalformed, What: SourceNPMLock + " is not of version 2 or 3", Fix: "write it with npm 7 or newer: npm install --package-lock-only",
		}
	}
	root, _ := entries[""].(map[string]any)
	var packages []Package
	for path, raw := range entries {
		e, _ := raw.(map[string]any)
		if path == "" || !counts(e, path, root, scope) {
			continue
		}
		p, err := lockEntry(path, e)
		if err != nil {
			return nil, err
		}
		packages = append(packages, p)
	}
	return newList(SourceNPMLock, packages)
}

// counts reports whether scope wants the entry.
func counts(e map[string]any, path string, root map[string]any, scope Scope) bool {
	if e["dev"] != true || scope == All {
		return true
	}
	name, top := strings.CutPrefix(path, "node_modules/")
	direct, _ := root["devDependencies"].(map[string]any)
	_, named := direct[name]
	return scope == Compiled && top && named
}

func lockEntry(path string, e map[string]any) (Package, *Error) {
	i := strings.LastIndex(path, "node_modules/")
	name, aliased := e["name"].(string)
	if !aliased && i >= 0 {
		name = path[i+len("node_modules/"):]
	}
	resolved, _ := e["resolved"].(string)
	if i < 0 || e["link"] == true || resolved != "" && !strings.HasPrefix(resolved, "https://") && !strings.HasPrefix(resolved, "http://") {
		return Package{}, &Error{
			Reason: ReasonUnpinned, What: fmt.Sprintf("%s: %.80q comes from no registry (%.80q)", SourceNPMLock, path, resolved),
			Fix: "depend on a version that is published in a registry",
		}
	}
	if e["integrity"] == nil && e["inBundle"] != true {
		return Package{}, refuse(ReasonUnpinned, "%s: %.80q has no integrity", SourceNPMLock, path)
	}
	v, _ := e["version"].(string)
	return Package{NPM, name, v}, nil
}

// FromCargoLock reads Cargo.lock. It does not tell what is linked from what is built or tested
// with; all of it counts. One package without a source is the skill itself.
func FromCargoLock(lock []byte) (*List, error) {
	if len(lock) > maxLock {
		return nil, refuse(ReasonSize, "%s has %d bytes, more than %d", SourceCargoLock, len(lock), maxLock)
	}
	var doc struct {
		Package []struct{ Name, Version, Source string }
	}
	if _, err := toml.Decode(string(lock), &doc); err != nil {
		return nil, &Error{Reason: ReasonMalformed, What: SourceCargoLock, Err: err}
	}
	var packages []Package
	var own []string
	for _, p := range doc.Package {
		switch {
		case p.Source == "":
			own = append(own, p.Name)
		case slices.Contains([]string{"registry+https://github.com/rust-lang/crates.io-index", "sparse+https://index.crates.io/"}, p.Source):
			packages = append(packages, Package{Crates, p.Name, p.Version})
		default:
			return nil, refuse(ReasonUnpinned, "%s: crate %.80q comes from %.80q, which is not crates.io", SourceCargoLock, p.Name, p.Source)
		}
	}
	if len(own) != 1 {
		return nil, refuse(ReasonUnpinned, "%s has %d packages without a source (%.200q), and only one can be the skill", SourceCargoLock, len(own), own)
	}
	return newList(SourceCargoLock, packages)
}
