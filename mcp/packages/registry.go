package packages

import (
	"bytes"
	"context"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// NPMRegistry is the registry of the npm project.
const NPMRegistry = "https://registry.npmjs.org"

// Bounds of what a registry answers, in bytes.
const (
	maxPackument    = 64 << 20
	maxArchive      = 64 << 20
	maxAttestations = 4 << 20
)

// abbreviated asks for what installers need and not for readmes.
const abbreviated = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8"

// registry reads one npm registry. Nothing that it says is trusted beyond a name, and
// nothing is fetched from elsewhere.
type registry struct {
	base   string // without a slash at its end
	origin abi.Origin
	client *broker.Operator
}

func newRegistry(base string, client *broker.Operator) (registry, error) {
	base = strings.TrimRight(base, "/")
	u, err := abi.ParseURL(base + "/")
	if err != nil {
		return registry{}, fmt.Errorf("npm registry: %w", err)
	}
	if client == nil {
		return registry{}, errors.New("npm registry: it is reached with a client of the broker")
	}
	return registry{base, u.Origin, client}, nil
}

var (
	// Old names have capitals, so they are read; no part begins with a dot.
	nameRE    = regexp.MustCompile(`^(@[A-Za-z0-9~_-][A-Za-z0-9._~-]*/)?[A-Za-z0-9~_-][A-Za-z0-9._~-]*$`)
	versionRE = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
)

func validName(name string) bool {
	return len(name) <= 214 && nameRE.MatchString(name) && name != "node_modules" && !strings.HasSuffix(name, "/node_modules")
}

func validVersion(v string) bool { return len(v) <= 128 && versionRE.MatchString(v) }

// packument is what a registry says of all versions of a package.
type packument struct {
	Name     string                     `json:"name"`
	Tags     map[string]string          `json:"dist-tags"`
	Versions map[string]json.RawMessage `json:"versions"`
}

// manifest is what it says of one.
type manifest struct {
	Name         string            `json:"name"`
	Version      string            `json:"version"`
	Dependencies map[string]string `json:"dependencies"`
	Optional     map[string]string `json:"optionalDependencies"`
	Peers        map[string]string `json:"peerDependencies"`
	PeersMeta    map[string]struct {
		Optional bool `json:"optional"`
	} `json:"peerDependenciesMeta"`
	Bundled    json.RawMessage `json:"bundleDependencies"`
	BundledOld json.RawMessage `json:"bundledDependencies"`
	OS         words           `json:"os"`
	CPU        words           `json:"cpu"`
	Dist       struct {
		Tarball      string          `json:"tarball"`
		Integrity    string          `json:"integrity"`
		Attestations json.RawMessage `json:"attestations"`
	} `json:"dist"`
}

// words is a list, or one word in its place.
type words []string

// UnmarshalJSON implements json.Unmarshaler.
func (w *words) UnmarshalJSON(b []byte) error {
	var one string
	if err := json.Unmarshal(b, &one); err == nil {
		*w = words{one}
		return nil
	}
	return json.Unmarshal(b, (*[]string)(w))
}

// packument fetches what the registry says of a package.
func (r registry) packument(ctx context.Context, name string) (*packument, error) {
	b, found, err := r.get(ctx, r.base+"/"+strings.Replace(name, "/", "%2f", 1), abbreviated, maxPackument)
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, refuse(reason.Unknown, "", "the registry %s has no package %q", r.base, name)
	}
	return decodePackument(b, name)
}

func decodePackument(b []byte, name string) (*packument, error) {
	var p packument
	err := abi.CheckJSON(b, 64)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err == nil && p.Name != name {
		err = fmt.Errorf("it is about %.80q", p.Name)
	}
	if err != nil {
		return nil, &reason.Refusal{Reason: reason.Malformed, What: fmt.Sprintf("what the registry says of package %q cannot be read", name), Err: err}
	}
	return &p, nil
}

// manifest reads what p says of a version.
func (p *packument) manifest(version string) (*manifest, error) {
	m := &manifest{}
	if err := json.Unmarshal(p.Versions[version], m); err != nil {
		return nil, &reason.Refusal{Reason: reason.Malformed, What: fmt.Sprintf("what the registry says of %s@%s cannot be read", p.Name, version), Err: err}
	}
	if m.Name != p.Name || m.Version != version {
		return nil, refuse(reason.Malformed, "", "what the registry says of %s@%s is about %.80q@%.80q", p.Name, version, m.Name, m.Version)
	}
	return m, nil
}

