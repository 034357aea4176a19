package guard

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

const planted = "ghp_9Xk2LmQ7vRt4ZsB1nWc8YdF3"

// kit is a guard that knows one secret and keeps its reports.
type kit struct {
	*Guard
	mu   sync.Mutex
	hits []Hit
}

func newKit(t testing.TB) *kit {
	t.Helper()
	m, err := redact.NewMatcher(map[string]string{"gh": planted})
	if err != nil {
		t.Fatal(err)
	}
	k := &kit{}
	k.Guard = New(func() *redact.Matcher { return m }, func(_ context.Context, h Hit) {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.hits = append(k.hits, h)
	})
	return k
}

func (k *kit) cleared(id abi.SessionID) bool {
	was, err := k.Clear(context.Background(), "main", id)
	return was && err == nil
}

func at(s Sink) Place { return Place{Sink: s, Agent: "main", Session: "s", Call: "c"} }

func spellings(v string) map[string]string {
	return map[string]string{
		"raw": v, "half": v[:len(v)/2], "base64": base64.StdEncoding.EncodeToString([]byte("x" + v)), "base64url": base64.RawURLEncoding.EncodeToString([]byte(v)),
		"hex": hex.EncodeToString([]byte(v)), "percent": percent(v),
		"query": url.QueryEscape(v), "spaced": strings.Join(strings.Split(v, ""), " "), "lower": strings.ToLower(v),
		"twice": base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(v)))),
	}
}

func percent(v string) string {
	var b strings.Builder
	for i := range len(v) {
		fmt.Fprintf(&b, "%%%02x", v[i])
	}
	return b.String()
}

// TestEachSinkActsOnASecret feeds a secret in every spelling through every sink.
func TestEachSinkActsOnASecret(t *testing.T) {
	t.Parallel()
	for sink, policy := range Policies() {
		for name, text := range spellings(planted) {
			k := newKit(t)
			var err error
			out := ""
			if policy.Secret == Block {
				err = k.Check(t.Context(), at(sink), []byte("a "+text+" b"))
			} else {
				out, err = k.Clean(t.Context(), at(sink), "a "+text+" b")
			}
			var hit Hit
			switch {
			case policy.Secret == Block && (!errors.As(err, &hit) || hit.Rule() != RuleSecret || hit.Secret != "gh" || hit.Form == ""):
				t.Errorf("%s, %s: error %v, hit %+v", sink, name, err, hit)
			case policy.Secret == Replace && (err != nil || !strings.Contains(out, "[secret:gh]") || strings.Contains(out, text)):
				t.Errorf("%s, %s: %q, error %v", sink, name, out, err)
			}
			if len(k.hits) != 1 || k.hits[0].Place.Sink != sink || k.hits[0].Action != policy.Secret {
				t.Errorf("%s, %s: reports %+v", sink, name, k.hits)
			}
			if _, marked := k.Compromised("main", "s"); marked != policy.Compromises {
				t.Errorf("%s: marked is %v, want %v", sink, marked, policy.Compromises)
			}
			if hit.Secret != "" && strings.Contains(err.Error(), "gh") {
				t.Errorf("%s: the refusal names the secret: %v", sink, err)
			}
		}
	}
}

// TestInjectedIsScanned: the planted that a prompt gets is the one that is looked for.
func TestInjectedIsScanned(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i := range 50 {
		k := newKit(t)
		session := abi.SessionID(fmt.Sprint("s", i))
		canary, err := k.Canary("main", session)
		if err != nil || len(canary) < 26 || seen[canary] { // 5 bits a character
			t.Fatalf("canary %q, error %v", canary, err)
		}
		seen[canary] = true
		if again, _ := k.Canary("main", session); again != canary {
			t.Fatal("the canary changed")
		}
		for sink, policy := range Policies() {
			if policy.Canary == "" {
				continue
			}
			for name, text := range spellings(canary) {
				p := Place{Sink: sink, Agent: "main", Session: session}
				_, err := k.Clean(t.Context(), p, text)
				if policy.Canary == Block {
					err = k.Check(t.Context(), p, []byte(text))
				}
				var hit Hit
				if policy.Canary == Block && (!errors.As(err, &hit) || hit.Rule() != RuleCanary) || policy.Canary == Replace && err != nil {
					t.Errorf("%s, %s: error %v", sink, name, err)
				}
			}
			if _, marked := k.Compromised("main", session); !marked {
				t.Errorf("%s: the conversation is not marked", sink)
			}
			k.cleared(session)
			if canary, err = k.Canary("main", session); err != nil {
				t.Fatal(err)
			}
		}
		if err := k.Check(t.Context(), Place{Sink: Arguments, Agent: "main", Session: "other"}, []byte(canary)); err != nil {
			t.Errorf("another conversation: %v", err)
		}
	}
}

