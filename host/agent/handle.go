package agent

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"regexp"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/canon"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Bounds of what a session holds behind handles; the oldest makes room.
const (
	MaxHeld      = 32
	MaxHeldBytes = 4 << 20
)

// handlePrefix begins every handle; what follows are 26 letters and digits with 130
// random bits.
const handlePrefix = "handle:"

var handleRE = regexp.MustCompile(`^` + handlePrefix + `[A-Z2-7]{26}$`)

// errHandle is wrapped by errors about handles in arguments.
var errHandle = errors.New("handle not accepted")

// Held is a result that the host keeps, and that the model has not seen.
type Held struct {
	Text  string
	Tool  abi.ToolRef
	Label label.Label
}

// held is what one session holds, the oldest first.
type held struct {
	order []string
	by    map[string]Held
	bytes int
}

// put keeps h and returns its handle.
func (s *held) put(h Held) string {
	if s.by == nil {
		s.by = map[string]Held{}
	}
	handle := handlePrefix + rand.Text()
	s.by[handle], s.order, s.bytes = h, append(s.order, handle), s.bytes+len(h.Text)
	for len(s.order) > MaxHeld || s.bytes > MaxHeldBytes && len(s.order) > 1 {
		s.bytes -= len(s.by[s.order[0]].Text)
		delete(s.by, s.order[0])
		s.order = slices.Clone(s.order[1:])
	}
	return handle
}

func (s *held) get(handle string) (Held, bool) {
	h, ok := s.by[handle]
	return h, ok
}

// handleable reports whether the result of a tool can be kept: it only reads, or only
// fetches.
func handleable(d abi.Descriptor) bool {
	return d.Effect == abi.EffectRead || d.Effect == abi.EffectEgress && d.Method == "GET"
}

// receipt is all that a model learns of a result that is kept. Kind comes from a
// closed list and the length is rounded up to a power of two, since both are a
// stranger's choice.
func receipt(handle, text string) string {
	length := uint64(0)
	if len(text) > 0 {
		length = 1 << bits.Len64(uint64(len(text)-1))
	}
	b, err := json.Marshal(struct {
		Handle string `json:"handle"`
		Type   string `json:"type"`
		Length uint64 `json:"length"`
	}{handle, kindOf(text), length})
	if err != nil { // strings and a number only
		return ""
	}
	return string(b)
}

func kindOf(text string) string {
	switch {
	case text == "":
		return "empty"
	case json.Valid([]byte(text)):
		return "json"
	}
	return "text"
}

// fill replaces the handles in content arguments by what is behind them. A handle
// anywhere else, one of another session and one that is no more are errors.
func (p *passage) fill(args canon.Value) (canon.Value, error) {
	object, ok := args.Any().(map[string]any)
	if !ok || !strings.Contains(string(p.args), handlePrefix) {
		return args, nil
	}
	filled := make(map[string]any, len(object))
	for name, v := range object {
		var err error
		if filled[name], err = p.expand(v, p.tool.Descriptor.Role(name)); err != nil {
			return canon.Value{}, fmt.Errorf("argument %q: %w", cut(name, 64), err)
		}
	}
	b, err := canon.Marshal(filled)
	if err != nil {
		return canon.Value{}, err
	}
	return canon.Parse(b, canon.Limits{Bytes: p.d.cfg.MaxArgs})
}

func (p *passage) expand(v any, role abi.Role) (any, error) {
	var err error
	switch v := v.(type) {
	case string:
		switch {
		case !handleRE.MatchString(v):
			return v, nil
		case role != abi.RoleContent:
			return nil, fmt.Errorf("%w: it is no content argument", errHandle)
		case p.req.Held == nil:
			return nil, fmt.Errorf("%w: this session has none", errHandle)
		}
		h, ok := p.req.Held(v)
		if !ok {
			return nil, fmt.Errorf("%w: this session does not have it, or not any more", errHandle)
		}
		p.carried = p.carried.Join(h.Label)
		p.req.State.Carried = append(p.req.State.Carried, gate.Content{Tool: h.Tool, Label: h.Label})
		return h.Text, nil
	case []any:
		list := make([]any, len(v))
		for i := range v {
			if list[i], err = p.expand(v[i], role); err != nil {
				return nil, err
			}
		}
		return list, nil
	case map[string]any:
		object := make(map[string]any, len(v))
		for k := range v {
			if object[k], err = p.expand(v[k], role); err != nil {
				return nil, err
			}
		}
		return object, nil
	}
	return v, nil
}
