package sbom

import (
	"bytes"
	"compress/zlib"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/glovebox-dev/glovebox/internal/canon"
)

const (
	maxModule   = 32 << 20
	maxModInfo  = 1 << 20
	maxInflated = 8 << 20 // of .dep-v0, as cargo-audit has it
)

// FromModule returns what a core module itself says: the modinfo that the go command leaves in
// the data section, the custom section .dep-v0 of cargo-auditable, or a CycloneDX document in
// the custom section sbom.cyclonedx. It returns nil if the module says nothing. Several lists
// in one module must agree. A refusal is an *Error.
func FromModule(wasm []byte) (*List, error) {
	if len(wasm) > maxModule {
		return nil, refuse(ReasonSize, "the module has %d bytes, more than %d", len(wasm), maxModule)
	}
	raw, err := parts(wasm)
	if err != nil {
		return nil, err
	}
	var found *List
	for _, kind := range []struct {
		source string
		read   func([]byte) (*List, error)
	}{{SourceGo, fromModInfo}, {SourceRust, fromDepV0}, {SourceSection, parseSection}} {
		body, ok := raw[kind.source]
		if !ok {
			continue
		}
		l, err := kind.read(body)
		if err != nil {
			return nil, err
		}
		if found == nil {
			found = l
			continue
		}
		if kind.source == SourceSection {
			if err := Agree(found, l); err != nil {
				return nil, err
			}
		}
		if found, err = newList(found.Source+" and "+l.Source, append(found.Packages, l.Packages...)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func parseSection(b []byte) (*List, error) { return parse(SourceSection, b) }

// goMarks are what the go command puts around modinfo (cmd/go/internal/modload).
func goMarks() (begin, end []byte) {
	return []byte("\x30\x77\xaf\x0c\x92\x74\x08\x02\x41\xe1\xc1\x07\xe6\xd6\x18\xe6"),
		[]byte("\xf9\x32\x43\x31\x86\x18\x20\x72\x00\x82\x42\x10\x41\x16\xd8\xf2")
}

// parts finds the bytes of each list by their source. Two of one kind are refused: readers
// would choose differently.
func parts(wasm []byte) (map[string][]byte, error) {
	malformed := refuse(ReasonMalformed, "the module is no WebAssembly core module, or breaks off")
	rest, ok := bytes.CutPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00"))
	if !ok {
		return nil, malformed
	}
	found := map[string][]byte{}
	add := func(source string, b []byte) error {
		if _, twice := found[source]; twice {
			return refuse(ReasonMalformed, "the module has two lists of the kind %s", source)
		}
		found[source] = b
		return nil
	}
	for len(rest) > 0 {
		id := rest[0]
		var body []byte
		if body, rest, ok = block(rest[1:]); !ok {
			return nil, malformed
		}
		var err error
		switch id {
		case 0: // custom
			name, content, ok := block(body)
			if !ok {
				return nil, malformed
			}
			if s := string(name); s == SourceRust || s == SourceSection {
				err = add(s, content)
			}
		case 11: // data
			err = modInfo(body, add)
		}
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// block splits off bytes that their length precedes, an unsigned LEB128 of 32 bits.
func block(b []byte) (body, rest []byte, ok bool) {
	var n uint64
	for i := 0; i < 5 && i < len(b); i++ {
		n |= uint64(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			b = b[i+1:]
			if n > uint64(len(b)) {
				return nil, nil, false
			}
			return b[:n], b[n:], true
		}
	}
	return nil, nil, false
}

// modInfo finds modinfo in a data section. It is text, so that no linker splits it at zeros.
func modInfo(data []byte, add func(string, []byte) error) error {
	begin, end := goMarks()
	for {
		_, after, ok := bytes.Cut(data, begin)
		if !ok {
			return nil
		}
		text, rest, ok := bytes.Cut(after, end)
		if !ok {
			return refuse(ReasonMalformed, "%s begins and does not end", SourceGo)
		}
		if err := add(SourceGo, text); err != nil {
			return err
		}
		data = rest
	}
}

// sdk is the module whose source "skill new" copies into the folder of a Go skill.
const sdk = "github.com/glovebox-dev/glovebox"

func fromModInfo(text []byte) (*List, error) {
	if len(text) > maxModInfo {
		return nil, refuse(ReasonSize, "%s has %d bytes, more than %d", SourceGo, len(text), maxModInfo)
	}
	info, err := debug.ParseBuildInfo(string(text))
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, What: SourceGo + " cannot be read", Err: err}
	}
	packages, err := modules(info)
	if err != nil {
		return nil, err
	}
	return newList(SourceGo, packages)
}

// modules are the dependencies that info names.
func modules(info *debug.BuildInfo) ([]Package, error) {
	seen := map[string]bool{}
	var packages []Package
	for _, m := range info.Deps {
		if seen[m.Path] {
			return nil, refuse(ReasonMalformed, "%s lists %.80q twice", SourceGo, m.Path)
		}
		seen[m.Path] = true
		used := m
		if m.Replace != nil && m.Path != sdk {
			used = m.Replace
		}
		if local := used.Version == "" || used.Version == "(devel)"; local && used != m {
			return nil, &Error{
				Reason: ReasonUnpinned,
				What:   fmt.Sprintf("Go module %.80q is replaced by the folder %.80q, which has no version", m.Path, used.Path),
				Fix:    "require the version itself, or replace it by a module with a version",
			}
		}
		packages = append(packages, Package{Go, used.Path, strings.TrimPrefix(used.Version, "v")})
	}
	return packages, nil
}

// fromDepV0 reads what cargo-auditable writes; its format is documented in PARSING.md there.
func fromDepV0(b []byte) (*List, error) {
	z, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, &Error{Reason: ReasonMalformed, What: SourceRust + " is not compressed by zlib", Err: err}
	}
	text, err := io.ReadAll(io.LimitReader(z, maxInflated+1))
	if err = errors.Join(err, z.Close()); err != nil {
		return nil, &Error{Reason: ReasonMalformed, What: SourceRust + " cannot be inflated", Err: err}
	}
	if len(text) > maxInflated {
		return nil, refuse(ReasonSize, "%s inflates to more than %d bytes", SourceRust, maxInflated)
	}
	if _, err := canon.Parse(text, canon.Limits{Bytes: maxInflated}); err != nil { // what is there twice
		return nil, &Error{Reason: ReasonMalformed, What: SourceRust, Err: err}
	}
	var doc struct {
		Packages []struct {
			Name, Version, Source, Kind string
			Root                        bool
		}
	}
	if err := json.Unmarshal(text, &doc); err != nil {
		return nil, &Error{Reason: ReasonMalformed, What: SourceRust, Err: err}
	}
	if doc.Packages == nil {
		return nil, refuse(ReasonMalformed, "%s has no packages", SourceRust)
	}
	var packages []Package
	for _, p := range doc.Packages {
		switch {
		case p.Root, p.Kind == "build": // what ran at build time is not in the module
		case p.Source != "crates.io":
			return nil, &Error{
				Reason: ReasonUnpinned,
				What:   fmt.Sprintf("crate %.80q comes from %.40q, which has no versions of crates.io", p.Name, p.Source),
				Fix:    "take the crate from crates.io",
			}
		default:
			packages = append(packages, Package{Crates, p.Name, p.Version})
		}
	}
	return newList(SourceRust, packages)
}
