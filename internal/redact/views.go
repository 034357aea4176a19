package redact

import (
	"bytes"
	"unicode/utf8"
)

// The smallest run of base64 or hex digits, and the shortest word with escapes in it,
// that is decoded and looked into.
const (
	minRun  = 24
	minWord = 12
)

// fold maps ASCII letters and digits to lower case and everything else to 0.
var fold = foldTable()

func foldTable() (t [256]byte) {
	for c := range 256 {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z':
			t[c] = byte(c)
		case c >= 'A' && c <= 'Z':
			t[c] = byte(c) + 32
		}
	}
	return t
}

// kept is 1 for each byte that fold keeps, and lead for the first bytes of the UTF-8 of
// all runes that compatible knows.
var kept = keptTable()

const lead = 2

func keptTable() (t [256]uint8) {
	for c, f := range fold {
		if f != 0 {
			t[c] = 1
		}
	}
	for _, c := range []byte{0xC2, 0xC5, 0xE2, 0xEF, 0xF0} {
		t[c] = lead
	}
	return t
}

// condense returns the letters and digits of b in the memory of dst, in lower case,
// without what is between them: spaces, line ends, punctuation, zero-width characters.
// Letters and digits that Unicode calls compatible with ASCII ones (NFKC) count as these.
func condense(dst, b []byte) []byte {
	if cap(dst) < len(b) {
		dst = make([]byte, len(b))
	}
	dst = dst[:len(b)]
	n := 0
	for i := 0; i < len(b); i++ {
		c := b[i]
		dst[n] = fold[c] // no branch: what is between words is as frequent as words
		k := kept[c]
		n += int(k & 1)
		if k == lead {
			r, size := utf8.DecodeRune(b[i:])
			if f := compatible(r); f != 0 {
				dst[n] = f
				n++
			}
			i += size - 1
		}
	}
	return dst[:n]
}

// places returns the offset in b of each byte that condense returns for b.
func places(b []byte) []int {
	var out []int
	for i := 0; i < len(b); {
		r, size := utf8.DecodeRune(b[i:])
		if r < utf8.RuneSelf && kept[byte(r)] == 1 || compatible(r) != 0 { //nolint:gosec // below 0x80
			out = append(out, i)
		}
		i += size
	}
	return out
}

// compatible returns the lower-case ASCII letter or digit whose compatibility form r
// is, 0 if it is none.
func compatible(r rune) byte {
	digit := func(n rune) byte { return byte('0' + n) } //nolint:gosec // 0 to 9 by the cases below
	switch {
	case r < 0xAA, r >= 0x180 && r < 0x2000, r >= 0x2C80 && r < 0xFF10: // no such letter: fast for most scripts
		return 0
	case r >= 0xFF10 && r <= 0xFF19:
		return digit(r - 0xFF10)
	case r >= 0xFF21 && r <= 0xFF3A, r >= 0xFF41 && r <= 0xFF5A:
		return fold[byte(r-0xFEE0)] //nolint:gosec // below 0x80
	case r >= 0x1D400 && r <= 0x1D6A3: // alphabets of 52
		return fold["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"[(r-0x1D400)%52]]
	case r >= 0x1D7CE && r <= 0x1D7FF:
		return digit((r - 0x1D7CE) % 10)
	case r >= 0x2460 && r <= 0x2468:
		return digit(r - 0x245F)
	case r >= 0x24B6 && r <= 0x24E9:
		return "abcdefghijklmnopqrstuvwxyz"[(r-0x24B6)%26]
	case r == 0x24EA || r == 0x2070 || r == 0x2080:
		return '0'
	case r >= 0x2074 && r <= 0x2079:
		return digit(r - 0x2070)
	case r >= 0x2081 && r <= 0x2089:
		return digit(r - 0x2080)
	case r >= 0x1F130 && r <= 0x1F149:
		return byte('a' + r - 0x1F130) //nolint:gosec // a to z
	}
	for i, odd := range oddLetters {
		if r == odd.from {
			return oddLetters[i].to
		}
	}
	return 0
}

// oddLetters are compatible letters and digits outside of the regular blocks.
var oddLetters = []struct {
	from rune
	to   byte
}{
	{'ª', 'a'}, {'º', 'o'}, {'²', '2'}, {'³', '3'}, {'¹', '1'}, {'ſ', 's'}, {'K', 'k'}, {'ℂ', 'c'}, {'ℊ', 'g'}, {'ℋ', 'h'}, {'ℌ', 'h'}, {'ℍ', 'h'}, {'ℎ', 'h'},
	{'ℐ', 'i'}, {'ℑ', 'i'}, {'ℒ', 'l'}, {'ℓ', 'l'}, {'ℕ', 'n'}, {'ℙ', 'p'}, {'ℚ', 'q'}, {'ℛ', 'r'}, {'ℜ', 'r'}, {'ℝ', 'r'}, {'ℤ', 'z'}, {'ℨ', 'z'},
	{'ℬ', 'b'}, {'ℭ', 'c'}, {'ℯ', 'e'}, {'ℰ', 'e'}, {'ℱ', 'f'}, {'ℳ', 'm'}, {'ℴ', 'o'}, {'ℹ', 'i'}, {'ⅅ', 'd'}, {'ⅆ', 'd'}, {'ⅇ', 'e'}, {'ⅈ', 'i'}, {'ⅉ', 'j'},
	{'Ⅰ', 'i'}, {'Ⅴ', 'v'}, {'Ⅹ', 'x'}, {'Ⅼ', 'l'}, {'Ⅽ', 'c'}, {'Ⅾ', 'd'}, {'Ⅿ', 'm'}, {'ⅰ', 'i'}, {'ⅴ', 'v'}, {'ⅹ', 'x'}, {'ⅼ', 'l'}, {'ⅽ', 'c'}, {'ⅾ', 'd'}, {'ⅿ', 'm'},
	{'ⁱ', 'i'}, {'ⁿ', 'n'}, {'ₐ', 'a'}, {'ₑ', 'e'}, {'ₒ', 'o'}, {'ₓ', 'x'}, {'ₕ', 'h'}, {'ₖ', 'k'}, {'ₗ', 'l'}, {'ₘ', 'm'}, {'ₙ', 'n'}, {'ₚ', 'p'}, {'ₛ', 's'}, {'ₜ', 't'}, {'ⱼ', 'j'},
}

