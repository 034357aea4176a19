package wasm

import (
	"bytes"
	"os/exec"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// BenchmarkCallFresh is one call of a small C guest through the second ABI, in an
// instance of its own, from arguments to decoded result.
func BenchmarkCallFresh(b *testing.B) {
	e := newTest(b, Config{})
	inv := toolCall(abitest.MCPv2(), abi.ProfileMCPv2, "echo", `{"city":"Oslo"}`)
	if _, err := e.Call(b.Context(), inv); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := e.Call(b.Context(), inv); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCallFreshGo is the same for a plugin of three megabytes made by Go.
func BenchmarkCallFreshGo(b *testing.B) {
	e := newTest(b, Config{})
	inv := raw(sdkModule(b, "std_command"), "_start", "benjamin")
	if _, err := e.Call(b.Context(), inv); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := e.Call(b.Context(), inv); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkHostCall is one call of a host function and back, in a loop of the guest.
func BenchmarkHostCall(b *testing.B) {
	e := newTest(b, Config{})
	inv := raw(abitest.Hostile(), "host_calls", "")
	n := 0
	for b.Loop() {
		_, err := e.Call(b.Context(), inv)
		if err == nil {
			b.Fatal("it ended by itself")
		}
		n += inv.Rights.Limits.HostCalls
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(n), "ns/hostcall")
}

// BenchmarkBwrapSubprocess is the peer: the smallest program there is, in a box that
// is made for one call.
func BenchmarkBwrapSubprocess(b *testing.B) {
	testenv.Need(b, "bwrap", testenv.Bwrap)
	for b.Loop() {
		cmd := exec.CommandContext(b.Context(), "bwrap", "--unshare-all", "--die-with-parent", "--clearenv", "--cap-drop", "ALL",
			"--ro-bind", "/usr", "/usr", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--", "/usr/bin/cat")
		cmd.Stdin = bytes.NewReader([]byte(`{"city":"Oslo"}`))
		if out, err := cmd.Output(); err != nil || len(out) == 0 {
			b.Fatal(err)
		}
	}
}
