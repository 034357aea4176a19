package packages

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path"
	"runtime"
	"slices"
	"strings"

	"deps.dev/util/semver"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"golang.org/x/sync/errgroup"
)

// maxResolved bounds the packages of one server.
const maxResolved = 5_000

// fetches is how many answers of a registry are awaited at once.
const fetches = 8

// Resolved is one package in its place.
type Resolved struct {
	Path      string // node_modules/NAME, or below such a one
	Name      string // in the registry; an alias lies under another name
	Version   string
	URL       string
	Integrity string // sha512-BASE64

	needs []need
	dist  json.RawMessage // dist.attestations of the registry's
}

// String returns NAME@VERSION.
func (p Resolved) String() string { return p.Name + "@" + p.Version }

// need is one dependency: under which name, of which package, in which versions.
type need struct {
	name, of, versions string
	optional           bool
}

// resolver lays the tree of a package out: the same answers give the same tree.
//
// Each dependency is looked for as node looks for it, in node_modules of the folders
// above. What is there and fits is taken, else the newest fitting version is laid into
// the topmost folder where the name is free for everybody, which is the root, or into the
// package's own. The dependencies of a package are laid before those of its dependencies,
// so that nothing that was found is covered later.
type resolver struct {
	registry registry
	known    map[string]*packument
	placed   map[string]*Resolved // by path
}

// resolve returns the tree of one exact version, in the order of paths.
func (r registry) resolve(ctx context.Context, name, version string) ([]Resolved, error) {
	s := &resolver{registry: r, known: map[string]*packument{}, placed: map[string]*Resolved{}}
	level := []need{{name: name, of: name, versions: version}}
	if err := s.fetch(ctx, level); err != nil {
		return nil, err
	}
	top, err := s.place("", level[0])
	if err != nil {
		return nil, err
	}
	for wave := []*Resolved{top}; len(wave) > 0; {
		var all []need
		for _, p := range wave {
			all = append(all, p.needs...)
		}
		if err := s.fetch(ctx, all); err != nil {
			return nil, err
		}
		var next []*Resolved
		for _, p := range wave {
			more, err := s.serve(p)
			if err != nil {
				return nil, fmt.Errorf("%s needs: %w", p, err)
			}
			next = append(next, more...)
		}
		wave = next
	}
	var out []Resolved
	for _, at := range slices.Sorted(maps.Keys(s.placed)) {
		out = append(out, *s.placed[at])
	}
	return out, nil
}

