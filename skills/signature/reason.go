package signature

import (
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Reason is the stable name of a refusal.
type Reason string

// The reasons. Those of the log and the certificate concern bundles with a
// certificate, those of the key bundles with a pinned key.
const (
	ReasonMissing   Reason = "sig.missing"       // no bundle
	ReasonSize      Reason = "bundle.size"       // more than MaxBundle bytes
	ReasonMalformed Reason = "bundle.malformed"  // not a bundle of a version that is read
	ReasonKind      Reason = "sig.kind"          // a key where an identity is asked, the reverse, or no statement
	ReasonKey       Reason = "key.unknown"       // no publisher has this key
	ReasonWindow    Reason = "key.window"        // signed before or after the key was in use
	ReasonNoLog     Reason = "tlog.missing"      // no entry of a log that is trusted
	ReasonOtherLog  Reason = "tlog.mismatch"     // the entry is of another signature
	ReasonProof     Reason = "tlog.proof"        // the entry is not proved to be in the log
	ReasonTime      Reason = "time.missing"      // nobody who is trusted says when it was signed
	ReasonCert      Reason = "cert.untrusted"    // the certificate was not issued, or not then, by a CA that is trusted
	ReasonSCT       Reason = "cert.sct"          // the certificate is in no certificate log
	ReasonInvalid   Reason = "sig.invalid"       // the signature is not of this key over these bytes
	ReasonDigest    Reason = "sig.digest"        // a good signature, of another skill or version
	ReasonIdentity  Reason = "identity.mismatch" // signed by somebody, but by no publisher
	ReasonSkill     Reason = "identity.skill"    // the publisher may not sign a skill of this name
	ReasonPredicate Reason = "sig.predicate"     // signed, but it does not say "this is a skill of mine"
	ReasonManifest  Reason = "sig.manifest"      // the signed facts are not those of the manifest
)

// Reasons returns all of them, in the order in which a bundle meets them: of two
// refusals of one bundle, the later one came closer.
func Reasons() []Reason {
	return []Reason{
		ReasonMissing, ReasonSize, ReasonMalformed, ReasonKind, ReasonKey, ReasonNoLog, ReasonOtherLog, ReasonProof,
		ReasonTime, ReasonWindow, ReasonCert, ReasonSCT, ReasonInvalid, ReasonDigest, ReasonIdentity, ReasonSkill,
		ReasonPredicate, ReasonManifest,
	}
}

// Refusal says that a signature does not let a skill load.
type Refusal struct {
	Reason Reason
	What   string // what happened
	Why    string // what was missing or wrong
	Fix    string // a command; DIR stands for the skill's folder, see In
	Err    error  // of the library, for the debug log: its words are no contract
}

// Error implements error.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s: %s (%s)", r.What, r.Why, r.Reason)
}

// Unwrap implements error.
func (r *Refusal) Unwrap() error { return r.Err }

// In returns a copy whose Fix names the folder dir, quoted for a shell by the caller.
func (r *Refusal) In(dir string) *Refusal {
	c := *r
	c.Fix = strings.ReplaceAll(r.Fix, "DIR", dir)
	return &c
}

// refuse builds the refusal of a skill's bundle. detail is ours or empty; it is added
// to the sentence of the reason.
func refuse(reason Reason, skill abi.SkillName, detail string, err error) *Refusal {
	why, fix := reason.text()
	if detail != "" {
		why += ": " + detail
	}
	return &Refusal{Reason: reason, What: fmt.Sprintf("skill %q is refused", skill), Why: why, Fix: fix, Err: err}
}

const (
	signYourself = "glovebox skill sign DIR"   // when it is the reader's own
	lookAtIt     = "glovebox skill verify DIR" // when somebody else must act
	lookAtRoots  = "glovebox trust show"       // when the roots may be old
)

// text returns the reason in words, and the command that helps.
func (r Reason) text() (why, fix string) {
	switch r {
	case ReasonMissing:
		return "it is not signed", signYourself
	case ReasonSize:
		return fmt.Sprintf("the bundle has more than %d bytes", MaxBundle), signYourself
	case ReasonMalformed:
		return "the signature file is not a Sigstore bundle that this build reads", signYourself
	case ReasonKind:
		return "the bundle is of another kind than the publishers in your configuration sign with", lookAtIt
	case ReasonKey:
		return "no publisher in your configuration has the key that signed it", lookAtIt + " --publisher-key FILE.pub"
	case ReasonWindow:
		return "it was signed outside of the time in which its publisher's key was in use", lookAtIt
	case ReasonNoLog:
		return "no transparency log that is trusted has an entry for it", lookAtRoots
	case ReasonOtherLog:
		return "its log entry is of another signature", lookAtIt
	case ReasonProof:
		return "its log entry is not proved to be in the log", lookAtIt
	case ReasonTime:
		return "no timestamp authority or log that is trusted says when it was signed", lookAtRoots
	case ReasonCert:
		return "its certificate was not valid, by a certificate authority that is trusted, when it was signed", lookAtRoots
	case ReasonSCT:
		return "its certificate is in no certificate transparency log that is trusted", lookAtRoots
	case ReasonInvalid:
		return "the signature is not one of that key over that statement", signYourself
	case ReasonDigest:
		return "the signature is of other files than these", signYourself
	case ReasonIdentity:
		return "whoever signed it is no publisher in your configuration", lookAtIt
	case ReasonSkill:
		return "its signer is not trusted for skills of this name", lookAtIt
	case ReasonPredicate:
		return "the signer attested something about it, but did not sign it as a skill", signYourself
	case ReasonManifest:
		return "the signed facts are not those of its manifest", signYourself
	}
	return "it was refused", lookAtIt
}
