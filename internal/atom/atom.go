// Package atom reads the values that decide what a call does — addresses, accounts,
// amounts, names — into typed, canonical atoms, so that "the owner said it" is
// equality and never similarity.
//
// Doubt means not equal: a value that could be read two ways stays plain text, and
// text equals only the same words in the same order.
package atom

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// Kind is the type of an atom: atoms of different kinds are never equal.
type Kind uint8

// The kinds.
const (
	None      Kind = iota
	Separator      // punctuation between words
	Word           // one word of plain text
	Email          // an addr-spec (RFC 5322) with its domain in A-labels
	URL            // an absolute http or https URL
	Domain         // a bare host name
	Account        // an account number, IBAN-shaped (ISO 13616)
	Phone          // E.164
	Path           // a file path with at least one slash
	Number         // an exact decimal
	Date           // a day or a time of day, ISO 8601 or written out
	Quoted         // a quoted phrase: its words belong together
)

// String returns the kind's name.
func (k Kind) String() string {
	names := [...]string{"none", "separator", "word", "email", "url", "domain", "account", "phone", "path", "number", "date", "quoted"}
	if int(k) < len(names) {
		return names[k]
	}
	return "unknown"
}

// Atom is one typed value in canonical form.
type Atom struct {
	Kind  Kind
	Value string
}

// ErrHidden is returned for a value with characters that a person cannot see.
var ErrHidden = errors.New("value holds hidden characters")

// clean returns s in NFKC, without outer space and with inner space collapsed. C0
// and C1 controls, bidi controls, zero-width and tag characters are an error.
func clean(s string) (string, error) {
	if plain(s) && (s == "" || s[0] != ' ' && s[len(s)-1] != ' ' && !strings.Contains(s, "  ")) {
		return s, nil
	}
	for _, r := range s {
		if hidden(r) {
			return "", fmt.Errorf("%w: U+%04X", ErrHidden, r)
		}
	}
	return strings.Join(strings.Fields(norm.NFKC.String(s)), " "), nil
}

// plain reports whether s is printable ASCII on one line: its own canonical form.
func plain(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

func hidden(r rune) bool {
	switch {
	case r == '\t' || r == '\n' || r == '\r':
		return false
	case unicode.Is(unicode.Cc, r), unicode.Is(unicode.Cf, r), r == unicode.ReplacementChar:
		return true
	case r >= 0x115F && r <= 0x1160, r == 0x3164, r == 0xFFA0, r >= 0xFE00 && r <= 0xFE0F, r >= 0xE0000 && r <= 0xE0FFF, r == 0x2028, r == 0x2029:
		return true
	}
	return false
}

func domain(s string) (string, bool) {
	a, err := idna.Lookup.ToASCII(strings.TrimSuffix(s, "."))
	if err != nil || len(a) > 253 || !strings.Contains(a, ".") {
		return "", false
	}
	last := a[strings.LastIndexByte(a, '.')+1:]
	if last == "" || last[0] >= '0' && last[0] <= '9' {
		return "", false
	}
	return strings.ToLower(a), true
}

func email(s string) (Atom, bool) {
	local, host, ok := strings.Cut(s, "@")
	if !ok || local == "" || strings.ContainsAny(local, "\"()<>[]:;,\\ ") || strings.Contains(host, "@") {
		return Atom{}, false
	}
	d, ok := domain(host)
	if !ok {
		return Atom{}, false
	}
	return Atom{Email, strings.Map(asciiLower, local) + "@" + d}, true
}

func asciiLower(r rune) rune {
	if r >= 'A' && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}

// link reads an absolute URL. Its canonical form is what the broker would dial:
// default port dropped, dot segments resolved, unreserved characters decoded.
func link(s string) (Atom, bool) {
	u, err := url.Parse(s)
	if err != nil || u.User != nil || u.Opaque != "" || strings.ContainsAny(s, "\\ ") {
		return Atom{}, false
	}
	scheme := strings.ToLower(u.Scheme)
	if scheme != "http" && scheme != "https" || u.Host == "" {
		return Atom{}, false
	}
	host, ok := domain(u.Hostname())
	if !ok {
		ip, err := netip.ParseAddr(u.Hostname())
		if err != nil || ip.Zone() != "" {
			if !strings.EqualFold(u.Hostname(), "localhost") {
				return Atom{}, false
			}
			host = "localhost"
		} else if host = ip.String(); ip.Is6() {
			host = "[" + host + "]"
		}
	}
	if p := u.Port(); p != "" && !(scheme == "http" && p == "80") && !(scheme == "https" && p == "443") {
		host += ":" + p
	}
	p := u.EscapedPath()
	if strings.Contains(strings.ToLower(p), "%2f") || strings.Contains(strings.ToLower(p), "%5c") || strings.Contains(p, "%00") {
		return Atom{}, false
	}
	out := (&url.URL{Path: tidy(u.Path)}).EscapedPath()
	if u.RawQuery != "" {
		out += "?" + u.RawQuery
	}
	return Atom{URL, scheme + "://" + host + out}, true
}

// tidy resolves dot segments and keeps a trailing slash.
func tidy(p string) string {
	if p == "" {
		return "/"
	}
	out := path.Clean(p)
	if strings.HasSuffix(p, "/") && out != "/" {
		out += "/"
	}
	return out
}

var (
	accountRE = regexp.MustCompile(`^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$`)
	phoneRE   = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	numberRE  = regexp.MustCompile(`^-?(?:0|[1-9][0-9]*|[1-9][0-9]{0,2}(?:,[0-9]{3})+)(?:\.[0-9]+)?$`)
	unclearRE = regexp.MustCompile(`^[1-9][0-9]{0,2}[.,][0-9]{3}$`) // 1.200 and 1,200: thousands or a fraction
)

func account(s string) (Atom, bool) {
	v := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(s))
	if !accountRE.MatchString(v) {
		return Atom{}, false
	}
	return Atom{Account, v}, true
}

func phone(s string) (Atom, bool) {
	v := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", ".", "").Replace(s)
	if !phoneRE.MatchString(v) {
		return Atom{}, false
	}
	return Atom{Phone, v}, true
}

// number reads an exact decimal: 98.70 = 98.7, 1,200 = 1200. 1.200 is refused, since
// half of the world reads it as 1200.
func number(s string) (Atom, bool) {
	if !numberRE.MatchString(s) || unclearRE.MatchString(s) && strings.Contains(s, ".") {
		return Atom{}, false
	}
	s = strings.ReplaceAll(s, ",", "")
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	if s == "-0" {
		s = "0"
	}
	return Atom{Number, s}, true
}

func filePath(s string) (Atom, bool) {
	if !strings.Contains(s, "/") || strings.Contains(s, "//") || strings.ContainsAny(s, "\\\x00") {
		return Atom{}, false
	}
	return Atom{Path, path.Clean(s)}, true
}
