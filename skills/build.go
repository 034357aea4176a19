package skills

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/internal/durable"
	"github.com/glovebox-dev/glovebox/skills/sbom"
)

// BuildOptions say how a skill is built.
type BuildOptions struct {
	UseModule bool      // take the module that lies in the folder: compile nothing
	Env       []string  // environment of the compiler; its PATH is searched for it
	Out       io.Writer // what the compiler prints; nil discards it

	sources string // folder of the Go sources, if not the skill's
}

// Built is the result of Build.
type Built struct {
	Bundle   *Bundle
	Language Language // empty when the module was taken as it was
	Report   *module.Report
	Packages *sbom.List // what the module was built from
	Warnings []string   // what works but is stricter or weaker than the author may think
}

// Build compiles the skill in dir, asks its module for the tools, holds them against
// skill.yaml, lists what it was built from in sbom.cdx.json and writes skill.manifest.json
// last, in one step. The same source gives the same bytes wherever the compiler does.
func Build(ctx context.Context, dir string, o BuildOptions, l Lister, t Toolchain) (*Built, error) {
	src, err := OpenSource(dir)
	if err != nil {
		return nil, err
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	built := &Built{}
	if !o.UseModule {
		if built.Language, err = compileSource(ctx, src, o, t); err != nil {
			return nil, err
		}
	}
	raw, err := readFile(src.Dir, src.Manifest.Module, MaxModule)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &Error{Err: ErrNotBuilt, What: fmt.Sprintf("skill %q has no %s", src.Manifest.Name, src.Manifest.Module),
			Hint: fmt.Sprintf("build it: glovebox skill build %s", src.Dir)}
	}
	if err != nil {
		return nil, fmt.Errorf("skill %q: %w", src.Manifest.Name, err)
	}
	if built.Report, err = examine(src.Manifest, raw); err != nil {
		return nil, err
	}
	parts, err := dependencies(ctx, src, raw, o, t)
	if err != nil {
		return nil, err
	}
	compiled, err := compileManifest(ctx, src, raw, parts, l)
	if err != nil {
		return nil, err
	}
	text, err := abi.EncodeCompiled(compiled)
	if err != nil {
		return nil, fmt.Errorf("%s does not fit the module: %w", filepath.Join(src.Dir, SourceFile), err)
	}
	if err := errors.Join(durable.ReplaceBytes(filepath.Join(src.Dir, SBOMFile), 0o644, parts), durable.ReplaceBytes(filepath.Join(src.Dir, ManifestFile), 0o644, text)); err != nil {
		return nil, fmt.Errorf("skill %q: write the manifest: %w", src.Manifest.Name, err)
	}
	if built.Packages, err = sbom.Parse(parts); err != nil {
		return nil, err
	}
	built.Warnings = append(warnings(compiled, built.Report), unknownGo(raw, built.Packages)...)
	built.Bundle, err = Open(src.Dir)
	return built, err
}

// examine scans the module and holds its shape against the profile that the author
// names.
func examine(m *abi.Manifest, raw []byte) (*module.Report, error) {
	report, err := module.Scan(raw, module.DefaultLimits())
	if err != nil {
		return nil, fmt.Errorf("%s: %w", m.Module, err)
	}
	profile, err := report.Profile()
	switch {
	case m.ABI == abi.ProfileRaw:
		// The manifest names the exports, whatever else the module looks like.
	case err != nil:
		return nil, fmt.Errorf("%s: %w", m.Module, err)
	case profile != m.ABI:
		return nil, &Error{
			What: fmt.Sprintf("%s looks like %s, and %s says abi: %s", m.Module, profile, SourceFile, m.ABI),
			Hint: fmt.Sprintf("set \"abi: %s\" in %s, or export what %s wants", profile, SourceFile, m.ABI),
		}
	}
	return report, nil
}

