package skills

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// Inspection is what can be told about a skill or a bare module without running it.
type Inspection struct {
	File         string         `json:"file"`
	Digest       abi.Digest     `json:"digest"` // of the module
	Size         int64          `json:"size"`   // of the module, in bytes
	Profile      abi.Profile    `json:"profile,omitempty"`
	Refused      string         `json:"refused,omitempty"` // why no host would run the module
	Capabilities []string       `json:"capabilities"`      // what the imports can reach at most
	Module       *module.Report `json:"module,omitempty"`
	Skill        *SkillFacts    `json:"skill,omitempty"` // of a built skill
	Warnings     []string       `json:"warnings,omitempty"`
}

// SkillFacts is what the manifest of a built skill adds.
type SkillFacts struct {
	Name        abi.SkillName `json:"name"`
	Version     string        `json:"version"`
	Description string        `json:"description"`
	Manifest    abi.Digest    `json:"manifest"` // digest of skill.manifest.json, to pin a grant to
	Tools       []ToolFacts   `json:"tools"`
	Needs       abi.Needs     `json:"needs"`
	Limits      abi.Limits    `json:"limits"` // when everything that is asked for is granted
}

// ToolFacts is one tool with what its descriptor says.
type ToolFacts struct {
	Name        abi.ToolName `json:"name"`
	Description string       `json:"description"`
	Effect      abi.Effect   `json:"effect"`
	Class       abi.Class    `json:"class"`
	Recipients  []string     `json:"recipients,omitempty"`
}

// Inspect looks at a module file or at the folder of a built skill. A module that is
// refused is a result, not an error.
func Inspect(path string) (*Inspection, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	if info.IsDir() {
		b, err := Open(path)
		if err != nil {
			return nil, err
		}
		return InspectBundle(b)
	}
	if info.Size() > MaxModule {
		return &Inspection{File: path, Size: info.Size(), Capabilities: []string{}, Refused: refusalText(&module.Refusal{
			Rule: module.RuleSize, Func: module.NoFunc, Got: info.Size(), Limit: MaxModule, Detail: "too many bytes",
		})}, nil
	}
	file, err := filepath.EvalSymlinks(path) // a link that the person names is meant
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	raw, err := readFile(filepath.Dir(file), filepath.Base(file), MaxModule)
	if err != nil {
		return nil, fmt.Errorf("inspect: %w", err)
	}
	return inspectModule(path, abi.NewBlob(raw)), nil
}

// InspectBundle looks at a built skill.
func InspectBundle(b *Bundle) (*Inspection, error) {
	blob, err := b.Read()
	if err != nil {
		return nil, err
	}
	m := &b.Manifest.Manifest
	i := inspectModule(filepath.Join(b.Dir, m.Module), blob)
	if i.Profile != m.ABI && i.Refused == "" && m.ABI != abi.ProfileRaw {
		i.Warnings = append(i.Warnings, fmt.Sprintf("the manifest says %s", m.ABI))
	}
	i.Profile = m.ABI
	limits, err := requestedLimits(m)
	if err != nil {
		return nil, err
	}
	i.Skill = &SkillFacts{Name: m.Name, Version: m.Version, Description: m.Description, Manifest: b.Digest, Needs: m.Needs, Limits: limits}
	for _, t := range b.Manifest.Tools {
		d := b.Descriptor(t.Name)
		i.Skill.Tools = append(i.Skill.Tools, ToolFacts{t.Name, t.Description, d.Effect, d.Effect.Class(), d.Recipients})
	}
	if i.Module != nil {
		i.Warnings = append(i.Warnings, warnings(b.Manifest, i.Module)...)
	}
	return i, nil
}

func inspectModule(file string, blob abi.Blob) *Inspection {
	raw := blob.Bytes()
	i := &Inspection{File: file, Digest: blob.Digest(), Size: int64(len(raw)), Capabilities: []string{}}
	report, err := module.Scan(raw, module.DefaultLimits())
	if err != nil {
		i.Refused = refusalText(err)
		return i
	}
	i.Module = report
	i.Capabilities = append(i.Capabilities, report.Capabilities()...)
	if i.Profile, err = report.Profile(); err != nil {
		i.Refused = refusalText(err)
	}
	i.Warnings = moduleWarnings(report)
	return i
}

func refusalText(err error) string {
	var r *module.Refusal
	if errors.As(err, &r) {
		return r.Error()
	}
	return err.Error()
}

// known are the namespaces that this host offers functions in.
var known = []string{abi.NamespaceEnv, abi.NamespaceUser, abi.NamespaceHost, "wasi_snapshot_preview1"}

func moduleWarnings(r *module.Report) []string {
	var out []string
	foreign := map[string]bool{}
	for _, i := range r.Imports {
		if !slices.Contains(known, i.Module) && !foreign[i.Module] {
			foreign[i.Module] = true
			out = append(out, fmt.Sprintf("imports from %q, which this host does not offer: a call of such a function traps", i.Module))
		}
	}
	if r.HasStart {
		out = append(out, "has a start section: it runs before each call, without any capability")
	}
	debug := 0
	for name, size := range r.Customs {
		if name != "name" && name != "producers" && name != "target_features" {
			debug += size
		}
	}
	if debug > r.Size/4 {
		out = append(out, fmt.Sprintf("%d%% of the file are custom sections such as debug information: strip them", 100*debug/r.Size))
	}
	return out
}