// source returns where the archive of m is and which SHA-512 it must have.
func (r registry) source(m *manifest) (url, integrity string, err error) {
	url = m.Dist.Tarball
	u, err := abi.ParseURL(url)
	if err != nil || u.Origin != r.origin || !strings.HasPrefix(url, r.base+"/") {
		return "", "", refuse(reason.Lock, "", "%s@%s is at %.200q, and only %s was named for packages", m.Name, m.Version, url, r.base)
	}
	for _, word := range strings.Fields(m.Dist.Integrity) {
		if _, err := sum(word); err == nil {
			return url, word, nil
		}
	}
	return "", "", refuse(reason.Lock, "", "%s@%s has no sha512 integrity (%.120q)", m.Name, m.Version, m.Dist.Integrity)
}

// sum reads "sha512-BASE64".
func sum(integrity string) ([sha512.Size]byte, error) {
	text, ok := strings.CutPrefix(integrity, "sha512-")
	b, err := base64.StdEncoding.Strict().DecodeString(text)
	if !ok || err != nil || len(b) != sha512.Size {
		return [sha512.Size]byte{}, fmt.Errorf("integrity %.120q is not sha512-BASE64", integrity)
	}
	return [sha512.Size]byte(b), nil
}

// archive fetches the archive of p and holds it against its integrity.
func (r registry) archive(ctx context.Context, p Resolved) ([]byte, error) {
	want, err := sum(p.Integrity)
	if err != nil {
		return nil, err
	}
	b, found, err := r.get(ctx, p.URL, "application/octet-stream", maxArchive)
	if err != nil {
		return nil, err
	}
	if got := sha512.Sum512(b); !found || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
		return nil, refuse(reason.Integrity, "npm view "+p.Name+"@"+p.Version+" dist.integrity", "the archive of %s is not the one with %s", p, p.Integrity)
	}
	return b, nil
}

// attestations fetches the attestations of a version; none is not an error.
func (r registry) attestations(ctx context.Context, name, version string) ([]attestation, error) {
	b, found, err := r.get(ctx, r.base+"/-/npm/v1/attestations/"+strings.Replace(name, "/", "%2f", 1)+"@"+version, "application/json", maxAttestations)
	if err != nil || !found {
		return nil, err
	}
	var doc struct {
		Attestations []attestation `json:"attestations"`
	}
	if err = abi.CheckJSON(b, 64); err == nil {
		err = json.Unmarshal(b, &doc)
	}
	if err != nil {
		return nil, &reason.Refusal{Reason: reason.Malformed, What: fmt.Sprintf("the attestations of %s@%s cannot be read", name, version), Err: err}
	}
	return doc.Attestations, nil
}

// get reads a document of at most limit bytes; found is false where there is none.
func (r registry) get(ctx context.Context, url, accept string, limit int64) (b []byte, found bool, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, false, err
	}
	req.Header.Set("Accept", accept)
	resp, err := r.client.HTTP().Do(req)
	if err != nil {
		return nil, false, &reason.Refusal{Reason: reason.Down, What: "the registry does not answer", Fix: "try again; " + r.base + " must be reachable to install", Err: err}
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, false, nil
	default:
		return nil, false, refuse(reason.Down, "try again", "the registry answers %d to %.200q", resp.StatusCode, url)
	}
	var buf bytes.Buffer
	n, err := io.Copy(&buf, io.LimitReader(resp.Body, limit+1))
	switch {
	case n > limit:
		return nil, false, refuse(reason.Oversize, "", "%.200q has more than %d bytes", url, limit)
	case err != nil:
		return nil, false, &reason.Refusal{Reason: reason.Down, What: "the registry breaks off", Fix: "try again", Err: err}
	}
	return buf.Bytes(), true, nil
}

func refuse(why reason.Reason, fix, format string, args ...any) error {
	return &reason.Refusal{Reason: why, What: fmt.Sprintf(format, args...), Fix: fix}
}
