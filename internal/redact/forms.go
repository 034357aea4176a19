package redact

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// form is one spelling of a value.
type form struct {
	text  string
	halve bool // half of it counts as well
}

// need returns how many bytes of f are a match, for a value of n bytes.
func (f form) need(n int) int {
	if !f.halve || n < MinSplit || len(f.text) < MinSplit {
		return len(f.text)
	}
	return half(len(f.text))
}

// half is the shortest piece that gives a spelling of n bytes away.
func half(n int) int { return min(n, max(MinSplit, (n+1)/2)) }

// forms returns the spellings of v that the package comment lists. Some may be equal
// to each other or too short to be matched; the caller drops those.
func forms(v string) []form {
	var out []form
	halves := func(texts ...string) {
		for _, t := range texts {
			out = append(out, form{t, true})
		}
	}
	whole := func(texts ...string) {
		for _, t := range texts {
			out = append(out, form{t, false})
		}
	}
	halves(v, asciiFold(v, 'A', 'Z', 32), asciiFold(v, 'a', 'z', -32), reverse(v), reverseRunes(v))
	halves(base64Forms(v)...)
	plain := hex.EncodeToString([]byte(v))
	halves(plain, strings.ToUpper(plain))
	whole(spaced(v), html.EscapeString(v), decimal(v, " "), decimal(v, ","), decimal(v, ", "))
	whole(percentForms(v)...)
	whole(hexForms(v)...)
	whole(quotedForms(v)...)
	return out
}

// looseForms returns what condense leaves of v, of its reversal, its base64 and its hex
// digits; none of a value that is too short, or has too little in it that is a letter
// or a digit.
func looseForms(v string) []string {
	if len(v) < MinSplit {
		return nil
	}
	texts := append([]string{v, reverse(v), hex.EncodeToString([]byte(v))}, base64Forms(v)...)
	var out []string
	for _, t := range texts {
		c := string(condense(nil, []byte(t)))
		if len(c) >= MinSplit && Check([]byte(c)) == nil {
			out = append(out, c)
		}
	}
	return out
}

func reverseRunes(v string) string {
	r := []rune(v)
	slices.Reverse(r)
	return string(r)
}

func asciiFold(v string, lo, hi byte, delta int) string {
	b := []byte(v)
	for i, c := range b {
		if c >= lo && c <= hi {
			b[i] = byte(int(c) + delta)
		}
	}
	return string(b)
}

func reverse(v string) string {
	b := []byte(v)
	slices.Reverse(b)
	return string(b)
}

func spaced(v string) string {
	var b strings.Builder
	for i := range len(v) {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

// percentForms: RFC 3986 section 2.1, as query, as path segment and for every byte.
func percentForms(v string) []string {
	var all strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&all, "%%%02X", v[i])
	}
	query, path := url.QueryEscape(v), url.PathEscape(v)
	spaces := strings.ReplaceAll(query, "+", "%20") // encodeURIComponent and most form encoders
	out := []string{all.String(), query, path, spaces}
	for _, f := range out[:4] {
		out = append(out, lowerHex(f))
	}
	return append(out, url.QueryEscape(query), url.QueryEscape(spaces), url.QueryEscape(path))
}

// lowerHex lower-cases the digits of the percent triplets of s.
func lowerHex(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			b[i+1], b[i+2] = lower(b[i+1]), lower(b[i+2])
			i += 2
		}
	}
	return string(b)
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'F' {
		return c + 32
	}
	return c
}

// base64Forms: RFC 4648 sections 4 and 5. A value inside longer data starts at one of
// three alignments; the characters that also depend on its neighbours are cut off.
func base64Forms(v string) []string {
	var out []string
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		out = append(out, enc.EncodeToString([]byte(v)))
		for before := range 3 {
			text := enc.EncodeToString(append(make([]byte, before), v...))
			from := (before*8 + 5) / 6      // first character that holds no bit of what is before
			to := (before + len(v)) * 8 / 6 // last one that holds no bit of what follows
			out = append(out, text[from:to])
		}
	}
	return out
}

// decimal is how fmt and JSON print a slice of bytes.
func decimal(v, sep string) string {
	var b strings.Builder
	for i := range len(v) {
		if i > 0 {
			b.WriteString(sep)
		}
		b.WriteString(strconv.Itoa(int(v[i])))
	}
	return b.String()
}

func hexForms(v string) []string {
	plain := hex.EncodeToString([]byte(v))
	var pairs []string
	for i := 0; i < len(plain); i += 2 {
		pairs = append(pairs, plain[i:i+2])
	}
	out := []string{plain, strings.Join(pairs, ":"), strings.Join(pairs, " "), `\x` + strings.Join(pairs, `\x`)}
	for _, f := range out[:3] {
		out = append(out, strings.ToUpper(f))
	}
	return append(out, `\x`+strings.ToUpper(strings.Join(pairs, `\X`)))
}

// quotedForms: JSON (RFC 8259 section 7) as encoders differ in it, and Go.
func quotedForms(v string) []string {
	plain, withHTML := jsonEscape(v, false), jsonEscape(v, true)
	slashes := strings.ReplaceAll(plain, "/", `\/`)
	var small, capital strings.Builder
	for _, u := range utf16.Encode([]rune(v)) {
		fmt.Fprintf(&small, `\u%04x`, u)
		fmt.Fprintf(&capital, `\u%04X`, u)
	}
	quoted := strconv.Quote(v)
	ascii := strconv.QuoteToASCII(v)
	return []string{
		plain, withHTML, slashes, strings.ReplaceAll(withHTML, "/", `\/`), small.String(), capital.String(),
		jsonASCII(plain), strings.ReplaceAll(jsonASCII(plain), "/", `\/`),
		jsonEscape(plain, false), jsonEscape(withHTML, true), jsonEscape(slashes, false),
		quoted[1 : len(quoted)-1], ascii[1 : len(ascii)-1],
	}
}

// jsonASCII escapes what is not ASCII in text that is escaped for JSON otherwise.
func jsonASCII(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r < 0x80 {
			b.WriteRune(r)
			continue
		}
		for _, u := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&b, `\u%04x`, u)
		}
	}
	return b.String()
}

func jsonEscape(v string, escapeHTML bool) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(escapeHTML)
	if err := e.Encode(v); err != nil { // cannot happen: a string encodes
		return v
	}
	s := strings.TrimSuffix(b.String(), "\n")
	return s[1 : len(s)-1]
}
