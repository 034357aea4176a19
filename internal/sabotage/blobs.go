package main

// blobs are the comparisons with the digest that is computed once, when a module is read.
func blobs() []Control {
	return []Control{
		{"a file is replaced in one step", "internal/durable/durable.go", "f, err := os.CreateTemp(dir, \".\"+base+\".*\") // mode 0600", "f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)\n\t_ = base", "internal/durable.TestReplaceIsWholeOrNotThere"},
		{"no digest is no match", "abi/blob.go", "b.digest != \"\" && b.digest == want", "b.digest == want", "abi.TestBlobIsWhatItsBytesHashTo"},
		{"a digest is of its bytes", "abi/blob.go", "digest: DigestOf(b)}", "digest: DigestOf(nil)}", "abi.TestBlobIsWhatItsBytesHashTo"},
		{"what is loaded has the digest that was asked for", "host/wasm/load.go", "if !b.Is(key.digest) {", "if false {", "host/wasm.TestDigestIsCheckedAtEveryLoad"},
		{"what is opened has the digest of its manifest", "skills/bundle.go", "if !blob.Is(want) {", "if false && !blob.Is(want) {", "skills.TestOpenChecksEveryDigest"},
		{"what nobody hashed is not compiled", "host/wasm/compile/store.go", "if digest == \"\" {", "if false {", "host/wasm/compile.TestModuleWithoutADigestIsRefused"},
	}
}
