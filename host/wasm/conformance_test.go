package wasm

import (
	"context"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/wasm/kv"
)

// kit is this host, as the conformance kit wants it.
type kit struct {
	t      *testing.T
	engine *Engine
	kv     *kv.Store
	calls  *atomic.Int64
}

func newKit(t *testing.T) kit {
	t.Helper()
	s, err := kv.Open(context.Background(), filepath.Join(t.TempDir(), "kv.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return kit{t, newTest(t, Config{}), s, &atomic.Int64{}}
}

// Run implements abitest.Host.
func (k kit) Run(ctx context.Context, guest []byte, export string, input []byte, grant []string) ([]byte, int, error) {
	dir, err := os.MkdirTemp(k.t.TempDir(), "data")
	if err != nil {
		return nil, 0, err
	}
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("content"), 0o600); err != nil {
		return nil, 0, err
	}
	o := &observer{}
	inv := raw(guest, export, string(input))
	inv.Caller.Session = abi.SessionID(dir)
	inv.Caller.Agent = abi.AgentID(dir) // a store of its own
	inv.Services = Services{Fetch: hello, KV: k.kv, Ask: yes, Secrets: present(true), Observer: o}
	inv.Rights = grants(dir, grant)
	out, err := k.engine.Call(ctx, inv)
	if out == nil {
		return nil, 0, err
	}
	if len(out.Denials) != len(o.denied) {
		k.t.Errorf("%d refusals in the outcome, %d audited", len(out.Denials), len(o.denied))
	}
	return out.Raw, len(o.denied), err
}

// grants turns the kit's words into rights.
func grants(dir string, words []string) abi.Rights {
	r := abi.Rights{Limits: limits(), Config: map[string]string{"greeting": "hei"}}
	for _, w := range words {
		switch w {
		case "http":
			r.HTTP = httpRight()
		case "secrets":
			r.Secrets = []abi.SecretRight{{Name: "gh", Store: "stored", Inject: abi.Injection{Kind: abi.InjectBearer}, Only: []abi.Origin{"https://api.example"}, Rule: "grant.yaml:7"}}
		case "files", "files:rw":
			r.Files = []abi.FileRight{{Mount: "/data", Host: dir, Write: w == "files:rw", MaxBytes: abi.MiB, Rule: "grant.yaml:9"}}
		case "kv":
			r.KV = &abi.KVRight{MaxBytes: abi.MiB, Rule: "grant.yaml:12"}
		case "human":
			r.Human = true
		}
	}
	return r
}

func TestConformance(t *testing.T) {
	t.Parallel()
	abitest.Run(t, newKit(t))
}
