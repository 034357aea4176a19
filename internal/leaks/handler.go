package leaks

import (
	"context"
	"encoding"
	"encoding/json"
	"fmt"
	"log/slog"
)

// Handler returns a slog.Handler that passes records on to next with what s would hide
// hidden, in the message and in values; next itself without rules.
func Handler(next slog.Handler, s *Scanner) slog.Handler {
	if !available {
		return next
	}
	return handler{next, s}
}

type handler struct {
	slog.Handler
	scanner *Scanner
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	clean := slog.NewRecord(r.Time, r.Level, h.scanner.Hide(r.Message), r.PC)
	r.Attrs(func(a slog.Attr) bool {
		clean.AddAttrs(h.attr(a))
		return true
	})
	return h.Handler.Handle(ctx, clean)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(h.attrs(attrs)), h.scanner}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler {
	return handler{h.Handler.WithGroup(name), h.scanner}
}

func (h handler) attrs(attrs []slog.Attr) []slog.Attr {
	out := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		out[i] = h.attr(a)
	}
	return out
}

func (h handler) attr(a slog.Attr) slog.Attr {
	a.Value = a.Value.Resolve()
	switch a.Value.Kind() {
	case slog.KindGroup:
		a.Value = slog.GroupValue(h.attrs(a.Value.Group())...)
	case slog.KindString:
		a.Value = slog.StringValue(h.scanner.Hide(a.Value.String()))
	case slog.KindAny:
		for _, text := range renderings(a.Value.Any()) {
			if clean := h.scanner.Hide(text); clean != text {
				a.Value = slog.StringValue(clean)
				break
			}
		}
	case slog.KindBool, slog.KindDuration, slog.KindFloat64, slog.KindInt64, slog.KindTime, slog.KindUint64, slog.KindLogValuer:
	}
	return a
}

// renderings are the texts that a handler may make of x.
func renderings(x any) []string {
	texts := []string{fmt.Sprintf("%+v", x)}
	if b, ok := x.([]byte); ok {
		texts[0] = string(b)
	}
	if t, ok := x.(encoding.TextMarshaler); ok {
		if b, err := t.MarshalText(); err == nil {
			texts = append(texts, string(b))
		}
	}
	if b, err := json.Marshal(x); err == nil {
		texts = append(texts, string(b))
	}
	return texts
}
