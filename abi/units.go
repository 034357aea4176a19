package abi

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Size is a number of bytes. Its text is an integer and a unit: 512B, 64KiB, 2MiB, 1GiB.
type Size int64

var sizeUnits = []struct {
	suffix string
	bytes  int64
}{{"GiB", GiB}, {"MiB", MiB}, {"KiB", KiB}, {"B", 1}}

// ParseSize accepts what Size.String returns.
func ParseSize(s string) (Size, error) {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(s, u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(digits, 10, 63)
		if err != nil || digits[0] == '+' {
			break
		}
		if n > uint64(math.MaxInt64/u.bytes) {
			return 0, fmt.Errorf("size %q: larger than 2^63-1 bytes", clip(s))
		}
		return Size(int64(n) * u.bytes), nil
	}
	return 0, fmt.Errorf("size %q: want an integer and one of B, KiB, MiB, GiB, such as 64MiB", clip(s))
}

// String returns s in the largest unit that loses nothing.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s != 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(int64(s)/u.bytes, 10) + u.suffix
		}
	}
	return "0B"
}

// MarshalText implements encoding.TextMarshaler.
func (s Size) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Size) UnmarshalText(b []byte) error {
	v, err := ParseSize(string(b))
	if err == nil {
		*s = v
	}
	return err
}

// Duration is a length of time in the text form of time.Duration: 10s, 1m30s.
type Duration time.Duration

// String returns the text form.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; negative durations are refused.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	if err != nil {
		return fmt.Errorf("duration %q: want a number with a unit, such as 10s or 1m30s", clip(string(b)))
	}
	if v < 0 {
		return fmt.Errorf("duration %q: negative", clip(string(b)))
	}
	*d = Duration(v)
	return nil
}

// Date is a calendar day in UTC, written 2027-01-31. The zero value is no date.
type Date struct{ day time.Time }

var errDate = errors.New("want a day such as 2027-01-31")

// NewDate returns the day of t in UTC.
func NewDate(t time.Time) Date {
	return Date{day: t.UTC().Truncate(24 * time.Hour)}
}

// IsZero reports whether d is no date.
func (d Date) IsZero() bool { return d.day.IsZero() }

// End returns the first instant after the day.
func (d Date) End() time.Time { return d.day.AddDate(0, 0, 1) }

// String returns the text form, or "" for no date.
func (d Date) String() string {
	if d.IsZero() {
		return ""
	}
	return d.day.Format(time.DateOnly)
}

// MarshalText implements encoding.TextMarshaler.
func (d Date) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Date) UnmarshalText(b []byte) error {
	t, err := time.Parse(time.DateOnly, string(b))
	if err != nil || t.IsZero() {
		return fmt.Errorf("date %q: %w", clip(string(b)), errDate)
	}
	d.day = t
	return nil
}

// clip shortens hostile text that an error message quotes.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