// TestPiecesAreJoined sends thirds of a secret, none of which says anything by itself.
func TestPiecesAreJoined(t *testing.T) {
	t.Parallel()
	thirds := []string{planted[:9], planted[9:18], planted[18:]}
	send := func(k *kit, recipient func(i int) string) (err error) {
		for i, piece := range thirds {
			p := at(Arguments)
			p.Recipient, p.Call = recipient(i), abi.CallID(fmt.Sprint(i))
			if err = k.CheckJSON(t.Context(), p, fmt.Appendf(nil, `{"text":%q}`, piece)); err != nil {
				return err
			}
		}
		return nil
	}
	k := newKit(t)
	var hit Hit
	if err := send(k, func(int) string { return "web.fetch" }); !errors.As(err, &hit) || hit.Form != "pieces" {
		t.Errorf("to one recipient: %v", err)
	}
	if err := send(newKit(t), func(i int) string { return fmt.Sprint("tool", i) }); err != nil {
		t.Errorf("to three recipients: %v", err)
	}
	if err := newKit(t).CheckJSON(t.Context(), at(Arguments), fmt.Appendf(nil, `{"a":%q,"z":1e999,"b":[%q,{"c":%q}],"n":1}`, thirds[0], thirds[1], thirds[2])); !errors.As(err, &hit) {
		t.Errorf("in three fields: %v", err)
	}
	k = newKit(t)
	for i, piece := range thirds {
		p := at(Reply)
		p.Recipient = "owner:api"
		if _, err := k.Clean(t.Context(), p, piece); (err != nil) != (i == 1) {
			t.Errorf("reply %d: %v", i, err)
		}
	}
}

func TestMarkedUntilCleared(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	if k.cleared("s") {
		t.Error("an unknown conversation was cleared")
	}
	before, _ := k.Canary("main", "s")
	if err := k.Check(t.Context(), at(Request), []byte(planted)); err == nil {
		t.Fatal("passed")
	}
	if _, err := k.Clean(t.Context(), at(Reply), planted); err != nil {
		t.Fatal(err)
	}
	hit, marked := k.Compromised("main", "s")
	if !marked || hit.Place.Sink != Request || len(k.Marked()) != 1 {
		t.Errorf("%v, %+v", marked, hit)
	}
	if _, other := k.Compromised("main", "t"); other {
		t.Error("another conversation is marked")
	}
	if !k.cleared("s") || len(k.Marked()) != 0 {
		t.Error("not cleared")
	}
	if after, _ := k.Canary("main", "s"); after == before {
		t.Error("the canary that leaked is used again")
	}
}

func TestFloodOfConversationsKeepsTheMark(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	_ = k.Check(t.Context(), at(Request), []byte(planted))
	for i := range maxSessions + 100 {
		p := at(Arguments)
		p.Session, p.Recipient = abi.SessionID(fmt.Sprint(i)), "x"
		_ = k.Check(t.Context(), p, []byte("text"))
	}
	if _, marked := k.Compromised("main", "s"); !marked || len(k.sessions) > maxSessions {
		t.Errorf("marked %v, %d conversations", marked, len(k.sessions))
	}
}

// Pieces are joined for each recipient of a conversation, however many there are; where
// they cannot be, nothing goes out.
func TestNoRecipientIsForgotten(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	to := func(i int, text string) error {
		p := at(Arguments)
		p.Recipient = fmt.Sprint(i)
		return k.Check(t.Context(), p, []byte(text))
	}
	third := len(planted) / 3
	if err := to(0, planted[:third]); err != nil {
		t.Fatal(err)
	}
	for i := range maxTails {
		if err := to(i, "text"[:min(i, 4)]); err != nil {
			t.Fatalf("recipient %d: %v", i, err)
		}
	}
	var hit Hit
	if err := to(maxTails, "text"); !errors.As(err, &hit) || hit.Rule() != RuleRecipients {
		t.Errorf("one recipient too many: %v", err)
	}
	if _, marked := k.Compromised("main", "s"); marked {
		t.Error("the conversation is marked for its many recipients")
	}
	if err := to(0, planted[third:2*third]); !errors.As(err, &hit) || hit.Form != "pieces" {
		t.Errorf("the pieces to the first recipient were not joined: %v", err)
	}
}

