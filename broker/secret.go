package broker

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a value that nothing outside this package can read: it prints "[secret]"
// through fmt, JSON, text and slog. The zero value holds nothing.
type Secret struct {
	open func() []byte // a function, so that neither fmt nor reflection reaches the bytes
}

func newSecret(b []byte) Secret { return Secret{open: func() []byte { return b }} }

const shown = "[secret]"

// Format implements fmt.Formatter for every verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, shown) }

// String implements fmt.Stringer.
func (s Secret) String() string { return shown }

// GoString implements fmt.GoStringer.
func (s Secret) GoString() string { return shown }

// MarshalText implements encoding.TextMarshaler, and JSON with it.
func (s Secret) MarshalText() ([]byte, error) { return []byte(shown), nil }

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(shown) }

// value returns the bytes; the caller must not keep, print or change them.
func (s Secret) value() string {
	if s.open == nil {
		return ""
	}
	return string(s.open())
}

// wipe overwrites the bytes. Copies that went into a request are out of its reach.
func (s Secret) wipe() {
	if s.open != nil {
		clear(s.open())
	}
}
