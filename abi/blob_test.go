package abi

import "testing"

func TestBlobIsWhatItsBytesHashTo(t *testing.T) {
	t.Parallel()
	module, other := NewBlob([]byte("module")), DigestOf([]byte("other"))
	for name, tt := range map[string]struct {
		blob Blob
		want Digest
		is   bool
	}{
		"its own digest":             {module, DigestOf([]byte("module")), true},
		"another digest":             {module, other, false},
		"no digest":                  {module, "", false},
		"no bytes":                   {NewBlob(nil), DigestOf(nil), true},
		"the zero value":             {Blob{}, DigestOf(nil), false},
		"the zero value for nothing": {Blob{}, "", false},
		"bytes that nobody hashed":   {Blob{bytes: []byte("other")}, other, false},
	} {
		if got := tt.blob.Is(tt.want); got != tt.is {
			t.Errorf("%s: %v", name, got)
		}
	}
	if string(module.Bytes()) != "module" || module.Digest() != DigestOf([]byte("module")) || (Blob{}).Digest() != "" {
		t.Error("the bytes or their digest are others")
	}
}
