package signtest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills/signature"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	common "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	rekorpb "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"
)

// Whom Sign certifies unless told otherwise.
const (
	Issuer = "https://issuer.example"
	Signer = "release@acme.example"
)

// Authority is a Fulcio, a Rekor and a timestamp authority in memory. What it issues
// lives for minutes: make one per test, keep no bundle.
type Authority struct {
	Virtual *ca.VirtualSigstore
}

// New makes an authority with keys of its own.
func New(t testing.TB) *Authority {
	t.Helper()
	v, err := ca.NewVirtualSigstore()
	if err != nil {
		t.Fatal(err)
	}
	return &Authority{v}
}

// TrustedRoot returns the authority's trusted_root.json.
func (a *Authority) TrustedRoot(t testing.TB) []byte {
	t.Helper()
	return a.root(t, nil)
}

// Root returns the trusted root in the class that Sign's bundles satisfy.
func (a *Authority) Root(t testing.TB) signature.Root {
	t.Helper()
	return signature.Root{Class: signature.PrivateV2, JSON: a.TrustedRoot(t)}
}

// LoggedRoot is Root with a certificate log, in which no certificate of Sign is, as
// class says.
func (a *Authority) LoggedRoot(t testing.TB, class signature.Class) signature.Root {
	t.Helper()
	return signature.Root{Class: class, JSON: a.root(t, logs(t, a.Virtual.CTLogs()))}
}

func (a *Authority) root(t testing.TB, ct map[string]*root.TransparencyLog) []byte {
	t.Helper()
	tr, err := root.NewTrustedRoot(root.TrustedRootMediaType01, a.Virtual.FulcioCertificateAuthorities(), ct,
		a.Virtual.TimestampingAuthorities(), logs(t, a.Virtual.RekorLogs()))
	if err != nil {
		t.Fatal(err)
	}
	b, err := tr.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// logs repairs what the virtual authority returns: it puts the hexadecimal text into
// the log's id, and after a round trip through JSON no log would be found.
func logs(t testing.TB, in map[string]*root.TransparencyLog) map[string]*root.TransparencyLog {
	t.Helper()
	for _, l := range in {
		id, err := hex.DecodeString(string(l.ID))
		if err != nil {
			t.Fatal(err)
		}
		l.ID = id
	}
	return in
}

// Publisher returns the publisher that Sign signs as, for skills of those names, under
// the root with that name in signature.Config.
func Publisher(root string, skills ...string) signature.Publisher {
	return signature.Publisher{
		Name: "acme", Skills: skills, TrustedRoot: root,
		Identity: &signature.Identity{Issuer: Issuer, SAN: Signer},
	}
}

// Sign returns the bundle of a skill: certificate of Signer and Issuer, Rekor v2 entry,
// timestamp.
func (a *Authority) Sign(t testing.TB, manifest abi.Digest, f signature.Facts) []byte {
	t.Helper()
	return Encode(t, a.Bundle(t, Signer, Issuer, Statement(t, manifest, signature.PredicateSkill, f)))
}

// Bundle returns a bundle around any payload, signed by any identity.
func (a *Authority) Bundle(t testing.TB, signer, issuer string, payload []byte) *bundlepb.Bundle {
	t.Helper()
	e, err := a.Virtual.AttestAtTimeHashedRekordV2(signer, issuer, payload, time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return a.bundle(t, e)
}

// BundleV1 is Bundle with an entry of a Rekor v1, logged at a time that it promises.
func (a *Authority) BundleV1(t testing.TB, signer, issuer string, payload []byte, at time.Time) *bundlepb.Bundle {
	t.Helper()
	e, err := a.Virtual.AttestAtTime(signer, issuer, payload, at, true)
	if err != nil {
		t.Fatal(err)
	}
	b := a.bundle(t, e)
	for _, entry := range b.VerificationMaterial.TlogEntries {
		a.repair(t, entry)
	}
	return b
}

// repair adds what the virtual authority leaves out of the protobuf of a v1 entry:
// kind, promise and proof.
func (a *Authority) repair(t testing.TB, e *rekorpb.TransparencyLogEntry) {
	t.Helper()
	e.KindVersion = &rekorpb.KindVersion{Kind: "dsse", Version: "0.0.1"}
	set, err := a.Virtual.RekorSignPayload(tlog.RekorPayload{
		Body: base64.StdEncoding.EncodeToString(e.CanonicalizedBody), IntegratedTime: e.IntegratedTime,
		LogIndex: e.LogIndex, LogID: hex.EncodeToString(e.LogId.KeyId),
	})
	if err != nil {
		t.Fatal(err)
	}
	e.InclusionPromise = &rekorpb.InclusionPromise{SignedEntryTimestamp: set}
	proof, err := a.Virtual.GetInclusionProof(e.CanonicalizedBody)
	if err != nil {
		t.Fatal(err)
	}
	hash, err := hex.DecodeString(*proof.RootHash)
	if err != nil {
		t.Fatal(err)
	}
	e.InclusionProof = &rekorpb.InclusionProof{
		LogIndex: *proof.LogIndex, RootHash: hash, TreeSize: *proof.TreeSize,
		Checkpoint: &rekorpb.Checkpoint{Envelope: *proof.Checkpoint},
	}
}

// bundle writes what the authority made as the file that travels.
func (a *Authority) bundle(t testing.TB, e *ca.TestEntity) *bundlepb.Bundle {
	t.Helper()
	content, err := e.VerificationContent()
	if err != nil {
		t.Fatal(err)
	}
	signed, err := e.SignatureContent()
	if err != nil {
		t.Fatal(err)
	}
	stamps, err := e.Timestamps()
	if err != nil {
		t.Fatal(err)
	}
	entries, err := e.TlogEntries()
	if err != nil {
		t.Fatal(err)
	}
	env := signed.EnvelopeContent().RawEnvelope()
	payload, err := env.DecodeB64Payload()
	if err != nil {
		t.Fatal(err)
	}
	m := &bundlepb.VerificationMaterial{
		Content:                   &bundlepb.VerificationMaterial_Certificate{Certificate: &common.X509Certificate{RawBytes: content.Certificate().Raw}},
		TimestampVerificationData: &bundlepb.TimestampVerificationData{},
	}
	for _, s := range stamps {
		m.TimestampVerificationData.Rfc3161Timestamps = append(m.TimestampVerificationData.Rfc3161Timestamps, &common.RFC3161SignedTimestamp{SignedTimestamp: s})
	}
	for _, entry := range entries {
		m.TlogEntries = append(m.TlogEntries, entry.TransparencyLogEntry())
	}
	return &bundlepb.Bundle{
		MediaType: signature.MediaType, VerificationMaterial: m,
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			Payload: payload, PayloadType: env.PayloadType, Signatures: []*dssepb.Signature{{Sig: signed.Signature()}},
		}},
	}
}

// Statement returns an in-toto statement about a manifest.
func Statement(t testing.TB, manifest abi.Digest, predicateType string, predicate any) []byte {
	t.Helper()
	b, err := json.Marshal(map[string]any{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       []any{map[string]any{"name": "skill", "digest": map[string]any{"sha256": manifest.Hex()}}},
		"predicateType": predicateType, "predicate": predicate,
	})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// Encode writes a bundle as JSON.
func Encode(t testing.TB, b *bundlepb.Bundle) []byte {
	t.Helper()
	raw, err := protojson.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// Decode reads one back.
func Decode(t testing.TB, raw []byte) *bundlepb.Bundle {
	t.Helper()
	b := &bundlepb.Bundle{}
	if err := protojson.Unmarshal(raw, b); err != nil {
		t.Fatal(err)
	}
	return b
}
