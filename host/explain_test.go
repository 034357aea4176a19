package host

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/host/audit"
)

// Each decision is explained from the audit log alone: rule, values with their origin,
// flows, and what would change the verdict.
func TestDecisionsAreExplained(t *testing.T) {
	t.Parallel()
	f, site, _ := steeredHome(t, nil)
	tool, page := fetchOf(site + "/a")
	f.runs("s", "summarise "+site+"/a", tool, page, "gate/clean")
	_, next := fetchOf(site + "/other")
	f.asks("s", "go on", tool, next, "gate/provenance")
	f.runs("s", "what do my notes say?", "notes.search", `{"query":"x"}`, "gate/local")
	f.runs("n", "note: x", "notes.add", `{"text":"x marks the spot"}`, "gate/local")
	f.runs("s", "what do my notes say?", "notes.search", `{"query":"spot"}`, "gate/local")
	f.asks("s", "look at http://other.example/ too", tool, `{"url":"http://other.example/"}`, "gate/readers")
	f.ask("calc.nothing", `{}`)
	records, err := f.audit.Tail(t.Context(), audit.Query{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]struct{ verdict, finding, flow, change string }{
		"gate/clean":        {"allow", "", "", ""},
		"gate/provenance":   {"ask", "/other", "", "endorse"},
		"gate/readers":      {"ask", "", "host:other.example", "readers: named"},
		"gate/unknown-tool": {"deny", "", "", "glovebox skill list"},
	}
	for _, r := range records {
		if r.Call == "" || r.Tool == "" {
			continue
		}
		x, err := f.Explain(t.Context(), r.Seq)
		if err != nil {
			t.Fatalf("record %d (%s): %v", r.Seq, r.Event, err)
		}
		w, ok := want[x.GateRule]
		if !ok {
			continue
		}
		delete(want, x.GateRule)
		changes := strings.Join(x.Changes, "\n")
		if x.Gate != w.verdict || x.GateWhy == "" || x.Context == "" || len(x.Records) == 0 ||
			!strings.Contains(strings.Join(x.Findings, "\n"), w.finding) || !strings.Contains(strings.Join(x.Flows, "\n"), w.flow) || !strings.Contains(changes, w.change) {
			t.Errorf("record %d: %+v", r.Seq, x)
		}
	}
	if len(want) != 0 {
		t.Errorf("not met: %v", want)
	}
	if _, err := f.Explain(t.Context(), 1); status(err) != http.StatusBadRequest {
		t.Errorf("the start of the daemon: %v", err)
	}
	if _, err := f.Explain(t.Context(), 1_000_000); status(err) != http.StatusNotFound {
		t.Errorf("no such record: %v", err)
	}
	if _, err := Explain(t.Context(), f.audit, 0); !errors.Is(err, ErrNoDecision) {
		t.Errorf("record 0: %v", err)
	}
}
