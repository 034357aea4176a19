package redact

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync/atomic"
)

// Source returns the matcher for the secrets that are known now; nil when none is.
type Source func() *Matcher

// Handler returns a slog.Handler that passes records on to next with every known
// value replaced: in the message, in keys, in values of any kind and in groups. What
// was attached with With is redacted again when the set of secrets has changed.
func Handler(next slog.Handler, source Source) slog.Handler {
	return &handler{base: next, source: source, built: &atomic.Pointer[built]{}}
}

type handler struct {
	base   slog.Handler
	source Source
	steps  []step                 // With and WithGroup, oldest first
	built  *atomic.Pointer[built] // base with steps applied for one matcher
}

// step is one WithGroup (group set) or WithAttrs.
type step struct {
	group string
	attrs []slog.Attr
}

type built struct {
	matcher *Matcher
	handler slog.Handler
}

// Enabled implements slog.Handler.
func (h *handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.base.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *handler) Handle(ctx context.Context, r slog.Record) error {
	m := h.source()
	clean := slog.NewRecord(r.Time, r.Level, m.RedactString(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(m.attr(a))
		return true
	})
	return h.current(m).Handle(ctx, clean)
}

// current returns base with all steps applied under m.
func (h *handler) current(m *Matcher) slog.Handler {
	if b := h.built.Load(); b != nil && b.matcher == m {
		return b.handler
	}
	next := h.base
	for _, s := range h.steps {
		if s.group != "" {
			next = next.WithGroup(m.RedactString(s.group))
			continue
		}
		attrs := make([]slog.Attr, len(s.attrs))
		for i, a := range s.attrs {
			attrs[i] = m.attr(a)
		}
		next = next.WithAttrs(attrs)
	}
	h.built.Store(&built{m, next})
	return next
}

// WithAttrs implements slog.Handler.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler { return h.with(step{attrs: attrs}) }

// WithGroup implements slog.Handler.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return h.with(step{group: name})
}

func (h *handler) with(s step) *handler {
	return &handler{
		base: h.base, source: h.source,
		steps: append(h.steps[:len(h.steps):len(h.steps)], s),
		built: &atomic.Pointer[built]{},
	}
}

func (m *Matcher) attr(a slog.Attr) slog.Attr {
	if m == nil {
		return a
	}
	return slog.Attr{Key: m.RedactString(a.Key), Value: m.value(a.Value)}
}

func (m *Matcher) value(v slog.Value) slog.Value {
	v = v.Resolve()
	switch v.Kind() {
	case slog.KindString:
		return slog.StringValue(m.RedactString(v.String()))
	case slog.KindGroup:
		var out []slog.Attr
		for _, a := range v.Group() {
			out = append(out, m.attr(a))
		}
		return slog.GroupValue(out...)
	case slog.KindAny:
		return m.anyValue(v)
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64, slog.KindLogValuer:
		if text := v.String(); m.Contains([]byte(text)) { // a secret may be a number
			return slog.StringValue(m.RedactString(text))
		}
	}
	return v
}

// anyValue looks at each rendering that a handler may choose and, when one of them holds a
// value, replaces v by redacted text.
func (m *Matcher) anyValue(v slog.Value) slog.Value {
	x := v.Any()
	if b, ok := x.([]byte); ok {
		return slog.StringValue(m.RedactString(string(b)))
	}
	texts := []string{fmt.Sprintf("%+v", x)}
	if t, ok := x.(encoding.TextMarshaler); ok {
		if b, err := t.MarshalText(); err == nil {
			texts = append(texts, string(b))
		}
	}
	if b, err := json.Marshal(x); err == nil {
		texts = append(texts, string(b))
	}
	for _, text := range texts {
		if m.Contains([]byte(text)) {
			return slog.StringValue(m.RedactString(texts[0]))
		}
	}
	return v
}
