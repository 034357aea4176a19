package artifact

import (
	"net/netip"
	"net/url"
	"regexp"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"oras.land/oras-go/v2/registry"
)

// Kind says what a reference leads to.
type Kind uint8

// The kinds of places. The zero value is none.
const (
	Registry Kind = iota + 1 // an OCI registry: oci://host/repository:tag
	Web                      // an OCI layout folder on a static server: https://host/folder
	Folder                   // an OCI layout folder
	File                     // a single file, as WriteTar writes it: hello-1.2.0.skill.tar
)

// Ref is a place of an artifact, with what is wanted there.
type Ref struct {
	Kind   Kind
	Place  string     // host/repository, URL without a final slash, or path
	Tag    string     // "" when none was given
	Digest abi.Digest // the pin; "" when none was given
}

// tagPattern is the one of the OCI distribution specification 1.1.
var tagPattern = regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}$`)

// ParseRef reads oci://host/repository, https://host/folder (http:// with a loopback
// address), the path of a .tar or that of a folder, each followed by :tag, by
// @sha256:digest, by both or by neither.
func ParseRef(s string) (Ref, error) {
	bad := func(format string, args ...any) (Ref, error) {
		return Ref{}, refuse(ReasonReference, "reference %q: "+format, append([]any{s}, args...)...).
			hint("oci://registry.example/hello:1.2.0, https://skills.example/hello@sha256:…, ./folder or hello-1.2.0.skill.tar")
	}
	var r Ref
	rest := s
	if head, pin, ok := strings.Cut(s, "@"); ok {
		var err error
		if r.Digest, err = abi.ParseDigest(pin); err != nil {
			return bad("%v", err)
		}
		rest = head
	}
	scheme, place, ok := strings.Cut(rest, "://")
	if !ok {
		scheme, place = "", rest
	}
	slash := strings.LastIndexByte(place, '/')
	if colon := strings.LastIndexByte(place, ':'); colon > slash && (scheme == "" || slash >= 0) {
		place, r.Tag = place[:colon], place[colon+1:]
		if !tagPattern.MatchString(r.Tag) {
			return bad("the tag %q", r.Tag)
		}
	}
	if strings.ContainsFunc(place, func(c rune) bool { return c < ' ' || c == 0x7f }) || place == "" {
		return bad("no place")
	}
	switch scheme {
	case "oci":
		if p, err := registry.ParseReference(place); err != nil || p.Reference != "" || p.Registry+"/"+p.Repository != place {
			return bad("want oci://host/repository")
		}
		r.Kind, r.Place = Registry, place
	case "https", "http":
		u, err := url.Parse(scheme + "://" + strings.TrimSuffix(place, "/"))
		if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
			return bad("want https://host/folder")
		}
		if scheme == "http" && !loopback(u.Hostname()) {
			return bad("plain http is for a loopback address such as 127.0.0.1")
		}
		r.Kind, r.Place = Web, u.String()
	case "":
		r.Kind, r.Place = Folder, place
		if strings.HasSuffix(place, ".tar") {
			r.Kind = File
		}
	default:
		return bad("the scheme %q", scheme)
	}
	return r, nil
}

// Origin returns where a registry or a static server is asked, "" for a path.
func (r Ref) Origin() abi.Origin {
	switch r.Kind {
	case Registry:
		host := registry.Reference{Registry: r.registry()}.Host()
		name, _, _ := strings.Cut(host, ":")
		if a, err := netip.ParseAddrPort(host); err == nil {
			name = a.Addr().String()
		}
		if loopback(name) {
			return abi.Origin("http://" + host)
		}
		return abi.Origin("https://" + host)
	case Web:
		if u, err := url.Parse(r.Place); err == nil {
			return abi.Origin(u.Scheme + "://" + u.Host)
		}
	case Folder, File:
	}
	return ""
}

func (r Ref) registry() string {
	host, _, _ := strings.Cut(r.Place, "/")
	return host
}

// String returns the text that ParseRef reads.
func (r Ref) String() string {
	s := r.Place
	if r.Kind == Registry {
		s = "oci://" + s
	}
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + string(r.Digest)
	}
	return s
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && a.IsLoopback()
}