// fetch asks the registry about all packages that are needed and not known yet.
func (s *resolver) fetch(ctx context.Context, needs []need) error {
	var names []string
	for _, n := range needs {
		if s.known[n.of] == nil && !slices.Contains(names, n.of) {
			names = append(names, n.of)
		}
	}
	if len(s.known)+len(names) > maxResolved {
		return refuse(reason.Oversize, "", "more than %d packages", maxResolved)
	}
	found := make([]*packument, len(names))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fetches)
	for i, name := range names {
		g.Go(func() (err error) {
			found[i], err = s.registry.packument(ctx, name)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for i, name := range names {
		s.known[name] = found[i]
	}
	return nil
}

// serve lays what p needs and returns what is new.
func (s *resolver) serve(p *Resolved) ([]*Resolved, error) {
	var added []*Resolved
	for _, n := range p.needs {
		found, ok := s.visible(p.Path, n.name)
		if ok && found.Name == n.of && fits(s.known[n.of], n.versions, found.Version) {
			continue
		}
		at := p.Path
		if !ok {
			at = ""
		}
		q, err := s.place(at, n)
		if err != nil {
			return nil, err
		}
		if q != nil {
			added = append(added, q)
		}
	}
	return added, nil
}

// visible finds a package as node does from a file of the package at from.
func (s *resolver) visible(from, name string) (*Resolved, bool) {
	for dir := from; ; dir = path.Dir(dir) {
		if dir == "." {
			dir = ""
		}
		if p, ok := s.placed[path.Join(dir, "node_modules", name)]; ok && path.Base(dir) != "node_modules" {
			return p, true
		}
		if dir == "" {
			return nil, false
		}
	}
}

// place lays a package into the folder of the package at parent. It returns nil for one
// that is optional and not for this system.
func (s *resolver) place(parent string, n need) (*Resolved, error) {
	m, err := s.pick(n)
	if err != nil {
		return nil, err
	}
	if !m.runs() {
		if n.optional {
			return nil, nil
		}
		return nil, refuse(reason.Lock, "", "%s@%s is not for %s on %s", m.Name, m.Version, runtime.GOOS, runtime.GOARCH)
	}
	if bundled := string(m.Bundled) + string(m.BundledOld); strings.ContainsAny(bundled, `"t`) { // a list with a name, or true
		return nil, refuse(reason.Lock, "", "%s@%s brings packages along that no registry names", m.Name, m.Version)
	}
	p := &Resolved{Path: path.Join(parent, "node_modules", n.name), Name: m.Name, Version: m.Version, dist: m.Dist.Attestations}
	if p.URL, p.Integrity, err = s.registry.source(m); err != nil {
		return nil, err
	}
	if p.needs, err = m.needs(); err != nil {
		return nil, err
	}
	if len(s.placed) == maxResolved || len(p.Path) > maxPath {
		return nil, refuse(reason.Oversize, "", "more than %d packages, or one within another too often", maxResolved)
	}
	s.placed[p.Path] = p
	return p, nil
}

// pick chooses the version: the one that the registry calls the latest where it fits, else
// the newest that does.
func (s *resolver) pick(n need) (*manifest, error) {
	p := s.known[n.of]
	best := ""
	for v := range p.Versions {
		if validVersion(v) && fits(p, n.versions, v) && (best == "" || semver.NPM.Compare(v, best) > 0 || semver.NPM.Compare(v, best) == 0 && v > best) {
			best = v
		}
	}
	if latest := p.Tags["latest"]; best != "" && p.Versions[latest] != nil && validVersion(latest) && fits(p, n.versions, latest) {
		best = latest
	}
	if best == "" {
		return nil, refuse(reason.Unknown, "", "the registry has no version %.80q of package %s", n.versions, n.of)
	}
	return p.manifest(best)
}

// fits reports whether a version is one of those that are asked for.
func fits(p *packument, versions, v string) bool {
	if validVersion(versions) { // no tag may stand for another one
		return versions == v
	}
	c, err := semver.NPM.ParseConstraint(versions)
	if err != nil {
		return p.Tags[versions] == v
	}
	return c.Match(v)
}

// needs lists what m depends on, by name. What others must bring along is a dependency
// like any other here.
func (m *manifest) needs() ([]need, error) {
	all := map[string]need{}
	for _, group := range []struct {
		list           map[string]string
		optional, peer bool
	}{{m.Peers, false, true}, {m.Dependencies, false, false}, {m.Optional, true, false}} {
		for name, text := range group.list {
			if group.peer && m.PeersMeta[name].Optional {
				continue
			}
			n, err := readNeed(name, text)
			if err != nil {
				return nil, fmt.Errorf("%s@%s needs: %w", m.Name, m.Version, err)
			}
			n.optional = group.optional
			all[name] = n
		}
	}
	var out []need
	for _, name := range slices.Sorted(maps.Keys(all)) {
		out = append(out, all[name])
	}
	return out, nil
}

// readNeed reads one dependency. Whatever is no range of versions in the registry, such
// as git, a folder or an address, is refused.
func readNeed(name, text string) (need, error) {
	n := need{name: name, of: name, versions: strings.TrimSpace(text)}
	if rest, ok := strings.CutPrefix(n.versions, "npm:"); ok {
		n.of, n.versions = rest, ""
		if at := strings.LastIndex(rest, "@"); at > 0 {
			n.of, n.versions = rest[:at], rest[at+1:]
		}
	}
	if n.versions == "" || n.versions == "*" {
		n.versions = ">=0.0.0"
	}
	if !validName(name) || !validName(n.of) {
		return n, refuse(reason.Lock, "", "%.80q is no name of a package", name)
	}
	if len(text) > 512 || strings.ContainsAny(n.versions, ":/#@\\") {
		return n, refuse(reason.Lock, "", "%q comes from no registry (%.120q)", name, text)
	}
	return n, nil
}

// runs reports whether m is for this system.
func (m *manifest) runs() bool {
	system := map[string]string{"windows": "win32"}[runtime.GOOS]
	if system == "" {
		system = runtime.GOOS
	}
	cpu := map[string]string{"amd64": "x64", "386": "ia32"}[runtime.GOARCH]
	if cpu == "" {
		cpu = runtime.GOARCH
	}
	return m.OS.admit(system) && m.CPU.admit(cpu)
}

// admit reads a list of names, or of names that are excluded with "!".
func (w words) admit(name string) bool {
	named := len(w) == 0
	for _, word := range w {
		if not, ok := strings.CutPrefix(word, "!"); ok {
			if not == name {
				return false
			}
			named = named || !slices.ContainsFunc(w, func(o string) bool { return !strings.HasPrefix(o, "!") })
			continue
		}
		named = named || word == name || word == "any"
	}
	return named
}