// compileManifest asks the module for its tools and lists the files of the bundle.
func compileManifest(ctx context.Context, src *Source, raw, parts []byte, l Lister) (*abi.Compiled, error) {
	m := src.Manifest
	built := abi.NewBlob(raw)
	limits, err := requestedLimits(m)
	if err != nil {
		return nil, err
	}
	tools, err := l.ListTools(ctx, Module{
		Digest: built.Digest(), Profile: m.ABI,
		Read: func() (abi.Blob, error) { return built, nil },
	}, limits)
	if err != nil {
		return nil, fmt.Errorf("ask %s for its tools: %w", m.Module, err)
	}
	if len(tools) == 0 {
		return nil, &Error{What: fmt.Sprintf("%s lists no tools", m.Module), Hint: "register at least one tool in the skill's source"}
	}
	files, err := bundleFiles(src.Dir)
	if err != nil {
		return nil, fmt.Errorf("skill %q: %w", m.Name, err)
	}
	files = append(files, abi.File{Name: SBOMFile, Digest: abi.DigestOf(parts), Size: int64(len(parts))})
	return &abi.Compiled{
		Schema: abi.SchemaManifest, Manifest: *m,
		Module: built.Digest(), ModuleSize: int64(len(raw)), Tools: tools, Files: files,
	}, nil
}

// testAgent is the agent of builds and tests; no grant of an operator names it.
const testAgent abi.AgentID = "skill-test"

// requestedLimits returns the limits that a grant of the whole request gives.
func requestedLimits(m *abi.Manifest) (abi.Limits, error) {
	r, err := requestedRights(m, m.AsGrant(), "")
	return r.Limits, err
}

func requestedRights(m *abi.Manifest, g *abi.Grant, digest abi.Digest) (abi.Rights, error) {
	g.Agents = []abi.AgentID{testAgent}
	r, _, err := abi.Effective(m, g, abi.GlobalPolicy{}, testAgent, abi.Proof{Digest: digest}, time.Now())
	return r, err
}

// bundled are the files beside the module that belong to a bundle as the author wrote
// them; source, tests and README stay with the author.
func bundled(name string) bool {
	top, _, deeper := strings.Cut(name, "/")
	if deeper {
		return top == "references" || top == "assets"
	}
	return name == SourceFile || name == "SKILL.md" || name == "LICENSE" || name == "NOTICE"
}

// maxFiles bounds the files of a bundle.
const maxFiles = 1000

func bundleFiles(dir string) ([]abi.File, error) {
	var files []abi.File
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(rel)
		if d.IsDir() {
			if name == "." || bundled(name+"/x") {
				return nil
			}
			return fs.SkipDir
		}
		if !bundled(name) {
			return nil
		}
		if len(files) == maxFiles {
			return fmt.Errorf("more than %d files in references and assets", maxFiles)
		}
		data, err := readFile(dir, name, MaxFile)
		if err != nil {
			return err
		}
		files = append(files, abi.File{Name: name, Digest: abi.DigestOf(data), Size: int64(len(data))})
		return nil
	})
	return files, err
}

// warnings tells what an author should know about a manifest that is in order.
func warnings(c *abi.Compiled, r *module.Report) []string {
	var out []string
	for _, t := range c.Tools {
		if !slices.ContainsFunc(c.Manifest.Tools, func(d abi.Descriptor) bool { return d.Name == t.Name }) {
			out = append(out, fmt.Sprintf("tool %q has no descriptor in %s: every call will ask a person", t.Name, SourceFile))
		}
		if t.Description == "" {
			out = append(out, fmt.Sprintf("tool %q has no description: a model cannot tell when to use it", t.Name))
		}
	}
	can := r.Capabilities()
	for _, need := range needed(&c.Manifest) {
		if need != "secrets" && !slices.Contains(can, need) {
			out = append(out, fmt.Sprintf("needs.%s is asked for, and the module imports nothing that uses it", need))
		}
	}
	for _, cap := range can {
		if cap != "wasi" && cap != "user" && !slices.Contains(needed(&c.Manifest), cap) {
			out = append(out, fmt.Sprintf("the module imports functions of %s, and needs.%s is not asked for: they will be denied", cap, cap))
		}
	}
	return out
}

// needed lists the capabilities that a manifest asks for.
func needed(m *abi.Manifest) []string {
	var out []string
	for name, asked := range map[string]bool{
		"files": len(m.Needs.Files) > 0, "http": len(m.Needs.HTTP) > 0, "secrets": len(m.Needs.Secrets) > 0,
		"kv": m.Needs.KV != nil, "human": m.Needs.Human != nil && m.Needs.Human.Ask,
	} {
		if asked {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