func TestDocumentsAndUnknownSinks(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	doc, err := k.CleanJSON(t.Context(), at(Result), []byte(`{"a":"`+planted+`","n":1.50}`))
	if err != nil || string(doc) != `{"a":"[secret:gh]","n":1.50}` {
		t.Errorf("%s, error %v", doc, err)
	}
	if doc, err := k.CleanJSON(t.Context(), at(Reply), []byte(planted)); err == nil {
		t.Errorf("no JSON: %s", doc)
	}
	var hit Hit
	if err := k.Check(t.Context(), at("new door"), []byte(planted)); !errors.As(err, &hit) || hit.Action != Block {
		t.Errorf("a sink without a policy: %v", err)
	}
	if out, err := k.Clean(t.Context(), at("new door"), planted); err == nil {
		t.Errorf("a sink without a policy: %q", out)
	}
	bomb := base64.StdEncoding.EncodeToString([]byte("\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + strings.Repeat("\x00", 10)))
	if err := k.Check(t.Context(), at(Request), []byte(bomb)); err != nil {
		t.Errorf("a broken stream: %v", err)
	}
	if k.Find("x "+planted) != "gh" || k.Find("benign") != "" || k.Redact(planted) != "[secret:gh]" {
		t.Error("Find or Redact")
	}
	canary, _ := k.Canary("main", "s")
	if k.Find("x "+canary) != CanaryName {
		t.Error("a memory would take the canary")
	}
}

func TestNilGuardKnowsNothing(t *testing.T) {
	t.Parallel()
	var g *Guard
	canary, err := g.Canary("main", "s")
	clean, cleanErr := g.Clean(t.Context(), at(Reply), planted)
	doc, docErr := g.CleanJSON(t.Context(), at(Result), []byte("{}"))
	_, marked := g.Compromised("main", "s")
	if canary != "" || err != nil || clean != planted || cleanErr != nil || string(doc) != "{}" || docErr != nil || marked ||
		g.Check(t.Context(), at(Request), []byte(planted)) != nil || g.CheckJSON(t.Context(), at(Request), []byte(planted)) != nil || g.Redact("x") != "x" || g.Find(planted) != "" {
		t.Error("a nil guard does something")
	}
}

func TestGuardIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 50 {
				p := at(Arguments)
				p.Session, p.Recipient = abi.SessionID(fmt.Sprint(j%5)), fmt.Sprint(i)
				_, _ = k.Canary(p.Agent, p.Session)
				_ = k.CheckJSON(t.Context(), p, []byte(`{"a":"text"}`))
				_, _ = k.Clean(t.Context(), p, planted)
				k.Marked()
				_, _ = k.Clear(t.Context(), p.Agent, p.Session)
				k.Find("text")
			}
		})
	}
	wg.Wait()
}

func FuzzCheck(f *testing.F) {
	k := newKit(f)
	f.Add([]byte(`{"a":"`+planted+`"}`), "x")
	f.Add([]byte("plain"), planted[:9])
	f.Fuzz(func(t *testing.T, doc []byte, text string) {
		p := at(Reply)
		p.Recipient = "r"
		out, err := k.Clean(t.Context(), p, text)
		if err == nil && k.known().Contains([]byte(out)) {
			t.Fatalf("%q became %q", text, out)
		}
		if err := k.CheckJSON(t.Context(), at(Arguments), doc); err == nil && k.known().Contains(doc) {
			t.Fatalf("%q passes", doc)
		}
		if clean, err := k.CleanJSON(t.Context(), at(Result), doc); err == nil && k.known().Contains(clean) {
			t.Fatalf("%q became %q", doc, clean)
		}
	})
}

// BenchmarkCheck is what the guard adds to a call of ordinary size.
func BenchmarkCheck(b *testing.B) {
	values := map[string]string{}
	for i := range 100 {
		values[fmt.Sprint("s", i)] = fmt.Sprintf("%x-Secret-%d-%x", i*7919, i, i*104729)
	}
	m, err := redact.NewMatcher(values)
	if err != nil {
		b.Fatal(err)
	}
	g := New(func() *redact.Matcher { return m }, nil)
	if _, err := g.Canary("main", "s"); err != nil {
		b.Fatal(err)
	}
	p := at(Arguments)
	p.Recipient = "mail.send"
	doc := []byte(`{"body":"` + strings.Repeat("See you on Monday at the usual place. ", 6) + `","subject":"Monday","to":"ann@example.org"}`)
	b.SetBytes(int64(len(doc)))
	b.ReportAllocs()
	for b.Loop() {
		if err := g.CheckJSON(b.Context(), p, doc); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkCanary is what a new conversation costs.
func BenchmarkCanary(b *testing.B) {
	g := New(func() *redact.Matcher { return nil }, nil)
	for i := 0; b.Loop(); i++ {
		if _, err := g.Canary("main", abi.SessionID(fmt.Sprint(i))); err != nil {
			b.Fatal(err)
		}
	}
}

func TestStringsOfDocuments(t *testing.T) {
	t.Parallel()
	for doc, want := range map[string]string{
		`{"a":"x","b":["y",{"c":"z"}],"n":1}`: "xyz", `{"a" : "x\n\u0041\"", "b":"y"}`: "x\nA\"y", `"alone"`: "alone", `["a:b",":"]`: "a:b:",
		`{"a":"unended`: "unended", `{"a":"bad \q","b":"c"}`: `bad \qc`, `"`: "", `"\`: `\`, ``: "", `{"a":1e999,"b":"c"}`: "c",
	} {
		if got, _ := joinStrings([]byte(doc)); string(got) != want {
			t.Errorf("%s: %q, want %q", doc, got, want)
		}
	}
}
