package module

import "fmt"

// Rule is the stable name of a reason to refuse a module.
type Rule string

// The rules. Each limit has its own; the others name what is wrong with the bytes.
const (
	RuleNotWasm   Rule = "module/not-wasm"  // no WebAssembly header
	RuleComponent Rule = "module/component" // a component, not a core module
	RuleMalformed Rule = "module/malformed" // truncated, out of order, an index out of range
	RuleFeature   Rule = "module/feature"   // a feature outside WebAssembly 2.0, or one that this host does not run
	RuleReserved  Rule = "module/reserved"  // a name that belongs to the rewriter
	RuleExport    Rule = "module/export"    // an export of the wrong type, or none that a host could call

	RuleSize        Rule = "module/size"
	RuleTypes       Rule = "module/types"
	RuleFuncs       Rule = "module/functions"
	RuleImports     Rule = "module/imports"
	RuleExports     Rule = "module/exports"
	RuleGlobals     Rule = "module/globals"
	RuleSegments    Rule = "module/data-segments"
	RuleElements    Rule = "module/elements"
	RuleTables      Rule = "module/tables"
	RuleTableMin    Rule = "module/table-entries"
	RuleMemories    Rule = "module/memories"
	RuleMemoryMin   Rule = "module/memory-pages"
	RuleName        Rule = "module/name"
	RuleBody        Rule = "module/body"
	RuleLocals      Rule = "module/locals"
	RuleLocalsTotal Rule = "module/locals-total"
	RuleNesting     Rule = "module/nesting"
	RuleBlocks      Rule = "module/blocks"
	RuleBlockLocals Rule = "module/blocks-locals"
	RuleTargets     Rule = "module/br-table"
	RuleTargetsSum  Rule = "module/br-table-total"
	RuleValues      Rule = "module/values"
	RuleStack       Rule = "module/stack" // an unusable stack limit was asked of Rewrite

	RuleCompileTime   Rule = "compile/time"   // compilation passed its CPU or wall time
	RuleCompileMemory Rule = "compile/memory" // compilation passed its memory
	RuleInvalid       Rule = "compile/invalid"
)

// NoFunc is the Func of a Refusal that concerns no function.
const NoFunc = -1

// Refusal says why a module was not accepted.
type Refusal struct {
	Rule   Rule
	Func   int    // index of the function concerned, or NoFunc
	Got    int64  // what the module has; 0 when the rule is no limit
	Limit  int64  // what is allowed; 0 when the rule is no limit
	Detail string // one clause for people
	Offset int    // byte offset where the scan stopped
}

// Error implements error.
func (r *Refusal) Error() string {
	s := "module refused: " + r.Detail
	if r.Func != NoFunc {
		s += fmt.Sprintf(" in function %d", r.Func)
	}
	if r.Limit != 0 {
		s += fmt.Sprintf(" (%d, at most %d)", r.Got, r.Limit)
	}
	return s + " (rule " + string(r.Rule) + ")"
}
