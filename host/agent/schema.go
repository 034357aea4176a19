package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp/syntax"
	"slices"
	"strings"
	"sync"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/glovebox-dev/glovebox/internal/canon"
)

// Limits of a tool's inputSchema, which a stranger wrote and the host evaluates.
const (
	MaxSchemaBytes  = 64 << 10
	MaxSchemaDepth  = 32
	MaxSchemaNodes  = 5_000
	MaxSchemaUnfold = 10_000    // nodes after every $ref is followed: a schema of 1 KiB can unfold to 2^30
	MaxPattern      = 512       // bytes of one regular expression
	MaxPatternProg  = 1_000     // instructions of its RE2 program
	MaxCheckWork    = 1_000_000 // unfolded schema nodes × nodes of the arguments
	MaxPatternWork  = 20_000_000
)

// ErrSchema is wrapped by errors about a tool's inputSchema.
var ErrSchema = errors.New("inputSchema not usable")

// schema is a compiled inputSchema. Work is bounded by construction: the unfolded
// size is known, recursion is cut, patterns draw on a budget.
type schema struct {
	compiled *jsonschema.Schema
	unfolded int

	mu     sync.Mutex // guards budget while a check runs
	budget *int
}

// compileSchema prepares the inputSchema raw. References stay inside the document,
// regular expressions are RE2, and an argument that the schema does not mention is
// an error unless it says additionalProperties itself.
func compileSchema(raw json.RawMessage) (*schema, error) {
	if len(raw) == 0 {
		raw = json.RawMessage(`{"type":"object"}`)
	}
	v, err := canon.Parse(raw, canon.Limits{Bytes: MaxSchemaBytes, Depth: MaxSchemaDepth, Nodes: MaxSchemaNodes, Rounds: true})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	root, ok := v.Any().(map[string]any) // parsed here, so ours to change
	if !ok {
		return nil, fmt.Errorf("%w: not an object", ErrSchema)
	}
	delete(root, "$id")
	if draft, said := root["$schema"]; said && !knownDraft(draft) {
		return nil, fmt.Errorf("%w: $schema is none of draft-07, 2019-09 and 2020-12", ErrSchema)
	}
	u := unfolder{root: root, size: map[string]int{}}
	size, err := u.visit("", root)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	closeRoot(root)
	s := &schema{unfolded: size, budget: new(int)}
	*s.budget = MaxPatternWork
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.UseLoader(noLoader{})
	c.UseRegexpEngine(s.pattern)
	const name = "glovebox:inputSchema"
	if err := c.AddResource(name, root); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSchema, err)
	}
	if s.compiled, err = c.Compile(name); err != nil {
		var wrapped *jsonschema.SchemaValidationError
		var invalid *jsonschema.ValidationError
		if errors.As(err, &wrapped) && errors.As(wrapped.Err, &invalid) {
			return nil, fmt.Errorf("%w: at %s", ErrSchema, firstCause(invalid))
		}
		return nil, fmt.Errorf("%w: %s", ErrSchema, cut(err.Error(), 512))
	}
	return s, nil
}

func knownDraft(v any) bool {
	text, _ := v.(string)
	return slices.ContainsFunc([]string{"draft-07/schema", "draft/2019-09/schema", "draft/2020-12/schema"}, func(d string) bool {
		return strings.TrimSuffix(text, "#") == "http://json-schema.org/"+d || strings.TrimSuffix(text, "#") == "https://json-schema.org/"+d
	})
}

// closeRoot refuses unknown arguments where the schema leaves them open by silence.
func closeRoot(root map[string]any) {
	for _, key := range []string{"additionalProperties", "unevaluatedProperties"} {
		if _, said := root[key]; said {
			return
		}
	}
	_, ref := root["$ref"]
	if draft, _ := root["$schema"].(string); strings.Contains(draft, "draft-07") && !ref {
		root["additionalProperties"] = false
		return
	}
	if ref {
		delete(root, "$schema") // draft 7 ignores what stands beside $ref
	}
	root["unevaluatedProperties"] = false // sees through $ref and allOf
}

// check validates args, one parsed JSON object.
func (s *schema) check(args canon.Value) error {
	obj, ok := args.Any().(map[string]any)
	if !ok {
		return errors.New("arguments must be one JSON object")
	}
	for name := range obj {
		// No schema can open a side door such as _confirmed: who asks, for whom and
		// whether it was approved never travels with the arguments.
		if strings.HasPrefix(name, "_") {
			return fmt.Errorf("argument %q: names that begin with _ are not accepted", cut(name, 64))
		}
	}
	if s.unfolded*args.Nodes() > MaxCheckWork {
		return fmt.Errorf("arguments with %d values are too many for this tool's schema", args.Nodes())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	*s.budget = MaxPatternWork
	err := s.compiled.Validate(obj)
	if *s.budget < 0 { // some pattern did not run, and "not" may have turned that into a yes
		return errors.New("arguments are too long for the patterns of this tool's schema")
	}
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		return errors.New("argument " + firstCause(invalid))
	}
	return err
}