// digits64 maps the characters of base64 and base64url to their value + 1, others to 0.
var digits64 = digitTable()

func digitTable() (t [256]byte) {
	for i, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/" {
		t[c] = byte(i + 1)
	}
	t['-'], t['_'] = t['+'], t['/']
	return t
}

// nextRun returns the first run at or after from of at least minRun digits of base64.
// It goes on over line ends as long as each line but the last has minRun of them.
func nextRun(b []byte, from int) (start, end int, ok bool) {
	for p := from + minRun - 1; p < len(b); {
		if digits64[b[p]] == 0 {
			p += minRun
			continue
		}
		start, end = p, p+1
		for start > from && digits64[b[start-1]] != 0 {
			start--
		}
		for end < len(b) && digits64[b[end]] != 0 {
			end++
		}
		if end-start >= minRun {
			return start, joinLines(b, start, end), true
		}
		from = end
		p = end + minRun
	}
	return 0, 0, false
}

// joinLines extends a run whose first line is b[start:end].
func joinLines(b []byte, start, end int) int {
	for end-start >= minRun {
		i := end
		for i < len(b) && (b[i] == '\r' || b[i] == '\n' || b[i] == ' ' || b[i] == '\t') {
			i++
		}
		if i == end || bytes.IndexByte(b[end:i], '\n') < 0 && bytes.IndexByte(b[end:i], '\r') < 0 {
			return end
		}
		start = i
		for i < len(b) && digits64[b[i]] != 0 {
			i++
		}
		if i == start {
			return end
		}
		end = i
	}
	return end
}

// decode64 returns what run means as base64 of either alphabet in the memory of dst,
// skipping other characters.
func decode64(dst, run []byte) []byte {
	if cap(dst) < len(run) {
		dst = make([]byte, len(run))
	}
	dst = dst[:len(run)]
	n := 0
	var acc uint32
	var bits uint
	for i := 0; i < len(run); {
		if bits == 0 && i+4 <= len(run) { // four digits are three bytes
			a, b, c, d := digits64[run[i]], digits64[run[i+1]], digits64[run[i+2]], digits64[run[i+3]]
			if a != 0 && b != 0 && c != 0 && d != 0 {
				v := uint32(a-1)<<18 | uint32(b-1)<<12 | uint32(c-1)<<6 | uint32(d-1)
				dst[n], dst[n+1], dst[n+2] = byte(v>>16), byte(v>>8), byte(v) //nolint:gosec // three bytes of it
				n += 3
				i += 4
				continue
			}
		}
		d := digits64[run[i]]
		i++
		if d == 0 {
			continue
		}
		acc = acc<<6 | uint32(d-1)
		if bits += 6; bits >= 8 {
			bits -= 8
			dst[n] = byte(acc >> bits) //nolint:gosec // the low eight bits
			n++
		}
	}
	return dst[:n]
}

// decodeHex appends what the hexadecimal digits of run mean to dst, skipping others.
func decodeHex(dst, run []byte) []byte {
	half, odd := byte(0), false
	for _, c := range run {
		d, ok := hexDigit(c)
		switch {
		case !ok:
			continue
		case odd:
			dst = append(dst, half<<4|d)
		default:
			half = d
		}
		odd = !odd
	}
	return dst
}

// nextHex returns the first stretch at or after from of at least minRun hexadecimal
// digits and line ends.
func nextHex(run []byte, from int) (start, end int, ok bool) {
	isHex := func(c byte) bool {
		_, digit := hexDigit(c)
		return digit || c == '\n' || c == '\r' || c == ' ' || c == '\t'
	}
	for p := from + minRun - 1; p < len(run); {
		if !isHex(run[p]) {
			p += minRun
			continue
		}
		start, end = p, p+1
		for start > from && isHex(run[start-1]) {
			start--
		}
		for end < len(run) && isHex(run[end]) {
			end++
		}
		if end-start >= minRun {
			return start, end, true
		}
		from = end
		p = end + minRun
	}
	return 0, 0, false
}

// hasText tells whether minWord printable ASCII characters follow each other in b.
func hasText(b []byte) bool {
	printable := func(c byte) bool { return c >= ' ' && c < 0x7f || c == '\n' || c == '\r' || c == '\t' }
	for p := minWord - 1; p < len(b); {
		if !printable(b[p]) {
			p += minWord
			continue
		}
		start := p
		for start > 0 && p-start < minWord && printable(b[start-1]) {
			start--
		}
		end := p + 1
		for end < len(b) && end-start < minWord && printable(b[end]) {
			end++
		}
		if end-start >= minWord {
			return true
		}
		p = end + minWord
	}
	return false
}

func hexDigit(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