// String returns the inspection as text for people.
func (i *Inspection) String() string {
	var b strings.Builder
	if s := i.Skill; s != nil {
		fmt.Fprintf(&b, "%s %s — %s\n", s.Name, s.Version, s.Description)
	}
	fmt.Fprintf(&b, "file      %s\n          %s, %s\n", i.File, bytesText(i.Size), i.Digest)
	if i.Refused != "" {
		fmt.Fprintf(&b, "refused   %s\n", i.Refused)
	}
	if i.Profile != "" {
		fmt.Fprintf(&b, "profile   %s\n", i.Profile)
	}
	fmt.Fprintf(&b, "can use   %s\n", orNone(i.Capabilities))
	if i.Skill != nil {
		i.Skill.write(&b)
	}
	if m := i.Module; m != nil {
		fmt.Fprintf(&b, "memory    %s at start", bytesText(int64(m.MemoryMin)<<16))
		if m.MemoryMax > 0 {
			fmt.Fprintf(&b, ", %s declared at most", bytesText(int64(m.MemoryMax)<<16))
		}
		fmt.Fprintf(&b, "\nshape     %d functions, %d imports, %d exports, %d tables (%d entries), most locals %d, largest body %s\n",
			m.Funcs, len(m.Imports), len(m.Exports), m.Tables, m.TableMin, m.MaxLocals, bytesText(int64(m.MaxBody)))
		writeImports(&b, m)
	}
	for _, w := range i.Warnings {
		fmt.Fprintf(&b, "warning   %s\n", w)
	}
	return b.String()
}

func (s *SkillFacts) write(b *strings.Builder) {
	fmt.Fprintf(b, "asks for  %s\n", strings.Join(needTexts(s.Needs), "\n          "))
	for n, t := range s.Tools {
		head := "tools    "
		if n > 0 {
			head = "         "
		}
		fmt.Fprintf(b, "%s %s (%s): %s\n", head, t.Name, t.Class, firstSentence(t.Description))
	}
	l := s.Limits
	fmt.Fprintf(b, "limits    %v, %s memory, %s input, %s output, %d HTTP calls\n",
		l.Wall.Round(time.Millisecond), bytesText(l.Memory), bytesText(l.Input), bytesText(l.Output), l.HTTPCalls)
	fmt.Fprintf(b, "manifest  %s\n", s.Manifest)
}

// needTexts says in words what a skill asks for.
func needTexts(n abi.Needs) []string {
	var out []string
	add := func(why, format string, args ...any) {
		s := fmt.Sprintf(format, args...)
		if why != "" {
			s += " — " + why
		}
		out = append(out, s)
	}
	for _, h := range n.HTTP {
		to := string(h.Origin)
		if h.Argument != "" {
			to = "the origin of the argument " + h.Argument
		}
		add(h.Why, "http: %s %s, paths %s", strings.Join(h.Methods, " "), to, strings.Join(h.Paths, " "))
	}
	for _, s := range n.Secrets {
		var only []string
		for _, o := range s.Only {
			only = append(only, string(o))
		}
		add(s.Why, "secrets: %s, for %s only", s.Name, strings.Join(only, " "))
	}
	for _, f := range n.Files {
		add(f.Why, "files: %s (%s)", f.Mount, f.Access)
	}
	if n.KV != nil {
		add(n.KV.Why, "kv: %s", n.KV.MaxBytes)
	}
	for _, c := range n.Config {
		add(c.Why, "config: %s", c.Key)
	}
	if n.Human != nil && n.Human.Ask {
		add(n.Human.Why, "human: questions to the operator")
	}
	for _, f := range n.Flows {
		add(f.Why, "flows: %s", f)
	}
	if len(out) == 0 {
		return []string{"nothing"}
	}
	return out
}

func writeImports(b *strings.Builder, m *module.Report) {
	names := map[string][]string{}
	var order []string
	for _, i := range m.Imports {
		if names[i.Module] == nil {
			order = append(order, i.Module)
		}
		if !slices.Contains(names[i.Module], i.Name) {
			names[i.Module] = append(names[i.Module], i.Name)
		}
	}
	for n, mod := range order {
		head := "imports  "
		if n > 0 {
			head = "         "
		}
		fmt.Fprintf(b, "%s %s: %s\n", head, printable(mod), printable(strings.Join(names[mod], " ")))
	}
}

// printable keeps a terminal safe from names that a module chose.
func printable(s string) string {
	q := fmt.Sprintf("%+q", s)
	return q[1 : len(q)-1]
}

func firstSentence(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if i := strings.Index(s, ". "); i >= 0 {
		s = s[:i+1]
	}
	return printable(s)
}

func orNone(s []string) string {
	if len(s) == 0 {
		return "nothing"
	}
	return strings.Join(s, ", ")
}

// bytesText writes a size for people.
func bytesText(n int64) string {
	switch {
	case n >= abi.MiB:
		return fmt.Sprintf("%.1f MiB", float64(n)/abi.MiB)
	case n >= abi.KiB:
		return fmt.Sprintf("%.1f KiB", float64(n)/abi.KiB)
	}
	return fmt.Sprintf("%d B", n)
}