// firstCause renders the first leaf of a validation error: where and what.
func firstCause(e *jsonschema.ValidationError) string {
	for len(e.Causes) > 0 {
		e = e.Causes[0]
	}
	where := "/" + strings.Join(e.InstanceLocation, "/")
	what := e.BasicOutput().Error
	msg := "invalid"
	if what != nil {
		msg = what.String()
	}
	return fmt.Sprintf("%s: %s", cut(where, 128), cut(msg, 256))
}

// noLoader refuses to load any document: a schema can make the host read nothing.
type noLoader struct{}

func (noLoader) Load(url string) (any, error) {
	return nil, fmt.Errorf("reference to another document %q", cut(url, 128))
}

// unfolder follows every reference of a schema once, cuts recursion and computes the
// size of the schema when each reference is replaced by its target.
type unfolder struct {
	root any
	size map[string]int // by JSON Pointer; 0 = being visited
}

func (u *unfolder) visit(at string, node any) (int, error) {
	if n, seen := u.size[at]; seen {
		return n, nil
	}
	u.size[at] = 0
	total := 1
	add := func(key string, child any) error {
		n, err := u.visit(at+"/"+pointerEscape.Replace(key), child)
		total += n
		return err
	}
	var err error
	switch node := node.(type) {
	case map[string]any:
		for _, key := range slices.Sorted(maps.Keys(node)) {
			text, isText := node[key].(string)
			if isText && strings.HasPrefix(key, "$") {
				var n int
				if n, err = u.keyword(node, key, text); err != nil {
					return 0, err
				}
				total += n
				continue
			}
			if err = add(key, node[key]); err != nil {
				return 0, err
			}
		}
	case []any:
		for i, child := range node {
			if err = add(fmt.Sprint(i), child); err != nil {
				return 0, err
			}
		}
	}
	if total > MaxSchemaUnfold {
		return 0, fmt.Errorf("unfolds to more than %d parts", MaxSchemaUnfold)
	}
	u.size[at] = total
	return total, nil
}

// keyword handles a "$" keyword with a text value and returns the size of its target.
func (u *unfolder) keyword(node map[string]any, key, text string) (int, error) {
	switch key {
	case "$schema", "$comment":
		return 1, nil
	case "$ref":
	default:
		return 0, fmt.Errorf("%s is not supported", cut(key, 32))
	}
	if text != "#" && !strings.HasPrefix(text, "#/") {
		return 0, fmt.Errorf("$ref %q: only references inside the schema, #/…, are followed", cut(text, 128))
	}
	at := strings.TrimPrefix(text, "#")
	target, err := resolve(u.root, at)
	if err != nil {
		return 0, err
	}
	if n, seen := u.size[at]; seen && n == 0 {
		// Recursion: below its first level the host checks no more, the tool does.
		delete(node, "$ref")
		return 1, nil
	}
	return u.visit(at, target)
}

var (
	pointerEscape   = strings.NewReplacer("~", "~0", "/", "~1")
	pointerUnescape = strings.NewReplacer("~1", "/", "~0", "~")
)

func resolve(root any, pointer string) (any, error) {
	if strings.Contains(pointer, "%") {
		return nil, fmt.Errorf("$ref %q: percent signs are not supported", cut(pointer, 128))
	}
	if pointer == "" {
		return root, nil
	}
	node := root
	for _, part := range strings.Split(pointer[1:], "/") {
		obj, ok := node.(map[string]any)
		if ok {
			node, ok = obj[pointerUnescape.Replace(part)]
		}
		if !ok {
			return nil, fmt.Errorf("$ref %q leads nowhere", cut(pointer, 128))
		}
	}
	return node, nil
}

// pattern is the engine for regular expressions: RE2 with a bound on its program,
// drawing on the budget of the check.
func (s *schema) pattern(text string) (jsonschema.Regexp, error) {
	if len(text) > MaxPattern {
		return nil, fmt.Errorf("pattern of %d bytes exceeds %d", len(text), MaxPattern)
	}
	tree, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return nil, err
	}
	prog, err := syntax.Compile(tree.Simplify())
	if err != nil {
		return nil, err
	}
	if len(prog.Inst) > MaxPatternProg {
		return nil, fmt.Errorf("pattern compiles to %d steps, more than %d", len(prog.Inst), MaxPatternProg)
	}
	return newBudgeted(text, len(prog.Inst), s.budget)
}
