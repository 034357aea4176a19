//go:build unix

package wasm

import (
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// BenchmarkWithheld is what a request costs after reads of four sources, one of which
// only a granted flow lets out.
func BenchmarkWithheld(b *testing.B) {
	c := &call{rights: abi.Rights{Flows: []abi.FlowRight{{From: "/data", To: "https://api.example"}}}, seen: label.Trusted()}
	for _, from := range []string{"kv", "https://a.example", "/cache"} {
		c.saw(from, label.Label{Readers: label.ReadBy(label.Host("api.example"), label.Host("b.example"))})
	}
	c.saw("/data", label.Label{})
	b.ReportAllocs()
	for b.Loop() {
		if p := c.rights.Withheld("probe", "https://api.example"); p != nil {
			b.Fatal(p)
		}
	}
}

// BenchmarkSaw is what a read adds to a call.
func BenchmarkSaw(b *testing.B) {
	c := &call{seen: label.Trusted()}
	l := label.Label{Readers: label.ReadBy(label.Host("api.example"))}
	b.ReportAllocs()
	for b.Loop() {
		c.saw("kv", l)
	}
}
