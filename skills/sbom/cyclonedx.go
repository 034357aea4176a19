package sbom

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// MaxDocument bounds a CycloneDX document, in bytes.
const MaxDocument = 4 << 20

// noneProperty says in the metadata of a document that its component has no dependencies: a
// list that is empty by mistake looks different.
const noneProperty, noneValue = "glovebox:dependencies", "none-declared"

// Parse reads a CycloneDX JSON document (1.4 to 1.6). Every component, at whatever depth, must
// have a package URL of a known type with a pinned version. A document without components is
// refused with [ReasonNone], unless it says that there are none. A refusal is an *Error.
func Parse(document []byte) (*List, error) { return parse(SourceDocument, document) }

func parse(source string, document []byte) (*List, error) {
	if len(document) > MaxDocument {
		return nil, refuse(ReasonSize, "%s has %d bytes, more than %d", source, len(document), MaxDocument)
	}
	v, err := canon.Parse(document, canon.Limits{Bytes: MaxDocument})
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, What: source, Err: err}
	}
	doc, _ := v.Any().(map[string]any)
	if doc["bomFormat"] != "CycloneDX" || !slices.Contains([]any{"1.4", "1.5", "1.6"}, doc["specVersion"]) {
		return nil, refuse(ReasonMalformed, "%s is no CycloneDX document of version 1.4, 1.5 or 1.6", source)
	}
	packages, refused := components(nil, doc)
	if refused != nil {
		refused.What = source + ": " + refused.What
		return nil, refused
	}
	l, err := newList(source, packages)
	if err != nil {
		return nil, err
	}
	l.None = saysNone(doc)
	switch {
	case l.None && len(l.Packages) > 0:
		return nil, refuse(ReasonConflict, "%s says that there are no dependencies, and lists %d", source, len(l.Packages))
	case !l.None && len(l.Packages) == 0:
		return nil, &Error{
			Reason: ReasonNone, What: source + " lists nothing and does not say that there is nothing",
			Fix: "the author makes it again: glovebox skill build DIR",
		}
	}
	return l, nil
}

// components appends the packages of owner's components. The depth is that of the document,
// which its parser bounds.
func components(packages []Package, owner map[string]any) ([]Package, *Error) {
	raw, ok := owner["components"]
	if !ok {
		return packages, nil
	}
	list, ok := raw.([]any)
	if !ok {
		return nil, refuse(ReasonMalformed, "components is no list")
	}
	for _, entry := range list {
		c, _ := entry.(map[string]any)
		name, _ := c["name"].(string)
		text, ok := c["purl"].(string)
		if !ok {
			return nil, refuse(ReasonMalformed, "component %.80q has no package URL", name)
		}
		p, err := parsePURL(text)
		if err != nil {
			return nil, err
		}
		if v, ok := c["version"]; ok && v != p.Version && v != "v"+p.Version {
			return nil, refuse(ReasonConflict, "component %.80q has the version %.40q, and its package URL %s", name, fmt.Sprint(v), p.Version)
		}
		if packages, err = components(append(packages, p), c); err != nil {
			return nil, err
		}
	}
	return packages, nil
}

func saysNone(doc map[string]any) bool {
	metadata, _ := doc["metadata"].(map[string]any)
	properties, _ := metadata["properties"].([]any)
	return slices.ContainsFunc(properties, func(p any) bool {
		m, _ := p.(map[string]any)
		return m["name"] == noneProperty && m["value"] == noneValue
	})
}

// Subject is what a document is made about.
type Subject struct {
	Name, Version string
	Module        []byte // the built module
	GoVersion     string // of the Go that compiled it, such as "go1.26.8"; empty: unknown, or not Go
	PackageLock   []byte // package-lock.json of its source; nil if none
	CargoLock     []byte // Cargo.lock of its source; nil if none
}

// Generate returns a CycloneDX 1.6 document about a skill; the same subject gives the same
// bytes. If the module itself says what it was built from, that is the list. Otherwise the lock
// files are: the npm packages that AssemblyScript compiles in, the crates of a module without
// .dep-v0. Where there is none of both, as in C, the document says that there is nothing.
func Generate(s Subject) ([]byte, error) {
	list, err := collect(s)
	if err != nil {
		return nil, err
	}
	bom := cyclonedx.NewBOM()
	const ref = "skill"
	bom.Metadata = &cyclonedx.Metadata{Component: &cyclonedx.Component{
		BOMRef: ref, Type: cyclonedx.ComponentTypeApplication, Name: s.Name, Version: s.Version,
	}}
	if len(list.Packages) == 0 {
		bom.Metadata.Properties = &[]cyclonedx.Property{{Name: noneProperty, Value: noneValue}}
	}
	parts, refs := []cyclonedx.Component{}, []string{}
	for _, p := range list.Packages {
		purl := p.purl()
		parts = append(parts, cyclonedx.Component{BOMRef: purl, Type: cyclonedx.ComponentTypeLibrary, Name: p.Name, Version: p.Version, PackageURL: purl})
		refs = append(refs, purl)
	}
	bom.Components, bom.Dependencies = &parts, &[]cyclonedx.Dependency{{Ref: ref, Dependencies: &refs}}
	var out bytes.Buffer
	if err := cyclonedx.NewBOMEncoder(&out, cyclonedx.BOMFileFormatJSON).SetPretty(true).SetEscapeHTML(false).EncodeVersion(bom, cyclonedx.SpecVersion1_6); err != nil {
		return nil, fmt.Errorf("write the list of dependencies: %w", err)
	}
	return out.Bytes(), nil
}

func collect(s Subject) (*List, error) {
	own, err := FromModule(s.Module)
	if err != nil {
		return nil, err
	}
	lists := []*List{own}
	if own == nil && s.PackageLock != nil {
		l, err := FromPackageLock(s.PackageLock, Compiled)
		if err != nil {
			return nil, err
		}
		lists = append(lists, l)
	}
	if own == nil && s.CargoLock != nil {
		l, err := FromCargoLock(s.CargoLock)
		if err != nil {
			return nil, err
		}
		lists = append(lists, l)
	}
	var packages []Package
	for _, l := range lists {
		if l != nil {
			packages = append(packages, l.Packages...)
		}
	}
	if own.IsGo() && s.GoVersion != "" {
		v, err := stdlibVersion(s.GoVersion)
		if err != nil {
			return nil, err
		}
		packages = append(packages, Package{Go, Stdlib, v})
	}
	return newList(SourceDocument, packages)
}
