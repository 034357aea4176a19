package signature

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/sign"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// check verifies a bundle over a digest. The library alone decides whether it is
// good; where it is not, the reason is found by asking which phase fails.
func (a *authority) check(b *bundle.Bundle, algorithm string, digest []byte, policy ...verify.PolicyOption) (*verify.VerificationResult, Reason, error) {
	keyed := b.GetVerificationMaterial().GetPublicKey() != nil
	if keyed == a.class.keyless() {
		return nil, ReasonKind, errors.New("bundle of another kind than the class")
	}
	res, err := a.verifier.Verify(b, verify.NewPolicy(verify.WithArtifactDigest(algorithm, digest), policy...))
	if err != nil {
		return nil, a.reason(b, err), err
	}
	if res.Statement == nil || res.Signature == nil || !keyed && res.Signature.Certificate == nil {
		return nil, ReasonMalformed, errors.New("verified result is not complete")
	}
	return res, "", nil
}

// reason names the first phase that fails for a bundle that Verify refused with err.
// It only explains: nothing that it finds to be in order is admitted.
func (a *authority) reason(b *bundle.Bundle, err error) Reason {
	content, cerr := b.VerificationContent()
	sig, serr := b.SignatureContent()
	if cerr != nil || serr != nil {
		return ReasonMalformed
	}
	logged, lerr := a.verifier.VerifyTransparencyLogInclusion(b)
	if lerr != nil {
		return a.logReason(b, sig.Signature(), content)
	}
	times, terr := a.verifier.VerifyObserverTimestamps(b, logged)
	if terr != nil {
		return ReasonTime
	}
	if cert := content.Certificate(); cert != nil {
		if r := a.certReason(cert, times); r != "" {
			return r
		}
	} else {
		for _, t := range times {
			if !content.ValidAtTime(t.Timestamp, a.material) {
				return ReasonWindow
			}
		}
	}
	if verify.VerifySignature(sig, content, a.material) != nil {
		return ReasonInvalid
	}
	var mismatch *verify.ErrNoMatchingCertificateIdentity
	if errors.As(err, &mismatch) {
		return ReasonIdentity
	}
	return ReasonDigest
}

// logReason tells a missing entry from one of another signature and from one whose
// proof is wrong.
func (a *authority) logReason(b *bundle.Bundle, signature []byte, content verify.VerificationContent) Reason {
	entries, err := b.TlogEntries()
	if err != nil {
		return ReasonMalformed
	}
	logs := a.material.RekorLogs()
	seen := ReasonNoLog
	for _, e := range entries {
		if tlog.ValidateEntry(e) != nil {
			return ReasonMalformed
		}
		if logs[hex.EncodeToString([]byte(e.LogKeyID()))] == nil {
			continue // of a log that nobody trusts
		}
		if e.HasInclusionPromise() && tlog.VerifySET(e, logs) != nil {
			continue // the log never promised it
		}
		switch {
		case !slices.Equal(e.Signature(), signature), !content.CompareKey(e.PublicKey(), a.material), !covers(e, b):
			return ReasonOtherLog
		case !e.IntegratedTime().IsZero() && !content.ValidAtTime(e.IntegratedTime(), a.material):
			return ReasonCert
		}
		seen = ReasonProof
	}
	return seen
}

// covers reports whether the entry is of the statement in b: Rekor v1 logs the hash of
// the payload, v2 the hash of what was signed.
func covers(e *tlog.Entry, b *bundle.Bundle) bool {
	env := b.GetDsseEnvelope()
	if h, ok := e.GetDssePayloadHash(); ok {
		sum := sha256.Sum256(env.GetPayload())
		return slices.Equal(h, sum[:])
	}
	h, _, ok := e.GetHashedRekordDigest()
	sum := sha256.Sum256((&sign.DSSEData{Data: env.GetPayload(), PayloadType: env.GetPayloadType()}).PreAuthEncoding())
	return ok && slices.Equal(h, sum[:])
}

func (a *authority) certReason(cert *x509.Certificate, times []verify.TimestampVerificationResult) Reason {
	var chains [][]*x509.Certificate
	for _, t := range times {
		var err error
		if chains, err = verify.VerifyLeafCertificate(t.Timestamp, cert, a.material); err != nil {
			return ReasonCert
		}
	}
	if a.sct && verify.VerifySignedCertificateTimestamp(chains, 1, a.material) != nil {
		return ReasonSCT
	}
	return ""
}
