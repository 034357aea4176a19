package artifact

import (
	"bytes"
	"testing"
)

// big is a skill with a file of 3 MiB beside its module.
func big(b *testing.B) map[string]string {
	b.Helper()
	return map[string]string{"SKILL.md": "# hello\n", "assets/data": string(bytes.Repeat([]byte("0123456789abcdef"), 3<<16))}
}

func BenchmarkManifest(b *testing.B) {
	s := build(b, big(b))
	b.SetBytes(3 << 20)
	for b.Loop() {
		if _, err := Manifest(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkReadTar(b *testing.B) {
	a, err := Manifest(build(b, big(b)))
	if err != nil {
		b.Fatal(err)
	}
	raw := packed(b, a, []byte(bundleText))
	b.SetBytes(int64(len(raw)))
	for b.Loop() {
		if _, err := ReadTar(bytes.NewReader(raw)); err != nil {
			b.Fatal(err)
		}
	}
}
