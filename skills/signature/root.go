package signature

import (
	_ "embed"
	"errors"
	"fmt"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Class says what a signature must bring along besides itself. The zero value admits
// nothing.
type Class string

// The classes. The first two are of identities, the others of pinned keys.
const (
	PublicGood   Class = "public-good"   // a log entry, a time by log or authority, a logged certificate
	PrivateV2    Class = "private"       // Rekor v2: a log entry, an authority's time; a logged certificate where the root has such logs
	PinnedWindow Class = "pinned-window" // an authority's time within the key's window
	PinnedPlain  Class = "pinned"        // nothing: the key is trusted until it leaves the configuration
)

// MaxRoot bounds a trusted root, in bytes.
const MaxRoot = 1 * abi.MiB

// publicGood is trusted_root.json of the Sigstore public-good instance, as of
// 2025-09-22 (the first with Rekor v2), out of github.com/sigstore/root-signing at
// 60cf2ce8b2e45d600dc17c4421e8c751e75772be, whose signed targets.json names its
// sha256: 6494e21ea73fa7ee769f85f57d5a3e6a08725eae1e38c755fc3517c9e6bc0b66. See
// docs/adr/0015.
//
//go:embed roots/public-good.json
var publicGood string

// Root is a set of trust anchors with the class of identities under it.
type Root struct {
	Class Class  // PublicGood or PrivateV2
	JSON  []byte // trusted_root.json: application/vnd.dev.sigstore.trustedroot+json;version=0.1
}

// PublicGoodRoot returns the root that this build carries. Nothing refreshes it but
// the operator, with Update.
func PublicGoodRoot() Root { return Root{Class: PublicGood, JSON: []byte(publicGood)} }

// parse reads the anchors, bounded.
func (r Root) parse() (*root.TrustedRoot, error) {
	if len(r.JSON) > MaxRoot {
		return nil, fmt.Errorf("trusted root has %d bytes: more than %d", len(r.JSON), MaxRoot)
	}
	tr, err := root.NewTrustedRootFromJSON(r.JSON)
	if err != nil {
		return nil, fmt.Errorf("trusted root: %w", err)
	}
	return tr, nil
}

// authority is what one class guarantees, on one set of anchors.
type authority struct {
	class    Class
	material root.TrustedMaterial
	sct      bool // certificates must be logged
	verifier *verify.Verifier
}

var errClass = errors.New("no trust class")

// newAuthority fails for the zero class, and for anchors that cannot give what the
// class demands: such an authority would refuse everything, hours later.
func newAuthority(c Class, m root.TrustedMaterial) (*authority, error) {
	a := &authority{class: c, material: m}
	var o []verify.VerifierOption
	need := func(what string, n int) error {
		if n == 0 {
			return fmt.Errorf("trust class %s: the trusted root has no %s", c, what)
		}
		return nil
	}
	var lacks error
	switch c {
	case PublicGood:
		a.sct = true
		lacks = errors.Join(need("certificate log", len(m.CTLogs())), need("log", len(m.RekorLogs())))
		o = append(o, verify.WithTransparencyLog(1), verify.WithObserverTimestamps(1))
	case PrivateV2:
		a.sct = len(m.CTLogs()) > 0
		lacks = errors.Join(need("log", len(m.RekorLogs())), need("timestamp authority", len(m.TimestampingAuthorities())))
		o = append(o, verify.WithTransparencyLog(1), verify.WithSignedTimestamps(1))
	case PinnedWindow:
		lacks = need("timestamp authority", len(m.TimestampingAuthorities()))
		o = append(o, verify.WithSignedTimestamps(1))
	case PinnedPlain:
		o = append(o, verify.WithNoObserverTimestamps())
	default:
		return nil, fmt.Errorf("%w: %q", errClass, string(c))
	}
	if lacks != nil {
		return nil, lacks
	}
	if a.sct {
		o = append(o, verify.WithSignedCertificateTimestamps(1))
	}
	if c.keyless() {
		if err := need("certificate authority", len(m.FulcioCertificateAuthorities())); err != nil {
			return nil, err
		}
	}
	var err error
	if a.verifier, err = verify.NewVerifier(m, o...); err != nil {
		return nil, fmt.Errorf("trust class %s: %w", c, err)
	}
	return a, nil
}

func (c Class) keyless() bool { return c == PublicGood || c == PrivateV2 }
