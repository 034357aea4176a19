package abi

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// MaxURL bounds the text of one URL, in bytes.
const MaxURL = 8 * KiB

// Origin is a canonical scheme://host[:port]: scheme http or https, host an A-label
// name in lower case or an IP literal, the default port left out (RFC 6454).
type Origin string

// OriginPattern is an origin whose host may begin with "*.", which stands for
// exactly one label.
type OriginPattern string

// URL is a canonical absolute http or https URL. User and fragment have no place in
// it. What is compared with a grant is this value, and what is dialled and sent is
// its String: there is no second parser in between.
type URL struct {
	Origin Origin
	Scheme string // http or https
	Host   string // A-label name, or IP address without brackets
	Port   uint16 // always set
	Path   string // escaped, begins with /, without dot segments
	Query  string // escaped, without the question mark
}

// ErrURL is the cause of every refusal of ParseURL, ParseOrigin and ParseOriginPattern.
var ErrURL = errors.New("refused URL")

func urlErrorf(s, format string, args ...any) error {
	return fmt.Errorf("%w %q: %s", ErrURL, clip(s), fmt.Sprintf(format, args...))
}

// String returns the text that is dialled and sent.
func (u URL) String() string {
	s := string(u.Origin) + u.Path
	if u.Query != "" {
		s += "?" + u.Query
	}
	return s
}

