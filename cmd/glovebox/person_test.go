package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/host/admin"
)

// TestPersonAtTheTerminal types answers to approvals and questions: only a plain yes
// approves, and the end of the input is a no.
func TestPersonAtTheTerminal(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind, typed string
		terminal    bool
		want        admin.Decision
	}{
		"yes":                   {"call", "y\n", true, admin.Decision{Decision: admin.Approve}},
		"YES in full":           {"call", "YES\n", true, admin.Decision{Decision: admin.Approve}},
		"no":                    {"call", "n\n", true, admin.Decision{Decision: admin.Deny}},
		"return alone":          {"call", "\n", true, admin.Decision{Decision: admin.Deny}},
		"yesterday":             {"call", "yesterday\n", true, admin.Decision{Decision: admin.Deny}},
		"end of input":          {"call", "", true, admin.Decision{Decision: admin.Deny}},
		"nobody at a terminal":  {"call", "y\n", false, admin.Decision{}},
		"an answer":             {"question", " blue \n", true, admin.Decision{Decision: admin.Approve, Answer: "blue"}},
		"no answer":             {"question", "\n", true, admin.Decision{Decision: admin.Deny}},
		"question, no terminal": {"question", "blue\n", false, admin.Decision{}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got admin.Decision
			daemon := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/api/approvals/abc" || r.Header.Get("Authorization") != "Bearer approver" {
					t.Errorf("request %s with %q", r.URL, r.Header.Get("Authorization"))
				}
				if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
					t.Error(err)
				}
			}))
			defer daemon.Close()
			httpClient, err := broker.LoopbackClient(strings.TrimPrefix(daemon.URL, "http://"))
			if err != nil {
				t.Fatal(err)
			}
			var errs bytes.Buffer
			a := &app{err: &errs, terminal: c.terminal}
			ask := admin.Approval{ID: "abc", Kind: c.kind, Agent: "demo", Tool: "x.wipe", Class: "destructive", Arguments: json.RawMessage(`{"path":"/"}`), Question: "which\x1b[2J colour?"}
			a.answer(t.Context(), &client{http: httpClient, base: daemon.URL, token: "token", approve: "approver"}, ask, bufio.NewScanner(strings.NewReader(c.typed)))
			if got != c.want {
				t.Errorf("decided %+v, want %+v; shown: %s", got, c.want, &errs)
			}
			if !c.terminal && !strings.Contains(errs.String(), "hint: glovebox approve abc") {
				t.Errorf("no hint how to answer: %s", &errs)
			}
			if c.kind == "call" && !strings.Contains(errs.String(), `x.wipe (destructive) with {"path":"/"}`) || strings.Contains(errs.String(), "\x1b") {
				t.Errorf("what the person saw: %q", &errs)
			}
		})
	}
}

// TestConsent grants the whole request only after a yes.
func TestConsent(t *testing.T) {
	t.Parallel()
	m := &abi.Manifest{Schema: abi.SchemaSkill, Name: "web", Version: "1.0.0", Needs: abi.Needs{
		HTTP: []abi.HTTPNeed{{Argument: "url", Methods: []string{"GET"}, Paths: []string{"/**"}}},
	}}
	for typed, want := range map[string]bool{"y\n": true, "yes\n": true, "n\n": false, "\n": false, "": false} {
		var errs bytes.Buffer
		err := (&app{in: strings.NewReader(typed), err: &errs, terminal: true}).consent(m, []host.Sharing{{Mount: "/n", Host: "workspace:n", With: "notes"}})
		if (err == nil) != want {
			t.Errorf("%q: %v", typed, err)
		}
		if !strings.Contains(errs.String(), "http GET the origin of argument url") {
			t.Errorf("the request was not shown: %s", &errs)
		}
		if !strings.Contains(errs.String(), "/n is the folder workspace:n, which skill notes has too") {
			t.Errorf("the shared folder was not shown: %s", &errs)
		}
	}
	if err := (&app{in: strings.NewReader("y\n"), err: &bytes.Buffer{}}).consent(m, []host.Sharing{{Mount: "/n", Host: "workspace:n", With: "notes"}}); err == nil {
		t.Error("consent without a terminal")
	}
}
