package signature

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
)

// maxClaim bounds what is repeated of a bundle that nobody vouches for, in bytes.
const maxClaim = 256

// covers reports whether the operator named anybody for skills of that name. This
// machine's own key, which signs any name, is nobody's word.
func (v *Verifier) covers(skill abi.SkillName) bool {
	may := func(p Publisher) bool { return p.Name != config.LocalPublisher && p.allows(skill) }
	for _, k := range v.keys {
		if may(k.publisher) {
			return true
		}
	}
	return slices.ContainsFunc(v.ranges, func(c certified) bool { return slices.ContainsFunc(c.publishers, may) })
}

// invite explains a refusal for want of a publisher: what the operator would write who
// trusts the signer. What the bundle claims about itself is repeated as a claim.
func (v *Verifier) invite(r *Refusal, b *bundle.Bundle, skill abi.SkillName) *Refusal {
	switch r.Reason {
	case ReasonKind, ReasonKey, ReasonIdentity, ReasonNoLog, ReasonTime, ReasonCert, ReasonSCT:
	default:
		return r
	}
	if v.covers(skill) {
		return r
	}
	who, by := claim(b)
	if by == "" {
		return r
	}
	r.Why = fmt.Sprintf("no publisher in your configuration may sign a skill of this name; the signature claims to be of %s, which is not verified", who)
	r.Fix = fmt.Sprintf("if you trust that signer, having compared this with what they publish elsewhere, write into glovebox.yaml: trust: {publishers: [{name: PUBLISHER, skills: [%s], %s}]}", skill, by)
	return r
}

// claim returns whom a bundle names as its signer, and the key of a publisher that would
// name the same; nothing where it names nobody, or in a way that is not for print.
func claim(b *bundle.Bundle) (who, publisher string) {
	if key := b.GetVerificationMaterial().GetPublicKey(); key != nil {
		who, publisher = "key "+strconv.QuoteToASCII(key.GetHint()), "key: FILE.pub"
	} else if content, err := b.VerificationContent(); err == nil && content.Certificate() != nil {
		s, err := certificate.SummarizeCertificate(content.Certificate())
		if err != nil {
			return "", ""
		}
		san, issuer := strconv.QuoteToASCII(s.SubjectAlternativeName), strconv.QuoteToASCII(s.Issuer)
		who, publisher = san+", vouched for by "+issuer, fmt.Sprintf("identity: {issuer: %s, san: %s}", issuer, san)
	}
	if len(who) > maxClaim {
		return "", ""
	}
	return who, publisher
}
