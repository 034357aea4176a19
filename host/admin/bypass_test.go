package admin

import (
	"net/http"
	"strings"
	"testing"
)

// The tests of this file are named after ways around approval that were found in other
// agents; those that end at a person are in host/approval.

// Identity was taken from fields of a request that began with an underscore.
func TestBypass08IdentityFieldsAreRefused(t *testing.T) {
	t.Parallel()
	_, base := start(t, fake{})
	for _, field := range []string{"_agentId", "_callerSessionKey", "_from", "_confirmed", "_approver", "principal", "from", "scope"} {
		for path, token := range map[string]string{"/api/chat": testToken, "/api/approvals/a1": approveToken} {
			body := `{"message":"hi","` + field + `":"x"}`
			if path != "/api/chat" {
				body = `{"decision":"approve","` + field + `":"x"}`
			}
			resp, text := send(t, base, request{method: "POST", path: path, token: token, body: body})
			if resp.StatusCode != http.StatusBadRequest || !strings.Contains(problemOf(t, resp, text).Detail, field) {
				t.Errorf("%s with %s: %d %s", path, field, resp.StatusCode, text)
			}
		}
	}
}

// A local socket without authentication applied configuration that led to execution.
func TestBypass21LoopbackNeedsAToken(t *testing.T) {
	t.Parallel()
	s, base := start(t, fake{})
	for _, r := range routeTable(s) {
		if strings.Contains(r.path, "config") || r.method == http.MethodPut || r.method == http.MethodPatch {
			if !strings.HasSuffix(r.path, "*") {
				t.Errorf("%s %s changes the configuration?", r.method, r.path)
			}
		}
		if r.method == http.MethodGet || strings.HasPrefix(r.path, "/health") {
			continue
		}
		path := strings.NewReplacer(":id", "a1", "*", "x").Replace(r.path)
		if resp, _ := send(t, base, request{method: r.method, path: path, body: `{"message":"hi","decision":"approve"}`}); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s %s without a token: %d", r.method, path, resp.StatusCode)
		}
	}
}
