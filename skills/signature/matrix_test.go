package signature_test

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	"google.golang.org/protobuf/proto"
)

// scene has what the rows of the matrix are made of: good bundles, and the verifiers
// that accept them.
type scene struct {
	keyless  *bundlepb.Bundle // Rekor v2
	logged   *bundlepb.Bundle // Rekor v1
	second   *bundlepb.Bundle // Rekor v2, of another skill by the same signer
	stranger *bundlepb.Bundle // by somebody else under the same root
	keyed    *bundlepb.Bundle // pinned
	stamped  *bundlepb.Bundle // pinned, with an authority's time
	other    *bundlepb.Bundle // by a key that nobody pinned

	key, late             *signtest.KeyPair
	identities, keys, all *signature.Verifier // of this root, of pinned keys, of both
	foreign, window, sct  *signature.Verifier
}

func newScene(t *testing.T) *scene {
	t.Helper()
	a, b := signtest.New(t), signtest.New(t)
	sign := func(a *signtest.Authority, who string, digest abi.Digest) *bundlepb.Bundle {
		return a.Bundle(t, who, signtest.Issuer, signtest.Statement(t, digest, signature.PredicateSkill, weather()))
	}
	s := &scene{key: signtest.Key(t), late: signtest.Key(t)}
	s.keyless, s.second = sign(a, signtest.Signer, subject()), sign(a, signtest.Signer, abi.DigestOf([]byte("another")))
	s.stranger = sign(a, "mallory@evil.example", subject())
	s.logged = a.BundleV1(t, signtest.Signer, signtest.Issuer, signtest.Statement(t, subject(), signature.PredicateSkill, weather()), time.Now().Add(time.Minute))
	s.keyed = signtest.Decode(t, s.key.Sign(t, subject(), weather()))
	s.other = signtest.Decode(t, signtest.Key(t).Sign(t, subject(), weather()))
	s.stamped = stamp(t, a, s.late.Sign(t, subject(), weather()))

	roots := map[string]signature.Root{ownRoot: a.Root(t), "foreign": b.Root(t), "logged": a.LoggedRoot(t, signature.PrivateV2)}
	s.late.Public.From, s.late.Public.Until = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	late := s.late.Publisher("late", "weather")
	late.TrustedRoot = ownRoot
	acme := signtest.Publisher(ownRoot, "weather")
	s.identities = verifier(t, signature.Config{Publishers: []signature.Publisher{acme}, Roots: roots})
	s.keys = verifier(t, signature.Config{Publishers: []signature.Publisher{s.key.Publisher("local", "weather"), late}, Roots: roots})
	s.all = verifier(t, signature.Config{Publishers: []signature.Publisher{acme, s.key.Publisher("local", "weather"), late}, Roots: roots})
	s.foreign = verifier(t, signature.Config{Publishers: []signature.Publisher{signtest.Publisher("foreign", "weather")}, Roots: roots})
	s.sct = verifier(t, signature.Config{Publishers: []signature.Publisher{signtest.Publisher("logged", "weather")}, Roots: roots})
	retired := *s.late.Public
	retired.From, retired.Until = time.Time{}, time.Now().Add(-time.Hour)
	gone := late
	gone.Key = &retired
	s.window = verifier(t, signature.Config{Publishers: []signature.Publisher{gone}, Roots: roots})
	return s
}

// stamp adds an authority's timestamp to the bundle of a key.
func stamp(t *testing.T, a *signtest.Authority, raw []byte) *bundlepb.Bundle {
	t.Helper()
	b := signtest.Decode(t, raw)
	ts, err := a.Virtual.TimestampResponse(b.GetDsseEnvelope().Signatures[0].Sig)
	if err != nil {
		t.Fatal(err)
	}
	b.VerificationMaterial.TimestampVerificationData = &bundlepb.TimestampVerificationData{
		Rfc3161Timestamps: []*common.RFC3161SignedTimestamp{{SignedTimestamp: ts}},
	}
	return b
}

// with returns a copy of b after one change.
func with(b *bundlepb.Bundle, change func(*bundlepb.Bundle)) *bundlepb.Bundle {
	c := proto.Clone(b).(*bundlepb.Bundle)
	change(c)
	return c
}

func flip(b []byte) { b[len(b)/2] ^= 1 }

func payload(b *bundlepb.Bundle, from, to string) {
	e := b.GetDsseEnvelope()
	e.Payload = bytes.Replace(e.Payload, []byte(from), []byte(to), 1)
}

