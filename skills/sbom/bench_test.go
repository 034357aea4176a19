package sbom

import (
	"os"
	"testing"
)

// BenchmarkFromModule reads the list of a Go module of 6.7 MB, which "make skills" builds.
func BenchmarkFromModule(b *testing.B) {
	wasm, err := os.ReadFile("../../examples/json/skill.wasm")
	if err != nil {
		b.Fatal(err) // make skills
	}
	b.SetBytes(int64(len(wasm)))
	for b.Loop() {
		if l, err := FromModule(wasm); err != nil || l == nil {
			b.Fatal(l, err)
		}
	}
}
