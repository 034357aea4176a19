//go:build unix

package wasm

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/wasm/kv"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// flows is a chamber whose guests hold a folder, storage and the network at once.
type flows struct {
	*chamber
	t      *testing.T
	kept   *kept
	kv     *kv.Store
	sent   []string // all that any server was sent
	change func(*Invocation)
}

func newFlows(t *testing.T) *flows {
	t.Helper()
	f := &flows{chamber: newChamber(t), t: t, kept: &kept{labels: map[string]label.Label{}, sums: map[string]string{}}}
	var err error
	if f.kv, err = kv.Open(t.Context(), filepath.Join(t.TempDir(), "kv.db")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.kv.Close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

// call runs an export of a guest for a conversation with the label l.
func (f *flows) call(l label.Label, guest []byte, export, input string) *Outcome {
	f.t.Helper()
	out, err := f.engine.Call(f.t.Context(), raw(guest, export, input, func(inv *Invocation) {
		inv.Rights.Files, inv.Rights.KV = []abi.FileRight{f.right}, &abi.KVRight{MaxBytes: 1 << 16}
		inv.Rights.Limits.KVBytes, inv.Rights.Limits.KVKeys = 1<<16, 100
		inv.Rights.HTTP = []abi.HTTPRight{{Origin: "https://*.example", Methods: []string{"GET", "POST"}, Paths: []string{"/**"}}}
		inv.Services.Labels, inv.Services.KV, inv.Context = f.kept, f.kv, l
		inv.Services.Ask = yes
		inv.Services.Fetch = fetcher(func(_ context.Context, _ abi.Caller, req abi.FetchRequest, body []byte) (abi.FetchResponse, []byte, error) {
			f.sent = append(f.sent, fmt.Sprintf("%s %s %v %s", req.Method, req.URL, req.Headers, body))
			if strings.HasPrefix(req.URL, "https://down.") {
				return abi.FetchResponse{}, nil, &abi.Problem{Code: abi.CodeNetwork, Message: "cut", RequestSent: true, Public: true}
			}
			return abi.FetchResponse{Status: 200, URL: req.URL, Private: strings.HasPrefix(req.URL, "https://inner.")}, []byte("page"), nil
		})
		if f.change != nil {
			f.change(inv)
		}
	}))
	if err != nil {
		f.t.Fatalf("%s %q: %v", export, input, err)
	}
	return out
}

// do runs functions in one call of the probe.
func (f *flows) do(l label.Label, lines ...[3]string) *Outcome {
	f.t.Helper()
	input := ""
	for _, x := range lines {
		input += abitest.Line(x[0], x[1], x[2])
	}
	return f.call(l, abitest.Probe(), "probe", input)
}

// carry has the courier read, and send what it read, in one call; it returns the
// refusals.
func (f *flows) carry(function, request, way, url string) []abi.Problem {
	f.t.Helper()
	return f.call(ownerOnly, abitest.Courier(), "carry", strings.Join([]string{function, request, way, url}, "\t")).Denials
}

const note = "the-safe-opens-with-4711"

// A guest that may read a folder and its storage and send to servers reads what is the
// owner's and sends it, in one call, every way there is. Nothing arrives.
func TestWhatACallReadIsSentToItsReadersOnly(t *testing.T) {
	t.Parallel()
	f := newFlows(t)
	f.do(ownerOnly, [3]string{"fs_write", `{"path":"/data/note"}`, note}, [3]string{"kv_set", `{"key":"note"}`, note})
	f.do(label.Trusted(), [3]string{"fs_write", `{"path":"/data/public"}`, "page"})
	read := [2]string{"fs_read", `{"path":"/data/note"}`}
	for what, x := range map[string]struct {
		read     [2]string
		way, url string
		refused  bool
	}{
		"in the query":                      {read, "query", "https://a.example/", true},
		"in the body":                       {read, "body", "https://a.example/", true},
		"in a header":                       {read, "header", "https://a.example/", true},
		"in a host name":                    {read, "host", ".example/", true},
		"in that there is a request at all": {read, "none", "https://a.example/", true},
		"a name out of a list":              {[2]string{"fs_list", `{"path":"/data"}`}, "none", "https://a.example/", true},
		"a size and a time":                 {[2]string{"fs_stat", `{"path":"/data/note"}`}, "none", "https://a.example/", true},
		"out of storage":                    {[2]string{"kv_get", `{"key":"note"}`}, "query", "https://a.example/", true},
		"nothing was read":                  {[2]string{"-", ""}, "query", "https://a.example/", false},
		"what everybody may see":            {[2]string{"fs_read", `{"path":"/data/public"}`}, "body", "https://a.example/", false},
		"a key that is not there":           {[2]string{"kv_get", `{"key":"none"}`}, "none", "https://a.example/", false},
	} {
		f.sent = nil
		denials := f.carry(x.read[0], x.read[1], x.way, x.url)
		refused := len(denials) == 1 && denials[0].Rule == abi.RuleFlow && denials[0].Code == abi.CodeDenied
		if refused != x.refused || x.refused != (len(f.sent) == 0) {
			t.Errorf("%s: refused %t, want %t; %+v; sent %q", what, refused, x.refused, denials, f.sent)
		}
		if strings.Contains(strings.Join(f.sent, ""), note) {
			t.Errorf("%s: the note left: %q", what, f.sent)
		}
	}
	p := f.carry(read[0], read[1], "body", "https://a.example/")[0]
	if p.Hint != "glovebox skill grant probe --flow /data=https://a.example" || !strings.Contains(p.Message, "content of /data, which https://a.example may not see") {
		t.Errorf("the refusal is no help: %+v", p)
	}
}

// The operator can admit exactly one source for exactly one server.
func TestGrantedFlow(t *testing.T) {
	t.Parallel()
	f := newFlows(t)
	f.do(ownerOnly, [3]string{"fs_write", `{"path":"/data/note"}`, note}, [3]string{"kv_set", `{"key":"note"}`, note})
	f.change = func(inv *Invocation) { inv.Rights.Flows = []abi.FlowRight{{From: "/data", To: "https://a.example"}} }
	for what, x := range map[string]struct {
		function, request, url string
		arrives                bool
	}{
		"what was granted":      {"fs_read", `{"path":"/data/note"}`, "https://a.example/", true},
		"to another server":     {"fs_read", `{"path":"/data/note"}`, "https://b.example/", false},
		"to another port":       {"fs_read", `{"path":"/data/note"}`, "https://a.example:444/", false},
		"without encryption":    {"fs_read", `{"path":"/data/note"}`, "http://a.example/", false},
		"out of another source": {"kv_get", `{"key":"note"}`, "https://a.example/", false},
	} {
		f.sent = nil
		f.carry(x.function, x.request, "body", x.url)
		if got := strings.Contains(strings.Join(f.sent, ""), note); got != x.arrives {
			t.Errorf("%s: sent %q", what, f.sent)
		}
	}
	f.sent = nil
	f.do(ownerOnly, [3]string{"fs_read", `{"path":"/data/note"}`}, [3]string{"kv_get", `{"key":"note"}`}, [3]string{"fetch", `{"url":"https://a.example/"}`})
	if len(f.sent) != 0 {
		t.Error("one source is granted, both were read, and the request was sent")
	}
}

// What a skill keeps of a server's answers it can use with that server again, in a
// conversation of the owner too, and with no other.
func TestStoredAnswersGoBackToTheirServer(t *testing.T) {
	t.Parallel()
	f := newFlows(t)
	f.do(ownerOnly, [3]string{"fetch", `{"url":"https://a.example/"}`}, [3]string{"kv_set", `{"key":"tag"}`, "v1"}, [3]string{"fs_write", `{"path":"/data/tag"}`, "v1"})
	for _, x := range []struct {
		function, request, url string
		sent                   bool
	}{
		{"kv_get", `{"key":"tag"}`, "https://a.example/", true},
		{"fs_read", `{"path":"/data/tag"}`, "https://a.example/", true},
		{"kv_get", `{"key":"tag"}`, "https://b.example/", false},
		{"fs_read", `{"path":"/data/tag"}`, "https://b.example/", false},
	} {
		f.sent = nil
		if f.carry(x.function, x.request, "header", x.url); (len(f.sent) == 1) != x.sent {
			t.Errorf("%s, then %s: sent %q", x.function, x.url, f.sent)
		}
	}
	// A note that is kept between two requests stays what it is.
	f.do(ownerOnly, [3]string{"fs_write", `{"path":"/data/note"}`, note})
	f.do(ownerOnly, [3]string{"fetch", `{"url":"https://a.example/"}`}, [3]string{"fs_read", `{"path":"/data/note"}`}, [3]string{"kv_set", `{"key":"late"}`, note})
	f.sent = nil
	if f.carry("kv_get", `{"key":"late"}`, "body", "https://a.example/"); len(f.sent) != 0 {
		t.Errorf("a note went out through storage: %q", f.sent)
	}
}

// Answers that only this agent can get, and the operator's, are read like files.
func TestPrivateAnswersAreNotCarriedOn(t *testing.T) {
	t.Parallel()
	get := func(url string) [3]string { return [3]string{"fetch", fmt.Sprintf(`{"url":%q}`, url)} }
	for what, x := range map[string]struct {
		lines [][3]string
		sent  int
	}{
		"from the own network to another":     {[][3]string{get("https://inner.example/"), get("https://a.example/")}, 1},
		"and back to it":                      {[][3]string{get("https://inner.example/"), get("https://inner.example/2")}, 2},
		"with a secret, then elsewhere":       {[][3]string{get("https://vault.example/"), get("https://a.example/")}, 1},
		"from one page to another":            {[][3]string{get("https://a.example/"), get("https://b.example/")}, 2},
		"to a mirror, where a server is down": {[][3]string{get("https://down.example/"), get("https://b.example/")}, 2},
		"the operator's answer":               {[][3]string{{"ask", `{"question":"which?"}`}, get("https://a.example/")}, 0},
		"Extism's request function":           {[][3]string{get("https://inner.example/"), {"http_request", `{"url":"https://a.example/"}`}}, 1},
	} {
		f := newFlows(t)
		f.change = func(inv *Invocation) {
			inv.Rights.Human = true
			inv.Rights.Secrets = []abi.SecretRight{{Name: "token", Only: []abi.Origin{"https://vault.example"}}}
		}
		if out := f.do(ownerOnly, x.lines...); len(f.sent) != x.sent {
			t.Errorf("%s: sent %q; %s", what, f.sent, out.Raw)
		}
	}
}

// Whether a name exists is read as well, whichever function tells it.
func TestNamesAreReadByWhateverTellsThem(t *testing.T) {
	t.Parallel()
	for _, probe := range [][3]string{
		{"fs_write", `{"path":"/data/note","mode":"create"}`, ""}, {"fs_mkdir", `{"path":"/data/note"}`, ""},
		{"fs_rename", `{"from":"/data/note","to":"/data/b"}`, ""}, {"fs_rename", `{"from":"/data/other","to":"/data/note"}`, ""},
		{"fs_remove", `{"path":"/data/note"}`, ""}, {"fs_list", `{"path":"/data/note"}`, ""},
		{"fs_write", `{"path":"/data/note/x"}`, ""}, {"fs_write", `{"path":"/data/note/x","mkdirs":true}`, ""},
		{"fs_write", `{"path":"/data/note/a/x","mkdirs":true}`, ""},
		{"kv_delete", `{"key":"note"}`, ""}, {"kv_set", `{"key":"note","if_version":0}`, "x"}, {"kv_set", `{"key":"note","if_version":1}`, "x"}, {"kv_delete", `{"key":"note","if_version":7}`, ""},
	} {
		f := newFlows(t)
		f.do(ownerOnly, [3]string{"fs_write", `{"path":"/data/note"}`, note}, [3]string{"kv_set", `{"key":"note"}`, note})
		f.do(label.Trusted(), [3]string{"fs_write", `{"path":"/data/other"}`, ""})
		if f.do(ownerOnly, probe, [3]string{"fetch", `{"url":"https://a.example/"}`, ""}); len(f.sent) != 0 {
			t.Errorf("%q told of a note, and the request was sent", probe)
		}
	}
}

// What can tell one folder from another tells of what is in it.
func TestFoldersAreReadByWhateverTellsThem(t *testing.T) {
	t.Parallel()
	for _, probe := range [][3]string{
		{"fs_write", `{"path":"/data/clients/x"}`, ""},
		{"fs_write", `{"path":"/data/clients"}`, ""}, {"fs_write", `{"path":"/data/clients","mode":"append"}`, ""},
		{"fs_list", `{"path":"/data/clients"}`, ""}, {"fs_read", `{"path":"/data/clients"}`, ""},
		{"fs_mkdir", `{"path":"/data/clients/x"}`, ""}, {"fs_rename", `{"from":"/data/other","to":"/data/clients/x"}`, ""},
		{"fs_remove", `{"path":"/data/clients/x"}`, ""}, {"fs_stat", `{"path":"/data/clients/x"}`, ""},
	} {
		f := newFlows(t)
		f.do(ownerOnly, [3]string{"fs_mkdir", `{"path":"/data/clients"}`, ""})
		f.do(label.Trusted(), [3]string{"fs_write", `{"path":"/data/other"}`, ""})
		if out := f.do(ownerOnly, probe, [3]string{"fetch", `{"url":"https://a.example/"}`, ""}); len(f.sent) != 0 {
			t.Errorf("%q told of a folder, and the request was sent: %s", probe, out.Raw)
		}
	}
	// A folder that is made where it is missing tells nothing, and neither does its time.
	f := newFlows(t)
	f.do(label.Trusted(), [3]string{"fs_mkdir", `{"path":"/data/open"}`, ""})
	f.do(ownerOnly, [3]string{"fs_write", `{"path":"/data/open/x"}`, note})
	out := f.do(ownerOnly, [3]string{"fs_write", `{"path":"/data/open/y","mkdirs":true}`, ""}, [3]string{"fs_stat", `{"path":"/data/open"}`, ""},
		[3]string{"fs_stat", `{"path":"/data"}`, ""}, [3]string{"fetch", `{"url":"https://a.example/"}`, ""})
	if len(f.sent) != 1 || strings.Count(string(out.Raw), `"mtime":0`) != 2 {
		t.Errorf("sent %q; %s", f.sent, out.Raw)
	}
}

// How full a place is tells of all that is in it.
func TestQuotasAreReadLikeContent(t *testing.T) {
	t.Parallel()
	for _, probe := range [][3]string{{"kv_set", `{"key":"b"}`, "x"}, {"fs_write", `{"path":"/data/b"}`, strings.Repeat("x", 200)}} {
		f := newFlows(t)
		f.right.MaxBytes = 100
		f.change = func(inv *Invocation) { inv.Rights.Limits.KVKeys = 1 }
		f.do(ownerOnly, [3]string{"kv_set", `{"key":"note"}`, note})
		f.do(label.Trusted(), [3]string{"fs_write", `{"path":"/data/b"}`, "x"})
		if out := f.do(ownerOnly, probe, [3]string{"fetch", `{"url":"https://a.example/"}`, ""}); len(f.sent) != 0 || !strings.Contains(string(out.Raw), `"code":"quota"`) {
			t.Errorf("%q: sent %q; %s", probe, f.sent, out.Raw)
		}
	}
}

// A skill that traps at its first refusal traps at this one, and the host is told.
func TestFlowRefusalIsLikeAnyOther(t *testing.T) {
	t.Parallel()
	f, o := newFlows(t), &observer{}
	f.do(ownerOnly, [3]string{"fs_write", `{"path":"/data/note"}`, note})
	f.change = func(inv *Invocation) { inv.Services.Observer = o }
	f.carry("fs_read", `{"path":"/data/note"}`, "body", "https://a.example/")
	if len(o.denied) != 1 || o.denied[0].Rule != abi.RuleFlow {
		t.Errorf("told of %+v", o.denied)
	}
}