// TestRefusalMatrix is the table of what is refused and under which name. Each bad
// bundle is a good one after one change, so that a refusal for another reason is red.
func TestRefusalMatrix(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	type row struct {
		by     *signature.Verifier
		bundle *bundlepb.Bundle
		want   signature.Reason // "" is accepted
	}
	material := func(b *bundlepb.Bundle) *bundlepb.VerificationMaterial { return b.VerificationMaterial }
	stamps := func(b *bundlepb.Bundle) *[]*common.RFC3161SignedTimestamp {
		return &material(b).TimestampVerificationData.Rfc3161Timestamps
	}
	rows := map[string]row{
		"an identity, Rekor v2 and a timestamp": {s.identities, s.keyless, ""},
		"an identity, Rekor v1 and a timestamp": {s.identities, s.logged, ""},
		"a pinned key":                          {s.keys, s.keyed, ""},
		"a pinned key in its window, no log":    {s.keys, s.stamped, ""},
		"both kinds of publishers":              {s.all, s.keyless, ""},
		"the same timestamp twice": {s.identities, with(s.keyless, func(b *bundlepb.Bundle) {
			*stamps(b) = append(*stamps(b), (*stamps(b))[0])
		}), ""},

		"media type v0.4": {s.all, with(s.keyless, func(b *bundlepb.Bundle) {
			b.MediaType = strings.Replace(b.MediaType, "v0.3", "v0.4", 1)
		}), signature.ReasonMalformed},
		"another media type":        {s.all, with(s.keyless, func(b *bundlepb.Bundle) { b.MediaType = "application/json" }), signature.ReasonMalformed},
		"inclusion proof removed":   {s.all, with(s.keyless, func(b *bundlepb.Bundle) { material(b).TlogEntries[0].InclusionProof = nil }), signature.ReasonMalformed},
		"no verification material":  {s.all, with(s.keyless, func(b *bundlepb.Bundle) { b.VerificationMaterial = nil }), signature.ReasonMalformed},
		"another payload type":      {s.all, with(s.keyed, func(b *bundlepb.Bundle) { b.GetDsseEnvelope().PayloadType = "text/plain" }), signature.ReasonMalformed},
		"a payload that is no JSON": {s.all, with(s.keyed, func(b *bundlepb.Bundle) { b.GetDsseEnvelope().Payload = []byte("{") }), signature.ReasonMalformed},
		"a subject written twice": {s.all, with(s.keyed, func(b *bundlepb.Bundle) {
			payload(b, `"subject":`, `"subject":[],"subject":`)
		}), signature.ReasonMalformed},
		"a certificate that is none": {s.all, with(s.keyless, func(b *bundlepb.Bundle) {
			material(b).GetCertificate().RawBytes = []byte("certificate")
		}), signature.ReasonMalformed},

		"a key for identities":                {s.identities, s.keyed, signature.ReasonKind},
		"an identity for keys":                {s.keys, s.keyless, signature.ReasonKind},
		"a message signature":                 {s.all, with(s.keyed, message), signature.ReasonKind},
		"a key that nobody pinned":            {s.keys, s.other, signature.ReasonKey},
		"no hint":                             {s.keys, with(s.keyed, func(b *bundlepb.Bundle) { material(b).GetPublicKey().Hint = "" }), signature.ReasonKey},
		"a pinned hint over another key":      {s.keys, with(s.other, func(b *bundlepb.Bundle) { material(b).GetPublicKey().Hint = s.key.Public.Hint }), signature.ReasonInvalid},
		"a pinned key, signature bit flipped": {s.keys, with(s.keyed, func(b *bundlepb.Bundle) { flip(b.GetDsseEnvelope().Signatures[0].Sig) }), signature.ReasonInvalid},
		"a pinned key, statement changed":     {s.keys, with(s.keyed, func(b *bundlepb.Bundle) { payload(b, "1.4.2", "1.4.3") }), signature.ReasonInvalid},
		"a pinned key, two signatures": {s.keys, with(s.keyed, func(b *bundlepb.Bundle) {
			e := b.GetDsseEnvelope()
			e.Signatures = append(e.Signatures, e.Signatures[0])
		}), signature.ReasonInvalid},
		"a pinned key, no signature": {s.keys, with(s.keyed, func(b *bundlepb.Bundle) { b.GetDsseEnvelope().Signatures = nil }), signature.ReasonInvalid},

		"signed after the key was retired": {s.window, s.stamped, signature.ReasonWindow},
		"a key with a window, no time": {s.keys, with(s.stamped, func(b *bundlepb.Bundle) {
			material(b).TimestampVerificationData = nil
		}), signature.ReasonTime},
		"a key with a window, the time of another signature": {s.keys, with(s.stamped, func(b *bundlepb.Bundle) {
			*stamps(b) = *stamps(s.keyless)
		}), signature.ReasonTime},

		"signature bit flipped":      {s.identities, with(s.keyless, func(b *bundlepb.Bundle) { flip(b.GetDsseEnvelope().Signatures[0].Sig) }), signature.ReasonOtherLog},
		"the log entry of another":   {s.identities, with(s.keyless, func(b *bundlepb.Bundle) { material(b).TlogEntries = material(s.second).TlogEntries }), signature.ReasonOtherLog},
		"the certificate of another": {s.identities, with(s.keyless, func(b *bundlepb.Bundle) { material(b).Content = material(s.stranger).Content }), signature.ReasonOtherLog},
		"statement changed":          {s.identities, with(s.keyless, func(b *bundlepb.Bundle) { payload(b, "1.4.2", "1.4.3") }), signature.ReasonOtherLog},
		"statement changed, v1":      {s.identities, with(s.logged, func(b *bundlepb.Bundle) { payload(b, "1.4.2", "1.4.3") }), signature.ReasonOtherLog},
		"inclusion proof changed": {s.identities, with(s.keyless, func(b *bundlepb.Bundle) {
			p := material(b).TlogEntries[0].InclusionProof
			p.Hashes = append(p.Hashes, p.RootHash)
		}), signature.ReasonProof},
		// The library proves against the root in the signed checkpoint and does not
		// read the copy beside it.
		"the copy of the log's root, v2": {s.identities, with(s.keyless, func(b *bundlepb.Bundle) {
			flip(material(b).TlogEntries[0].InclusionProof.RootHash)
		}), ""},
		"inclusion proof changed, v1": {s.identities, with(s.logged, func(b *bundlepb.Bundle) {
			flip(material(b).TlogEntries[0].InclusionProof.RootHash)
		}), signature.ReasonProof},
		"checkpoint changed": {s.identities, with(s.keyless, func(b *bundlepb.Bundle) {
			c := material(b).TlogEntries[0].InclusionProof.Checkpoint
			c.Envelope = strings.Replace(c.Envelope, "\n1\n", "\n2\n", 1)
		}), signature.ReasonProof},
		"no log entry":        {s.identities, with(s.keyless, func(b *bundlepb.Bundle) { material(b).TlogEntries = nil }), signature.ReasonNoLog},
		"the promise changed": {s.identities, with(s.logged, func(b *bundlepb.Bundle) { flip(material(b).TlogEntries[0].InclusionPromise.SignedEntryTimestamp) }), signature.ReasonNoLog},
		"another root":        {s.foreign, s.keyless, signature.ReasonNoLog},

		"no timestamp":                   {s.identities, with(s.keyless, func(b *bundlepb.Bundle) { material(b).TimestampVerificationData = nil }), signature.ReasonTime},
		"the log's own time is not one":  {s.identities, with(s.logged, func(b *bundlepb.Bundle) { material(b).TimestampVerificationData = nil }), signature.ReasonTime},
		"the timestamp of another":       {s.identities, with(s.keyless, func(b *bundlepb.Bundle) { *stamps(b) = *stamps(s.second) }), signature.ReasonTime},
		"a certificate log, not in it":   {s.sct, s.keyless, signature.ReasonSCT},
		"somebody else under the root":   {s.identities, s.stranger, signature.ReasonIdentity},
		"another skill's good signature": {s.identities, s.second, signature.ReasonDigest},
	}
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			signed, err := r.by.Verify(signtest.Encode(t, r.bundle), subject(), "weather")
			if r.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				if signed.Statement == nil {
					t.Error("verified without its facts")
				}
				return
			}
			if signed != nil {
				t.Errorf("refused, and yet it returned %+v", signed)
			}
			if got := reasonOf(t, err); got != r.want {
				t.Errorf("got %s, want %s: %v", got, r.want, err.(*signature.Refusal).Err)
			}
		})
	}
}

