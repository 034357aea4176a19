package skills

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// dependencies returns the bytes of sbom.cdx.json. A list that lies beside a module which
// was built elsewhere, and no lock file, is its author's: it is taken if it agrees with the
// module. Any other is made anew.
func dependencies(ctx context.Context, src *Source, raw []byte, o BuildOptions, run Toolchain) ([]byte, error) {
	own, err := sbom.FromModule(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", src.Manifest.Module, err)
	}
	s := sbom.Subject{Name: string(src.Manifest.Name), Version: src.Manifest.Version, Module: raw}
	if s.PackageLock, err = optional(src.Dir, sbom.SourceNPMLock); err != nil {
		return nil, err
	}
	if s.CargoLock, err = optional(src.Dir, sbom.SourceCargoLock); err != nil {
		return nil, err
	}
	if o.UseModule && s.PackageLock == nil && s.CargoLock == nil {
		if doc, err := given(src.Dir, own); doc != nil || err != nil {
			return doc, err
		}
	}
	if own.IsGo() {
		s.GoVersion = goVersion(ctx, src.Dir, raw, o, run)
	}
	doc, err := sbom.Generate(s)
	if err != nil {
		return nil, fmt.Errorf("skill %q: %w", src.Manifest.Name, err)
	}
	return doc, nil
}

// given returns the list that lies in dir, if it agrees with the module, or nil.
func given(dir string, own *sbom.List) ([]byte, error) {
	doc, err := optional(dir, SBOMFile)
	if doc == nil || err != nil {
		return nil, err
	}
	l, err := sbom.Parse(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", SBOMFile, err)
	}
	if sbom.Agree(own, l) != nil {
		return nil, nil
	}
	return doc, nil
}

// optional reads a file that may be there, or returns nil.
func optional(dir, name string) ([]byte, error) {
	data, err := readFile(dir, name, MaxFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return data, err
}

// goVersion asks the go command that compiled the module for its version, which modinfo does
// not hold. The module holds it too, somewhere among its texts: a version that it does not
// hold is not its, and unknown is the answer, "".
func goVersion(ctx context.Context, dir string, raw []byte, o BuildOptions, run Toolchain) string {
	program, err := lookup(tools[Go][0].program, o.Env)
	if err != nil {
		return ""
	}
	var out bytes.Buffer
	if err := run(ctx, dir, []string{program, "env", "GOVERSION"}, slices.Clone(o.Env), &out); err != nil {
		return ""
	}
	v := strings.TrimSpace(out.String())
	if v == "" || !bytes.Contains(raw, []byte(v)) {
		return ""
	}
	return v
}

// unknownGo warns of a Go module whose standard library has no version in the list: a host
// that looks for advisories refuses it.
func unknownGo(raw []byte, l *sbom.List) []string {
	own, err := sbom.FromModule(raw)
	if err != nil || sbom.Agree(own, l) == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s does not say which Go compiled the module, and hosts will refuse it: build without --prebuilt", SBOMFile)}
}

// Dependencies returns what the bundle's module says about itself, nil if nothing, and what
// sbom.cdx.json says. The error is a *sbom.Error if one of both is refused, or if they
// disagree; the lists that could be read are returned with it.
func (b *Bundle) Dependencies() (module, document *sbom.List, err error) {
	blob, err := b.Read()
	if err != nil {
		return nil, nil, err
	}
	if module, err = sbom.FromModule(blob.Bytes()); err != nil {
		return nil, nil, err
	}
	text, err := b.ReadFile(SBOMFile)
	switch {
	case err == nil:
		if document, err = sbom.Parse(text); err != nil {
			return module, nil, err
		}
	case !errors.Is(err, fs.ErrNotExist):
		return module, nil, err
	}
	return module, document, sbom.Agree(module, document)
}
