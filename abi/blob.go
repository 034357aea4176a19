package abi

// Blob is bytes and the digest that was computed from exactly them, so that whoever is
// handed both compares and does not hash again. Only NewBlob computes the digest. The
// zero value has none and is what nobody asked for.
type Blob struct {
	bytes  []byte
	digest Digest
}

// NewBlob hashes b and takes it over: nobody may change it afterwards, the caller neither.
func NewBlob(b []byte) Blob { return Blob{bytes: b, digest: DigestOf(b)} }

// Bytes returns the bytes themselves, not a copy. They are read only: the digest, and
// every check that was passed with it, speaks of what they were.
func (b Blob) Bytes() []byte { return b.bytes }

// Digest returns the digest of the bytes, "" for the zero value.
func (b Blob) Digest() Digest { return b.digest }

// Is reports whether the bytes have the digest want. No digest is no match.
func (b Blob) Is(want Digest) bool { return b.digest != "" && b.digest == want }
