//go:build unix

package wasm

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// kept is a store of labels in memory.
type kept struct {
	mu     sync.Mutex
	labels map[string]label.Label
	sums   map[string]string
	fail   error
}

func (k *kept) Kept(_ context.Context, path string) (label.Label, string, bool, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	l, ok := k.labels[path]
	return l, k.sums[path], ok, k.fail
}

func (k *kept) Children(_ context.Context, dir string) (map[string]label.Label, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	out := map[string]label.Label{}
	for p, l := range k.labels {
		if filepath.Dir(p) == dir {
			out[filepath.Base(p)] = l
		}
	}
	return out, k.fail
}

func (k *kept) Keep(_ context.Context, path, sum string, l label.Label) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.fail == nil {
		k.labels[path], k.sums[path] = l, sum
	}
	return k.fail
}

func (k *kept) Forget(_ context.Context, path string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	for p := range k.labels {
		if p == path || strings.HasPrefix(p, path+"/") {
			delete(k.labels, p)
			delete(k.sums, p)
		}
	}
	return k.fail
}

var (
	ownerOnly = label.Label{Integrity: label.Owner}
	stranger  = label.Label{Readers: label.Public()}
)

// The label of a result is that of what the guest read; what it writes has the label
// of the call joined with that; no change of a file or name makes a label better.
func TestLabelsOfFilesFollowTheBytes(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	store := &kept{labels: map[string]label.Label{}, sums: map[string]string{}}
	do := func(context label.Label, function, request, data string) label.Label {
		t.Helper()
		out, err := c.engine.Call(t.Context(), raw(abitest.Probe(), "probe", abitest.Line(function, request, data), func(inv *Invocation) {
			inv.Rights.Files, inv.Services.Labels, inv.Context = []abi.FileRight{c.right}, store, context
		}))
		if err != nil {
			t.Fatalf("%s %s: %v", function, request, err)
		}
		return out.Label
	}
	check := func(what string, got, want label.Label) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	unit := label.Trusted()
	check("a write reads nothing", do(ownerOnly, "fs_write", `{"path":"/data/a"}`, "own"), unit)
	check("the owner's file", do(unit, "fs_read", `{"path":"/data/a"}`, ""), ownerOnly)
	check("a list of it", do(unit, "fs_list", `{"path":"/data"}`, ""), ownerOnly)
	check("its size", do(unit, "fs_stat", `{"path":"/data/a"}`, ""), ownerOnly)
	check("nothing removed, nothing told", do(unit, "fs_stat", `{"path":"/data/none"}`, ""), unit)

	do(stranger, "fs_write", `{"path":"/data/a","mode":"append"}`, "more")
	check("appended by a stranger", do(unit, "fs_read", `{"path":"/data/a"}`, ""), ownerOnly.Join(stranger))
	do(ownerOnly, "fs_write", `{"path":"/data/a"}`, "own again")
	check("replaced, but the name stays", do(unit, "fs_read", `{"path":"/data/a"}`, ""), ownerOnly.Join(stranger))

	do(ownerOnly, "fs_write", `{"path":"/data/b"}`, "own")
	do(stranger, "fs_rename", `{"from":"/data/b","to":"/data/c"}`, "")
	check("renamed by a stranger", do(unit, "fs_read", `{"path":"/data/c"}`, ""), ownerOnly.Join(stranger))
	check("where it was", do(unit, "fs_stat", `{"path":"/data/b"}`, ""), ownerOnly.Join(stranger))

	do(ownerOnly, "fs_mkdir", `{"path":"/data/d"}`, "")
	do(ownerOnly, "fs_write", `{"path":"/data/d/x"}`, "own")
	do(ownerOnly, "fs_rename", `{"from":"/data/d","to":"/data/e"}`, "")
	check("in a folder that was renamed", do(unit, "fs_read", `{"path":"/data/e/x"}`, ""), label.Label{})
	do(stranger, "fs_write", `{"path":"/data/f/g/h","mkdirs":true}`, "x")
	check("folders made on the way", do(unit, "fs_stat", `{"path":"/data/f/g"}`, ""), stranger)

	do(ownerOnly, "fs_write", `{"path":"/data/k"}`, "own")
	if err := os.WriteFile(filepath.Join(c.inside, "k"), []byte("changed"), 0o600); err != nil {
		t.Fatal(err)
	}
	check("changed outside of the host", do(unit, "fs_read", `{"path":"/data/k"}`, ""), label.Label{})
	if err := os.WriteFile(filepath.Join(c.inside, "foreign"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	check("a list with a foreign name", do(unit, "fs_list", `{"path":"/data"}`, ""), label.Label{})

	store.fail = os.ErrPermission
	check("labels that cannot be read", do(unit, "fs_read", `{"path":"/data/a"}`, ""), label.Label{})
	do(stranger, "fs_write", `{"path":"/data/new"}`, "x")
	if _, err := os.Stat(filepath.Join(c.inside, "new")); err == nil {
		t.Error("a file was written whose label cannot be kept")
	}
}

// A page is a stranger's and for everybody; what comes from the operator's own network
// or with a secret is for the owner and that server alone; a refusal says nothing.
func TestLabelsOfAnswers(t *testing.T) {
	t.Parallel()
	e := newTest(t, Config{})
	closed := label.Label{Readers: label.ReadBy(label.Host("api.example"))}
	for name, x := range map[string]struct {
		resp    abi.FetchResponse
		err     error
		secrets []abi.SecretRight
		want    label.Label
	}{
		"a public page":                    {abi.FetchResponse{Status: 200, URL: "https://api.example/a"}, nil, nil, stranger},
		"a server of the own network":      {abi.FetchResponse{Status: 200, URL: "https://api.example/a", Private: true}, nil, nil, closed},
		"where a secret can go":            {abi.FetchResponse{Status: 200, URL: "https://api.example/a"}, nil, []abi.SecretRight{{Name: "token", Only: []abi.Origin{"https://api.example"}}}, closed},
		"a secret for another server":      {abi.FetchResponse{Status: 200, URL: "https://api.example/a"}, nil, []abi.SecretRight{{Name: "token", Only: []abi.Origin{"https://b.example"}}}, stranger},
		"a public server that broke off":   {abi.FetchResponse{}, &abi.Problem{Code: abi.CodeNetwork, Message: "cut", RequestSent: true, Public: true}, nil, stranger},
		"refused before anything was sent": {abi.FetchResponse{}, &abi.Problem{Code: abi.CodeDenied, Message: "no"}, nil, label.Trusted()},
		"failed after it was sent":         {abi.FetchResponse{}, &abi.Problem{Code: abi.CodeNetwork, Message: "cut", RequestSent: true}, nil, closed},
	} {
		out, err := e.Call(t.Context(), raw(abitest.Probe(), "probe", abitest.Line("fetch", `{"url":"https://api.example/a"}`, ""), func(inv *Invocation) {
			inv.Rights.HTTP, inv.Rights.Secrets = httpRight(), x.secrets
			inv.Services.Fetch = fetcher(func(context.Context, abi.Caller, abi.FetchRequest, []byte) (abi.FetchResponse, []byte, error) {
				return x.resp, []byte("body"), x.err
			})
		}))
		if err != nil || out.Label != x.want {
			t.Errorf("%s: %+v, error %v; want label %v", name, out, err, x.want)
		}
	}
}