// message turns a bundle into what "cosign sign-blob" made before it wrote statements.
func message(b *bundlepb.Bundle) {
	b.Content = &bundlepb.Bundle_MessageSignature{MessageSignature: &common.MessageSignature{
		MessageDigest: &common.HashOutput{Algorithm: common.HashAlgorithm_SHA2_256, Digest: make([]byte, 32)},
		Signature:     b.GetDsseEnvelope().Signatures[0].Sig,
	}}
}

func TestRefusalsOfBytes(t *testing.T) {
	t.Parallel()
	k := signtest.Key(t)
	v := verifier(t, signature.Config{Publishers: []signature.Publisher{k.Publisher("local", "weather")}})
	good := k.Sign(t, subject(), weather())
	for name, c := range map[string]struct {
		raw  []byte
		want signature.Reason
	}{
		"nothing":                  {nil, signature.ReasonMissing},
		"more than the limit":      {append(bytes.Repeat([]byte(" "), signature.MaxBundle), good...), signature.ReasonSize},
		"no JSON":                  {[]byte("-----BEGIN"), signature.ReasonMalformed},
		"cut short":                {good[:len(good)-1], signature.ReasonMalformed},
		"two values":               {append(bytes.Clone(good), good...), signature.ReasonMalformed},
		"an unknown field":         {append([]byte(`{"x":1,`), good[1:]...), signature.ReasonMalformed},
		"a doubled field":          {append([]byte(`{"mediaType":"x",`), good[1:]...), signature.ReasonMalformed},
		"deeper than it may be":    {bytes.Repeat([]byte("["), 1<<16), signature.ReasonMalformed},
		"a null":                   {[]byte("null"), signature.ReasonMalformed},
		"base64 of a bundle":       {[]byte(`"` + base64.StdEncoding.EncodeToString(good) + `"`), signature.ReasonMalformed},
		"an object without fields": {[]byte("{}"), signature.ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := v.Verify(c.raw, subject(), "weather")
			if got := reasonOf(t, err); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if _, err := v.Verify(good, "sha256:00", "weather"); reasonOf(t, err) != signature.ReasonDigest {
		t.Errorf("a malformed digest: %v", err)
	}
	var nobody signature.Verifier
	if _, err := nobody.Verify(good, subject(), "weather"); err == nil {
		t.Error("the zero verifier accepts")
	}
}

// TestStatementsThatDoNotSign holds what a trusted key may well have signed, and what
// is still no signature of this skill.
func TestStatementsThatDoNotSign(t *testing.T) {
	t.Parallel()
	a := signtest.New(t)
	v := verifier(t, signature.Config{
		Publishers: []signature.Publisher{signtest.Publisher(ownRoot, "weather", "acme-*")},
		Roots:      map[string]signature.Root{ownRoot: a.Root(t)},
	})
	facts := weather()
	ours := func() []byte { return signtest.Statement(t, subject(), signature.PredicateSkill, facts) }
	edit := func(from, to string) []byte { return bytes.Replace(ours(), []byte(from), []byte(to), 1) }
	for name, c := range map[string]struct {
		payload []byte
		skill   abi.SkillName
		want    signature.Reason
	}{
		"ours":                       {ours(), "weather", ""},
		"cosign's":                   {signtest.Statement(t, subject(), signature.PredicateCosign, map[string]any{}), "acme-weather", ""},
		"an SBOM":                    {signtest.Statement(t, subject(), "https://cyclonedx.org/bom", map[string]any{}), "weather", signature.ReasonPredicate},
		"another version of ours":    {signtest.Statement(t, subject(), signature.PredicateSkill+"0", facts), "weather", signature.ReasonPredicate},
		"no predicate type":          {signtest.Statement(t, subject(), "", facts), "weather", signature.ReasonPredicate},
		"another digest":             {signtest.Statement(t, abi.DigestOf(nil), signature.PredicateSkill, facts), "weather", signature.ReasonDigest},
		"the digest among others":    {edit(`"subject":[`, `"subject":[{"name":"x","digest":{"sha256":"00"}},`), "weather", signature.ReasonDigest},
		"the digest of another kind": {edit(`"digest":{`, `"digest":{"sha512":"00",`), "weather", signature.ReasonDigest},
		"no subject":                 {[]byte(`{"_type":"https://in-toto.io/Statement/v1","predicateType":"x","predicate":{}}`), "weather", signature.ReasonDigest},
		"another statement":          {edit("in-toto.io/Statement/v1", "in-toto.io/Statement/v9"), "weather", signature.ReasonMalformed},
		"an unknown fact":            {edit(`"predicate":{`, `"predicate":{"trusted":true,`), "weather", signature.ReasonMalformed},
		"a fact under another case":  {edit(`"predicate":{`, `"predicate":{"NAME":"weather",`), "weather", signature.ReasonMalformed},
		"a fact of another type":     {edit(`"version":"1.4.2"`, `"version":1`), "weather", signature.ReasonMalformed},
		"another skill's name":       {ours(), "acme-weather", signature.ReasonManifest},
		"a name that is not its":     {ours(), "globex-weather", signature.ReasonSkill},
		"a name that only begins":    {ours(), "acme", signature.ReasonSkill},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			raw := signtest.Encode(t, a.Bundle(t, signtest.Signer, signtest.Issuer, c.payload))
			_, err := v.Verify(raw, subject(), c.skill)
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if got := reasonOf(t, err); got != c.want {
				t.Errorf("got %s, want %s: %v", got, c.want, err)
			}
		})
	}
}
