package abi

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// The characters that stand for themselves in a canonical path or query; RFC 3986
// section 3.3, with the brackets that net/url leaves alone.
const (
	unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
	pathChars  = unreserved + "!$&'()*+,;=:@/"
	queryChars = unreserved + "!$&'()*+,;=:@/?[]|^`{}"
	upperHex   = "0123456789ABCDEF"
)

// canonicalPath decodes unreserved characters, encodes what must be, and resolves
// dot segments. It refuses what servers split or decode differently.
func canonicalPath(path string) (string, error) {
	if path == "" {
		return "/", nil
	}
	if strings.Contains(path, "//") {
		return "", errors.New("empty segment (//) in the path")
	}
	var out []string
	segments := strings.Split(path[1:], "/")
	for i, raw := range segments {
		segment, err := canonicalSegment(raw)
		if err != nil {
			return "", err
		}
		last := i == len(segments)-1
		switch segment {
		case ".":
			segment = ""
		case "..":
			out = out[:max(0, len(out)-1)]
			segment = ""
		default:
			out = append(out, segment)
			continue
		}
		if last {
			out = append(out, segment) // a directory keeps its slash
		}
	}
	return "/" + strings.Join(out, "/"), nil
}

func canonicalSegment(raw string) (string, error) {
	var b strings.Builder
	decoded := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c == '%' {
			v, ok := unhex(raw[i+1:])
			if !ok {
				return "", errors.New("percent sign without two hexadecimal digits in the path")
			}
			if v < 0x20 || v == 0x7f || v == '/' || v == '\\' {
				return "", fmt.Errorf("encoded separator or control character %q in the path", raw[i:i+3])
			}
			decoded = append(decoded, v)
			if strings.IndexByte(unreserved, v) >= 0 {
				b.WriteByte(v)
			} else {
				writeEscaped(&b, v)
			}
			i += 2
			continue
		}
		if c <= ' ' || c == 0x7f || c == '\\' {
			return "", fmt.Errorf("character %q in the path", c)
		}
		decoded = append(decoded, c)
		if strings.IndexByte(pathChars, c) >= 0 {
			b.WriteByte(c)
		} else {
			writeEscaped(&b, c)
		}
	}
	return b.String(), ambiguousSegment(decoded)
}

// ambiguousSegment refuses segments that some server takes for a separator or for a
// dot segment: a second decoding, path parameters, compatibility characters, and
// bytes that are not UTF-8 (overlong forms of a slash).
func ambiguousSegment(decoded []byte) error {
	s := string(decoded)
	if !utf8.ValidString(s) {
		return errors.New("encoded bytes that are not UTF-8 in the path")
	}
	for i := range len(s) {
		if v, ok := unhex(s[i+1:]); ok && s[i] == '%' {
			if v < 0x20 || v == 0x7f || v == '/' || v == '\\' || v == '.' || v == '%' {
				return fmt.Errorf("twice encoded %q in the path", s[i:i+3])
			}
		}
	}
	if name, _, cut := strings.Cut(s, ";"); cut && (name == "." || name == "..") {
		return errors.New("dot segment with parameters in the path")
	}
	if folded := norm.NFKC.String(s); folded != s {
		name, _, _ := strings.Cut(folded, ";")
		if strings.ContainsAny(folded, `/\%`) || name == "." || name == ".." {
			return errors.New("characters in the path that are equivalent to a separator or to dots")
		}
	}
	return nil
}

// canonicalQuery encodes what must be and otherwise leaves the bytes alone:
// signatures depend on them.
func canonicalQuery(query string) (string, error) {
	var b strings.Builder
	for i := range len(query) {
		c := query[i]
		switch {
		case c == '%':
			if _, ok := unhex(query[i+1:]); !ok {
				return "", errors.New("percent sign without two hexadecimal digits in the query")
			}
			b.WriteByte(c)
		case strings.IndexByte(queryChars, c) >= 0:
			b.WriteByte(c)
		default:
			writeEscaped(&b, c)
		}
	}
	return b.String(), nil
}

func writeEscaped(b *strings.Builder, c byte) {
	b.WriteByte('%')
	b.WriteByte(upperHex[c>>4])
	b.WriteByte(upperHex[c&15])
}

// unhex returns the value of the two hexadecimal digits that s begins with.
func unhex(s string) (byte, bool) {
	if len(s) < 2 {
		return 0, false
	}
	hi, lo := strings.IndexByte(upperHex, upper(s[0])), strings.IndexByte(upperHex, upper(s[1]))
	return byte(hi<<4 | lo), hi >= 0 && lo >= 0
}

func upper(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - ('a' - 'A')
	}
	return c
}

// checkPathPattern accepts what MatchPath understands.
func checkPathPattern(pattern string) error {
	if !strings.HasPrefix(pattern, "/") || len(pattern) > 1024 {
		return fmt.Errorf("path %q: want at most 1024 bytes that begin with a slash, such as /repos/**", clip(pattern))
	}
	if pattern == "/" {
		return nil
	}
	segments := strings.Split(pattern[1:], "/")
	for i, s := range segments {
		switch {
		case s == "*", s == "**" && i == len(segments)-1:
		case s == "**":
			return fmt.Errorf("path %q: ** stands for the rest and comes last", clip(pattern))
		case strings.Contains(s, "*"):
			return fmt.Errorf("path %q: * stands for a whole segment; prefixes and suffixes are not matched", clip(pattern))
		}
	}
	canonical, err := canonicalPath(pattern)
	if err != nil {
		return fmt.Errorf("path %q: %w", clip(pattern), err)
	}
	if canonical != pattern {
		return fmt.Errorf("path %q: write its canonical form %q", clip(pattern), clip(canonical))
	}
	return nil
}

// MatchPath reports whether the canonical path of a URL matches pattern, in which a
// segment * stands for one non-empty segment and a last segment ** for the rest,
// which may be empty: /a/** matches /a/ and /a/b/c, but not /a.
func MatchPath(pattern, path string) bool {
	if !strings.HasPrefix(pattern, "/") || !strings.HasPrefix(path, "/") {
		return false
	}
	pattern, path = pattern[1:], path[1:]
	for {
		want, moreWant, patternGoesOn := strings.Cut(pattern, "/")
		if want == "**" && !patternGoesOn {
			return true
		}
		got, moreGot, pathGoesOn := strings.Cut(path, "/")
		if want == "*" && got == "" || want != "*" && want != got {
			return false
		}
		if patternGoesOn != pathGoesOn {
			return false
		}
		if !patternGoesOn {
			return true
		}
		pattern, path = moreWant, moreGot
	}
}

// meetPath returns the pattern of the paths that both a and b match.
func meetPath(a, b string) (string, bool) {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	var out []string
	for i := 0; ; i++ {
		switch {
		case i == len(as) || i == len(bs):
			return strings.Join(out, "/"), len(as) == len(bs)
		case as[i] == "**" && i == len(as)-1:
			return strings.Join(append(out, bs[i:]...), "/"), true
		case bs[i] == "**" && i == len(bs)-1:
			return strings.Join(append(out, as[i:]...), "/"), true
		case as[i] == bs[i], bs[i] == "*" && as[i] != "":
			out = append(out, as[i])
		case as[i] == "*" && bs[i] != "":
			out = append(out, bs[i])
		default:
			return "", false
		}
	}
}
