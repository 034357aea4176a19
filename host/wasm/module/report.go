package module

import (
	"fmt"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Kind is what an import or export is.
type Kind string

// The kinds of the binary format.
const (
	KindFunc   Kind = "func"
	KindTable  Kind = "table"
	KindMemory Kind = "memory"
	KindGlobal Kind = "global"
)

// Import is one entry of the import section.
type Import struct {
	Module string `json:"module"`
	Name   string `json:"name"`
	Kind   Kind   `json:"kind"`
	Type   string `json:"type,omitempty"` // "(i32, i64) -> i32" for functions, "mut i32" or "i32" for globals
}

// Export is one entry of the export section.
type Export struct {
	Name string `json:"name"`
	Kind Kind   `json:"kind"`
	Type string `json:"type,omitempty"` // as in Import
}

// Report is what Scan found. All of it is the module's claim about itself except
// the counts, which were counted.
type Report struct {
	Size    int            `json:"size"` // bytes
	Imports []Import       `json:"imports,omitempty"`
	Exports []Export       `json:"exports,omitempty"`
	Customs map[string]int `json:"customs,omitempty"` // bytes by name; names beyond the first 64 are counted as "…"

	Types    int  `json:"types"`
	Funcs    int  `json:"funcs"` // without imported ones
	Globals  int  `json:"globals"`
	Segments int  `json:"segments"`
	Elements int  `json:"elements"` // element segments
	Tables   int  `json:"tables"`
	TableMin int  `json:"table_min"` // entries of the largest table
	HasStart bool `json:"has_start,omitempty"`

	HasMemory bool   `json:"has_memory,omitempty"`
	MemoryMin uint32 `json:"memory_min"` // pages of 64 KiB
	MemoryMax uint32 `json:"memory_max"` // pages; 0 = not declared

	MaxLocals  int `json:"max_locals"` // of one function, parameters included
	MaxNesting int `json:"max_nesting"`
	MaxBlocks  int `json:"max_blocks"`
	MaxBody    int `json:"max_body"` // bytes
	MaxTargets int `json:"max_targets"`
}

// v2Exports are the nine entry points of hyper-mcp's second ABI.
var v2Exports = []string{
	"call_tool", "complete", "get_prompt", "list_prompts", "list_resource_templates",
	"list_resources", "list_tools", "on_roots_list_changed", "read_resource",
}

// Profile tells how a host calls the module, from its exports and imports. The
// order of the questions is part of the contract: call and describe, then any
// entry point of the second ABI, then an import from the Extism kernel, then
// _start. The error of an entry point with another type prints both types.
func (r *Report) Profile() (abi.Profile, error) {
	has := func(name string) bool {
		_, ok := r.export(name)
		return ok
	}
	switch {
	case has("call") && has("describe"):
		return abi.ProfileMCPv1, r.callable("call", "describe")
	case slices.ContainsFunc(v2Exports, has):
		return abi.ProfileMCPv2, r.callable(v2Exports...)
	case slices.ContainsFunc(r.Imports, func(i Import) bool { return i.Module == abi.NamespaceEnv }):
		return abi.ProfileRaw, nil
	case has("_start"):
		return abi.ProfileCommand, r.callable("_start")
	}
	return "", &Refusal{Rule: RuleExport, Func: NoFunc, Detail: fmt.Sprintf(
		"no entry point was found: want exports call and describe, or one of list_tools and call_tool, or _start; the exports are %s", r.exportNames())}
}

// Callable reports whether the export name is a function that takes nothing and
// returns nothing or one i32; the error prints both types.
func (r *Report) Callable(name string) error {
	e, ok := r.export(name)
	if !ok {
		return &Refusal{Rule: RuleExport, Func: NoFunc, Detail: fmt.Sprintf("there is no export %q; the exports are %s", name, r.exportNames())}
	}
	if e.Kind != KindFunc || (e.Type != "() -> ()" && e.Type != "() -> i32") {
		return &Refusal{Rule: RuleExport, Func: NoFunc, Detail: fmt.Sprintf("export %q has type %s, want () -> i32 or () -> ()", name, e.describe())}
	}
	return nil
}

func (r *Report) callable(names ...string) error {
	for _, n := range names {
		if _, ok := r.export(n); !ok {
			continue
		}
		if err := r.Callable(n); err != nil {
			return err
		}
	}
	return nil
}

func (e Export) describe() string {
	if e.Kind == KindFunc {
		return e.Type
	}
	return strings.TrimSpace(string(e.Kind) + " " + e.Type)
}

func (r *Report) export(name string) (Export, bool) {
	i := slices.IndexFunc(r.Exports, func(e Export) bool { return e.Name == name })
	if i < 0 {
		return Export{}, false
	}
	return r.Exports[i], true
}

// exportNames lists the exports for an error, bounded and quoted.
func (r *Report) exportNames() string {
	if len(r.Exports) == 0 {
		return "none"
	}
	var names []string
	for i, e := range r.Exports {
		if i == 20 {
			names = append(names, fmt.Sprintf("and %d more", len(r.Exports)-i))
			break
		}
		n := e.Name
		if len(n) > 64 {
			n = n[:64] + "…"
		}
		names = append(names, fmt.Sprintf("%q", n))
	}
	return strings.Join(names, ", ")
}

// capabilityOf maps imported functions to the capability that they need. What is
// not listed needs none.
var capabilityOf = map[string]string{
	abi.NamespaceHost + ".fetch":         "http",
	abi.NamespaceEnv + ".http_request":   "http",
	abi.NamespaceHost + ".fs_read":       "files",
	abi.NamespaceHost + ".fs_write":      "files",
	abi.NamespaceHost + ".fs_list":       "files",
	abi.NamespaceHost + ".fs_stat":       "files",
	abi.NamespaceHost + ".fs_remove":     "files",
	abi.NamespaceHost + ".fs_rename":     "files",
	abi.NamespaceHost + ".fs_mkdir":      "files",
	abi.NamespaceHost + ".secret_handle": "secrets",
	abi.NamespaceHost + ".kv_get":        "kv",
	abi.NamespaceHost + ".kv_set":        "kv",
	abi.NamespaceHost + ".kv_delete":     "kv",
	abi.NamespaceHost + ".kv_list":       "kv",
	abi.NamespaceHost + ".ask":           "human",
}

// Capabilities returns the sorted names of the capabilities that the imports can
// exercise: http, files, secrets, kv, human; "wasi" for any WASI import, and
// "user" for hyper-mcp's functions.
func (r *Report) Capabilities() []string {
	var out []string
	for _, i := range r.Imports {
		c := capabilityOf[i.Module+"."+i.Name]
		switch {
		case c != "":
		case i.Module == "wasi_snapshot_preview1":
			c = "wasi"
		case i.Module == abi.NamespaceUser:
			c = "user"
		default:
			continue
		}
		out = append(out, c)
	}
	slices.Sort(out)
	return slices.Compact(out)
}
