package module

import (
	"fmt"
	"unicode/utf8"
)

// reader walks bytes and remembers the first error: after one, every read yields
// zero values and no progress, and loops end because they ask ok.
type reader struct {
	b    []byte
	off  int // next byte
	end  int // first byte that does not belong to the present section or body
	err  *Refusal
	fn   int // function being read, or NoFunc
	what string
}

func (r *reader) ok() bool { return r.err == nil }

func (r *reader) left() int { return r.end - r.off }

func (r *reader) fail(rule Rule, format string, args ...any) {
	if r.err == nil {
		r.err = &Refusal{Rule: rule, Func: r.fn, Detail: fmt.Sprintf(format, args...), Offset: r.off}
	}
}

// limit fails with rule when got exceeds max.
func (r *reader) limit(rule Rule, what string, got, max int64) {
	if r.err == nil && got > max {
		r.err = &Refusal{Rule: rule, Func: r.fn, Got: got, Limit: max, Detail: "too many " + what, Offset: r.off}
	}
}

func (r *reader) truncated() { r.fail(RuleMalformed, "the %s ends early", r.what) }

func (r *reader) byte() byte {
	if r.err != nil {
		return 0
	}
	if r.off >= r.end {
		r.truncated()
		return 0
	}
	b := r.b[r.off]
	r.off++
	return b
}

func (r *reader) skip(n int) {
	if r.err != nil {
		return
	}
	if n < 0 || n > r.left() {
		r.truncated()
		return
	}
	r.off += n
}

// bytes returns the next n bytes without copying them.
func (r *reader) bytes(n int) []byte {
	start := r.off
	r.skip(n)
	if r.err != nil {
		return nil
	}
	return r.b[start:r.off]
}

// u32 reads an unsigned LEB128 of at most 32 bits and five bytes.
func (r *reader) u32() uint32 {
	var v uint32
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		if shift == 28 && b > 0x0f {
			r.fail(RuleMalformed, "a number has more than 32 bits")
			return 0
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
}

// signed reads a signed LEB128 of at most bits bits.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		if r.err != nil {
			return 0
		}
		if room := bits - shift; room < 7 {
			// The last byte may hold only the sign beyond the bits that count.
			mask := byte(0x7f) &^ (1<<(room-1) - 1)
			if sign := b & mask; b >= 0x80 || (sign != 0 && sign != mask) {
				r.fail(RuleMalformed, "a number has more than %d bits", bits)
				return 0
			}
		}
		v |= int64(b&0x7f) << shift
		if b < 0x80 {
			if s := shift + 7; s < 64 && b&0x40 != 0 {
				v |= -1 << s
			}
			return v
		}
	}
}

// count reads the length of a vector. Each entry takes at least one byte, so a
// count above what is left lies.
func (r *reader) count(rule Rule, what string, max int) int {
	n := r.u32()
	r.limit(rule, what, int64(n), int64(max))
	if r.err == nil && int(n) > r.left() {
		r.fail(RuleMalformed, "%d %s are declared in %d bytes", n, what, r.left())
	}
	if r.err != nil {
		return 0
	}
	return int(n)
}

// name reads a bounded UTF-8 name.
func (r *reader) name(max int) string {
	n := r.u32()
	r.limit(RuleName, "bytes in a name", int64(n), int64(max))
	b := r.bytes(int(n))
	if r.err == nil && !utf8.Valid(b) {
		r.fail(RuleMalformed, "a name is not UTF-8")
	}
	if r.err != nil {
		return ""
	}
	return string(b)
}

// valueType reads one value type of WebAssembly 2.0.
func (r *reader) valueType() byte {
	t := r.byte()
	if r.err != nil {
		return 0
	}
	switch t {
	case 0x7f, 0x7e, 0x7d, 0x7c, 0x7b, 0x70, 0x6f:
	case 0x69, 0x74, 0x68:
		r.fail(RuleFeature, "exception references are not supported (build without exception handling)")
	case 0x63, 0x64, 0x6e, 0x6d, 0x6c, 0x6b, 0x6a, 0x71, 0x72, 0x73:
		r.fail(RuleFeature, "typed and collected references are not supported (build without gc and function-references)")
	default:
		r.fail(RuleMalformed, "unknown value type %#x", t)
	}
	return t
}

func (r *reader) refType() byte {
	t := r.valueType()
	if r.err == nil && t != 0x70 && t != 0x6f {
		r.fail(RuleMalformed, "type %#x is no reference", t)
	}
	return t
}
