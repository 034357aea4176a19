package broker

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

func recordedRights() abi.Rights {
	return abi.Rights{
		HTTP:    []abi.HTTPRight{{Origin: "https://api.example.com", Methods: []string{"GET", "POST"}, Paths: []string{"/v1/**"}}},
		Secrets: []abi.SecretRight{{Name: "key", Store: "store-key", Inject: abi.Injection{Kind: abi.InjectBearer}, Only: []abi.Origin{"https://api.example.com"}}},
		Limits:  abi.DefaultLimits(),
	}
}

func TestRecordedAnswersAndJudges(t *testing.T) {
	t.Parallel()
	body := `{"a":1}`
	r, err := NewRecorded([]Exchange{
		{RecordedRequest{URL: "https://API.example.com:443/v1/x?q=1", Headers: map[string]string{"authorization": "Bearer {{secret:key}}"}}, RecordedResponse{Body: "one", Headers: map[string]string{"X-A": "b"}}},
		{RecordedRequest{URL: "https://api.example.com/v1/x?q=1"}, RecordedResponse{Status: 404, Body: "two"}},
		{RecordedRequest{Method: "post", URL: "https://api.example.com/v1/y", Body: &body, Contains: []string{"a"}}, RecordedResponse{Status: 201}},
		{RecordedRequest{URL: "https://api.example.com/v1/hop"}, RecordedResponse{Status: 302, Headers: map[string]string{"Location": "https://evil.example.com/"}}},
		{RecordedRequest{URL: "https://api.example.com/v1/slow"}, RecordedResponse{Fail: abi.CodeTimeout}},
		{RecordedRequest{URL: "https://api.example.com/v1/unused"}, RecordedResponse{}},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	rights := recordedRights()
	do := func(req abi.FetchRequest, body string) (abi.FetchResponse, string, *abi.Problem) {
		resp, b, err := r.Fetch(t.Context(), testCaller, rights, req, []byte(body))
		return resp, string(b), asProblem(t, err)
	}
	resp, got, p := do(abi.FetchRequest{URL: "https://api.example.com/v1/x?q=1", Auth: "key"}, "")
	if p != nil || got != "one" || resp.Status != 200 || resp.Headers["x-a"][0] != "b" {
		t.Errorf("%+v %q %v", resp, got, p)
	}
	for range 2 { // the last match answers again
		if resp, got, p = do(abi.FetchRequest{URL: "https://api.example.com/v1/x?q=1", Auth: "key"}, ""); p != nil || got != "two" || resp.Status != 404 {
			t.Errorf("%+v %q %v", resp, got, p)
		}
	}
	if resp, _, p = do(abi.FetchRequest{URL: "https://api.example.com/v1/y", Method: "POST"}, body); p != nil || resp.Status != 201 {
		t.Errorf("%+v %v", resp, p)
	}
	for name, c := range map[string]struct {
		req  abi.FetchRequest
		body string
		code abi.Code
		rule string
	}{
		"not recorded":         {abi.FetchRequest{URL: "https://api.example.com/v1/z"}, "", abi.CodeNetwork, ruleRecorded},
		"other body":           {abi.FetchRequest{URL: "https://api.example.com/v1/y", Method: "POST"}, `{"a":2}`, abi.CodeNetwork, ruleRecorded},
		"origin":               {abi.FetchRequest{URL: "https://other.example.com/v1/x"}, "", abi.CodeDenied, ruleNotGranted},
		"method":               {abi.FetchRequest{URL: "https://api.example.com/v1/x", Method: "DELETE"}, "", abi.CodeDenied, ruleMethod},
		"path":                 {abi.FetchRequest{URL: "https://api.example.com/v2"}, "", abi.CodeDenied, rulePath},
		"placeholder in body":  {abi.FetchRequest{URL: "https://api.example.com/v1/y", Method: "POST"}, "{{secret:key}}", abi.CodeDenied, ruleMisuse},
		"redirect elsewhere":   {abi.FetchRequest{URL: "https://api.example.com/v1/hop"}, "", abi.CodeDenied, ruleNotGranted},
		"recorded time-out":    {abi.FetchRequest{URL: "https://api.example.com/v1/slow"}, "", abi.CodeTimeout, "limits.http_time"},
		"header of the broker": {abi.FetchRequest{URL: "https://api.example.com/v1/x", Headers: map[string][]string{"Host": {"x"}}}, "", abi.CodeInvalid, ruleHeader},
	} {
		_, _, p := do(c.req, c.body)
		if p == nil || p.Code != c.code || p.Rule != c.rule {
			t.Errorf("%s: %+v", name, p)
		}
	}
	rights.HTTP = append(rights.HTTP, abi.HTTPRight{Origin: "http://169.254.169.254", Methods: []string{"GET"}, Paths: []string{"/**"}})
	_, _, p = do(abi.FetchRequest{URL: "http://169.254.169.254/"}, "")
	wantProblem(t, p, abi.CodeDenied, ruleSpecial)
	if u := r.Unused(); len(u) != 1 || u[0] != "GET https://api.example.com/v1/unused" {
		t.Errorf("unused %q", u)
	}
}

func TestRecordedRefusesNonsense(t *testing.T) {
	t.Parallel()
	for name, e := range map[string]Exchange{
		"url":    {RecordedRequest{URL: "nowhere"}, RecordedResponse{}},
		"method": {RecordedRequest{URL: "https://a.example/", Method: "TRACE"}, RecordedResponse{}},
		"status": {RecordedRequest{URL: "https://a.example/"}, RecordedResponse{Status: 99}},
		"fail":   {RecordedRequest{URL: "https://a.example/"}, RecordedResponse{Fail: "sometimes"}},
	} {
		if _, err := NewRecorded([]Exchange{e}, nil); err == nil || !strings.HasPrefix(err.Error(), "exchange 1: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLoopbackClientDialsOneAddressOnly(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://127.0.0.1:1/", http.StatusFound)
	}))
	t.Cleanup(s.Close)
	addr := s.Listener.Addr().String()
	c, err := LoopbackClient(addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseIdleConnections()
	resp, err := c.Get("http://" + addr + "/")
	if err != nil || resp.StatusCode != 302 {
		t.Fatalf("%v %v", resp, err)
	}
	_ = resp.Body.Close()
	for _, u := range []string{"http://127.0.0.1:1/", "http://example.com/", "https://" + addr + "/", "http://localhost/"} {
		if resp, err := c.Get(u); err == nil {
			_ = resp.Body.Close()
			t.Errorf("%s was sent", u)
		}
	}
	for _, bad := range []string{"", "127.0.0.1", "localhost:80", "10.0.0.1:80", "0.0.0.0:80", "example.com:80", "[::1%lo]:80", "127.0.0.1:0", "8.8.8.8:53"} {
		if _, err := LoopbackClient(bad); err == nil {
			t.Errorf("%q is taken for loopback", bad)
		}
	}
}