// ParseURL canonicalises s once, for comparing, dialling and showing alike. It reads
// what the WHATWG URL standard reads for plain http and https URLs, and refuses the
// spellings that parsers disagree about: user information, backslashes, white space
// and controls, empty path segments, encoded separators (also twice encoded), IPv4
// addresses that are not plain dotted quads, zone identifiers, trailing dots.
func ParseURL(s string) (URL, error) {
	if len(s) > MaxURL {
		return URL{}, urlErrorf(s, "longer than %d bytes", MaxURL)
	}
	if !utf8.ValidString(s) {
		return URL{}, urlErrorf(s, "not valid UTF-8")
	}
	if strings.ContainsFunc(s, isSpaceOrControl) {
		return URL{}, urlErrorf(s, "white space or control characters")
	}
	if strings.Contains(s, `\`) {
		return URL{}, urlErrorf(s, "backslash")
	}
	s, _, _ = strings.Cut(s, "#")
	authority, rest, u, err := splitScheme(s)
	if err != nil {
		return URL{}, err
	}
	if err := u.setAuthority(s, authority); err != nil {
		return URL{}, err
	}
	path, query, _ := strings.Cut(rest, "?")
	if u.Path, err = canonicalPath(path); err != nil {
		return URL{}, urlErrorf(s, "%s", err)
	}
	if u.Query, err = canonicalQuery(query); err != nil {
		return URL{}, urlErrorf(s, "%s", err)
	}
	return u, u.sameToNetURL()
}

func isSpaceOrControl(r rune) bool {
	return r <= ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0) || hidden(r)
}

func splitScheme(s string) (authority, rest string, u URL, err error) {
	i := strings.Index(s, "://")
	if i < 0 {
		return "", "", u, urlErrorf(s, "want an absolute URL such as https://example.com/")
	}
	switch u.Scheme = asciiLower(s[:i]); u.Scheme {
	case "http":
		u.Port = 80
	case "https":
		u.Port = 443
	default:
		return "", "", u, urlErrorf(s, "scheme %q; want http or https", clip(s[:i]))
	}
	s = s[i+3:]
	if end := strings.IndexAny(s, "/?"); end >= 0 {
		return s[:end], s[end:], u, nil
	}
	return s, "", u, nil
}

// setAuthority fills in Host, Port and Origin.
func (u *URL) setAuthority(s, authority string) error {
	if strings.Contains(authority, "@") {
		return urlErrorf(s, "user information before the host")
	}
	host, port, hasPort := authority, "", false
	if end := strings.LastIndexByte(authority, ']'); end >= 0 || !strings.HasPrefix(authority, "[") {
		if i := strings.LastIndexByte(authority, ':'); i > end {
			host, port, hasPort = authority[:i], authority[i+1:], true
		}
	}
	var err error
	if u.Host, err = canonicalHost(host); err != nil {
		return urlErrorf(s, "%s", err)
	}
	standard := u.Port
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || port[0] == '0' || port[0] == '+' {
			return urlErrorf(s, "port %q; want 1 to 65535", clip(port))
		}
		u.Port = uint16(n)
	}
	origin := u.Scheme + "://" + u.Host
	if strings.Contains(u.Host, ":") {
		origin = u.Scheme + "://[" + u.Host + "]"
	}
	if u.Port != standard {
		origin += ":" + strconv.Itoa(int(u.Port))
	}
	u.Origin = Origin(origin)
	return nil
}

// sameToNetURL refuses a URL that net/url, and with it net/http, would take for
// another one.
func (u URL) sameToNetURL() error {
	text := u.String()
	p, err := url.Parse(text)
	if err != nil {
		return urlErrorf(text, "not accepted by net/url")
	}
	port := p.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[p.Scheme]
	}
	if p.Scheme != u.Scheme || p.Hostname() != u.Host || port != strconv.Itoa(int(u.Port)) ||
		p.EscapedPath() != u.Path || p.RawQuery != u.Query || p.User != nil || p.Fragment != "" {
		return urlErrorf(text, "two readings of it differ")
	}
	return nil
}

// hostProfile is UTS #46, non-transitional, for names that are looked up.
var hostProfile = idna.New(idna.MapForLookup(), idna.Transitional(false), idna.StrictDomainName(true),
	idna.BidiRule(), idna.CheckJoiners(true), idna.CheckHyphens(false), idna.VerifyDNSLength(true))

// canonicalHost returns the A-label form of a name, or the canonical text of an IP
// literal without its brackets.
func canonicalHost(host string) (string, error) {
	if host == "" {
		return "", errors.New("no host")
	}
	if inner, ok := strings.CutPrefix(host, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		addr, err := netip.ParseAddr(inner)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", fmt.Errorf("host %q; want an IPv6 address without a zone in the brackets", clip(host))
		}
		return addr.String(), nil
	}
	if strings.ContainsAny(host, "%:[]") {
		return "", fmt.Errorf("host %q; percent signs, colons and brackets have no place in a name", clip(host))
	}
	if strings.HasSuffix(host, ".") {
		return "", fmt.Errorf("host %q ends in a dot; leave it out", clip(host))
	}
	name, err := hostProfile.ToASCII(host)
	if err != nil || name == "" {
		return "", fmt.Errorf("host %q is not a domain name (IDNA)", clip(host))
	}
	if again, err := hostProfile.ToASCII(name); err != nil || again != name {
		return "", fmt.Errorf("host %q has no stable ASCII form", clip(host))
	}
	if !numericLabel(name[strings.LastIndexByte(name, '.')+1:]) {
		return name, plainName(name)
	}
	// inet_aton and friends read 0x7f.1, 017700000001 and 2130706433 as addresses.
	addr, err := netip.ParseAddr(name)
	if err != nil || !addr.Is4() || addr.String() != host {
		return "", fmt.Errorf("host %q ends in a number; an IPv4 address has four plain decimal parts", clip(host))
	}
	return name, nil
}

// plainName holds the result of IDNA to letters, digits, hyphens and dots.
func plainName(name string) error {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return fmt.Errorf("host %q: label %q", clip(name), clip(label))
		}
		for _, c := range []byte(label) {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' {
				return fmt.Errorf("host %q: character %q", clip(name), c)
			}
		}
	}
	if len(name) > 253 {
		return fmt.Errorf("host %q: longer than 253 bytes", clip(name))
	}
	return nil
}

// numericLabel is the WHATWG test "ends in a number": decimal, octal or hexadecimal.
func numericLabel(label string) bool {
	digits := "0123456789"
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		label, digits = hex, "0123456789abcdef"
	}
	return strings.Trim(label, digits) == ""
}

func asciiLower(s string) string {
	b := []byte(s)
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			b[i] = c + 'a' - 'A'
		}
	}
	return string(b)
}
