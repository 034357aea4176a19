package broker

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

const canaryValue = `gh/p+"Zk9&w<4Lq7=Xy>2Rt5Vb`

func TestPlaceholderInItsGrantedPosition(t *testing.T) {
	t.Parallel()
	const value = "tok en/with+odd=chars&more"
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:{{secret:key}}"))
	for name, c := range map[string]struct {
		inject  abi.Injection
		header  map[string][]string
		query   string
		auth    abi.SecretName
		want    string // header
		in, val string
	}{
		"bearer as a plugin writes it": {abi.Injection{Kind: abi.InjectBearer}, map[string][]string{"authorization": {"Bearer {{secret:key}}"}}, "", "", "Authorization", "Bearer " + value, ""},
		"bearer bare":                  {abi.Injection{Kind: abi.InjectBearer}, map[string][]string{"Authorization": {"{{secret:key}}"}}, "", "", "Authorization", "Bearer " + value, ""},
		"bearer by auth":               {abi.Injection{Kind: abi.InjectBearer}, nil, "", "key", "Authorization", "Bearer " + value, ""},
		"header":                       {abi.Injection{Kind: abi.InjectHeader, Name: "x-api-key"}, map[string][]string{"X-API-Key": {"{{secret:key}}"}}, "", "", "X-Api-Key", value, ""},
		"header with format":           {abi.Injection{Kind: abi.InjectHeader, Name: "Authorization", Format: "token {}"}, map[string][]string{"Authorization": {"token {{secret:key}}"}}, "", "", "Authorization", "token " + value, ""},
		"header by auth":               {abi.Injection{Kind: abi.InjectHeader, Name: "Authorization", Format: "token {}"}, nil, "", "key", "Authorization", "token " + value, ""},
		"basic as a plugin writes it":  {abi.Injection{Kind: abi.InjectBasic, User: "bob"}, map[string][]string{"Authorization": {basic}}, "", "", "Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:"+value)), ""},
		"basic by auth":                {abi.Injection{Kind: abi.InjectBasic, User: "bob"}, nil, "", "key", "Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:"+value)), ""},
		"query":                        {abi.Injection{Kind: abi.InjectQuery, Name: "k"}, nil, "?a=1&k={{secret:key}}&b=2", "", "", "", "a=1&k=" + url.QueryEscape(value) + "&b=2"},
		"query percent-encoded":        {abi.Injection{Kind: abi.InjectQuery, Name: "k"}, nil, "?k=%7B%7Bsecret%3Akey%7D%7D", "", "", "", "k=" + url.QueryEscape(value)},
		"query by auth":                {abi.Injection{Kind: abi.InjectQuery, Name: "k"}, nil, "?a=1", "key", "", "", "a=1&k=" + url.QueryEscape(value)},
	} {
		k := newKit(t)
		var got http.Header
		var query string
		port := k.serve(false, func(w http.ResponseWriter, r *http.Request) { got, query = r.Header, r.URL.RawQuery })
		origin := at("https", "a.example", port)
		k.secret("key", value, c.inject, k.open(origin))
		resp, _, p := k.fetch(abi.FetchRequest{URL: origin + "/" + c.query, Headers: c.header, Auth: c.auth}, "")
		if p != nil {
			t.Errorf("%s: %v", name, p)
			continue
		}
		if c.want != "" && (len(got[c.want]) != 1 || got.Get(c.want) != c.in) || c.val != "" && query != c.val {
			t.Errorf("%s: got %v %q", name, got, query)
		}
		if e := k.lastEvent(); len(e.Secrets) != 1 || e.Secrets[0] != "store-key" {
			t.Errorf("%s: event names %v", name, e.Secrets)
		}
		silent(t, name, fmt.Sprintf("%+v %+v", resp, k.lastEvent()), value, url.QueryEscape(value))
	}
}

func TestPlaceholderAnywhereElseIsRefused(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	hits := 0
	handler := func(w http.ResponseWriter, r *http.Request) { hits++ }
	a := at("https", "a.example", k.serve(false, handler))
	b := at("https", "b.example", k.serve(false, handler))
	plain := at("http", "c.example", 9)
	k.open(b)
	k.grant(plain)
	k.secret("key", "correct-horse-battery", abi.Injection{Kind: abi.InjectBearer}, k.open(a), abi.Origin(plain))
	k.secret("gone", "correct-horse-battery-2", abi.Injection{Kind: abi.InjectBearer}, abi.Origin(a))
	if err := k.vault.Remove(t.Context(), "store-gone"); err != nil {
		t.Fatal(err)
	}
	k.secret("bad", "line\nbreak-in-it", abi.Injection{Kind: abi.InjectBearer}, abi.Origin(a))
	k.secret("q", "query-only-secret", abi.Injection{Kind: abi.InjectQuery, Name: "k"}, abi.Origin(a))
	auth := func(v string) map[string][]string { return map[string][]string{"Authorization": {v}} }
	for name, c := range map[string]struct {
		req  abi.FetchRequest
		body string
		code abi.Code
		rule string
	}{
		"other origin":              {abi.FetchRequest{URL: b, Headers: auth("Bearer {{secret:key}}")}, "", abi.CodeDenied, ruleMisuse},
		"other origin by auth":      {abi.FetchRequest{URL: b, Auth: "key"}, "", abi.CodeDenied, ruleMisuse},
		"plain http":                {abi.FetchRequest{URL: plain, Auth: "key"}, "", abi.CodeDenied, ruleMisuse},
		"path":                      {abi.FetchRequest{URL: a + "/{{secret:key}}"}, "", abi.CodeDenied, ruleMisuse},
		"encoded path":              {abi.FetchRequest{URL: a + "/%7B%7Bsecret:key%7D%7D"}, "", abi.CodeDenied, ruleMisuse},
		"body":                      {abi.FetchRequest{URL: a, Method: "POST"}, `{"t":"{{secret:key}}"}`, abi.CodeDenied, ruleMisuse},
		"form body":                 {abi.FetchRequest{URL: a, Method: "POST"}, "t=%7B%7Bsecret%3Akey%7D%7D", abi.CodeDenied, ruleMisuse},
		"form body, lower case":     {abi.FetchRequest{URL: a, Method: "POST"}, "t=%7b%7bsecret%3akey%7d%7d", abi.CodeDenied, ruleMisuse},
		"query of a header secret":  {abi.FetchRequest{URL: a + "/?k={{secret:key}}"}, "", abi.CodeDenied, ruleMisuse},
		"other query parameter":     {abi.FetchRequest{URL: a + "/?j={{secret:q}}"}, "", abi.CodeDenied, ruleMisuse},
		"part of a query value":     {abi.FetchRequest{URL: a + "/?k=x{{secret:q}}"}, "", abi.CodeDenied, ruleMisuse},
		"query name":                {abi.FetchRequest{URL: a + "/?{{secret:q}}=k"}, "", abi.CodeDenied, ruleMisuse},
		"header of a query secret":  {abi.FetchRequest{URL: a, Headers: auth("{{secret:q}}")}, "", abi.CodeDenied, ruleMisuse},
		"other header":              {abi.FetchRequest{URL: a, Headers: map[string][]string{"X-A": {"Bearer {{secret:key}}"}}}, "", abi.CodeDenied, ruleMisuse},
		"user agent":                {abi.FetchRequest{URL: a, Headers: map[string][]string{"User-Agent": {"{{secret:key}}"}}}, "", abi.CodeDenied, ruleMisuse},
		"other format":              {abi.FetchRequest{URL: a, Headers: auth("Token {{secret:key}}")}, "", abi.CodeDenied, ruleMisuse},
		"twice in a header":         {abi.FetchRequest{URL: a, Headers: auth("Bearer {{secret:key}}{{secret:key}}")}, "", abi.CodeDenied, ruleMisuse},
		"basic of a bearer secret":  {abi.FetchRequest{URL: a, Headers: auth("Basic " + base64.StdEncoding.EncodeToString([]byte("u:{{secret:key}}")))}, "", abi.CodeDenied, ruleMisuse},
		"percent-encoded in header": {abi.FetchRequest{URL: a, Headers: auth("Bearer %7B%7Bsecret:key%7D%7D")}, "", abi.CodeDenied, ruleMisuse},
		"not granted":               {abi.FetchRequest{URL: a, Headers: auth("Bearer {{secret:other}}")}, "", abi.CodeDenied, ruleUngranted},
		"the operator's name":       {abi.FetchRequest{URL: a, Auth: "store-key"}, "", abi.CodeDenied, ruleUngranted},
		"broken":                    {abi.FetchRequest{URL: a, Headers: auth("Bearer {{secret:key")}, "", abi.CodeDenied, ruleUngranted},
		"nothing stored":            {abi.FetchRequest{URL: a, Auth: "gone"}, "", abi.CodeNotFound, ruleMissing},
		"line break in the value":   {abi.FetchRequest{URL: a, Auth: "bad"}, "", abi.CodeInvalid, ruleHeader},
		"auth and header":           {abi.FetchRequest{URL: a, Auth: "key", Headers: auth("mine")}, "", abi.CodeInvalid, ruleRequest},
		"auth and parameter":        {abi.FetchRequest{URL: a + "/?k=1", Auth: "q"}, "", abi.CodeInvalid, ruleRequest},
		"auth and encoded name":     {abi.FetchRequest{URL: a + "/?%6b=1", Auth: "q"}, "", abi.CodeInvalid, ruleRequest},
		"a stored value in a body":  {abi.FetchRequest{URL: a, Method: "POST"}, "it is correct-horse-battery!", abi.CodeDenied, ruleLeak},
		"a stored value in a query": {abi.FetchRequest{URL: a + "/?x=" + hex.EncodeToString([]byte("query-only-secret"))}, "", abi.CodeDenied, ruleLeak},
		"a stored value in header":  {abi.FetchRequest{URL: a, Headers: map[string][]string{"X-A": {base64.StdEncoding.EncodeToString([]byte("x correct-horse-battery"))}}}, "", abi.CodeDenied, ruleLeak},
	} {
		_, _, p := k.fetch(c.req, c.body)
		if p == nil || p.Code != c.code || p.Rule != c.rule || p.RequestSent {
			t.Errorf("%s: %+v; want %s %s", name, p, c.code, c.rule)
			continue
		}
		if e := k.lastEvent(); e.Problem != p || len(e.Secrets) > 0 && e.Dialled.IsValid() {
			t.Errorf("%s: event %+v", name, e)
		}
	}
	if hits > 0 {
		t.Errorf("%d requests arrived", hits)
	}
	if _, _, p := k.fetch(abi.FetchRequest{URL: a, Method: "POST"}, "write {{secret:NAME}} where the key goes"); p != nil || hits != 1 {
		t.Errorf("prose about placeholders: %v", p)
	}
	k.rights.HTTP[len(k.rights.HTTP)-1].Auth = "q"
	_, _, p := k.fetch(abi.FetchRequest{URL: a, Auth: "key"}, "")
	wantProblem(t, p, abi.CodeDenied, ruleMisuse)
}

// echoes returns ways in which a server may send a value back.
func echoes(v string) map[string]string {
	js, _ := json.Marshal(v)
	inner := strings.Trim(string(js), `"`)
	js2, _ := json.Marshal(inner)
	out := map[string]string{
		"raw": v, "json": string(js), "json in json": string(js2), "query": url.QueryEscape(v), "path": url.PathEscape(v),
		"hex": hex.EncodeToString([]byte(v)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(v))), "html": html.EscapeString(v),
		"dump": fmt.Sprintf("% x", v), "quoted": fmt.Sprintf("%q", v), "bytes": fmt.Sprint([]byte(v)), "upper": strings.ToUpper(v),
	}
	for i := range 4 {
		text := strings.Repeat("!", i) + v + strings.Repeat("?", i)
		out[fmt.Sprint("base64 ", i)] = base64.StdEncoding.EncodeToString([]byte(text))
		out[fmt.Sprint("base64url ", i)] = base64.RawURLEncoding.EncodeToString([]byte(text))
	}
	return out
}

// core returns a part of the text that gives the value away if it is left.
func core(text string) string { return text[len(text)/3 : 2*len(text)/3] }

func TestReflectedSecretIsTakenOut(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	list := echoes(canaryValue)
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		text := list[r.URL.Query().Get("e")]
		if r.Header.Get("Authorization") != "Bearer "+canaryValue {
			t.Errorf("authorization %q", r.Header.Get("Authorization"))
		}
		w.Header().Set("X-Echo", text)
		w.Header().Set("Set-Cookie", "s="+text)
		for _, part := range []string{"before ", text[:5], text[5:9], text[9:], " after"} { // split over chunks
			_, _ = io.WriteString(w, part)
			w.(http.Flusher).Flush()
		}
	})
	origin := at("https", "a.example", port)
	k.secret("key", canaryValue, abi.Injection{Kind: abi.InjectBearer}, k.open(origin))
	for name, text := range list {
		resp, body, p := k.fetch(abi.FetchRequest{URL: origin + "/?e=" + url.QueryEscape(name), Auth: "key"}, "")
		if p != nil {
			t.Fatalf("%s: %v", name, p)
		}
		all := fmt.Sprint(body, resp.Headers)
		if strings.Contains(all, core(text)) || !strings.Contains(body, "[secret:key]") || !strings.HasPrefix(body, "before ") || !strings.HasSuffix(body, " after") {
			t.Errorf("%s: %q", name, all)
		}
		if strings.Contains(all, "store-key") {
			t.Error("the guest learns the operator's name of the secret")
		}
		if e := k.lastEvent(); len(e.Redacted) != 1 || e.Redacted[0] != "store-key" {
			t.Errorf("%s: event %v", name, e.Redacted)
		}
		if resp.Length != len(body) {
			t.Errorf("length %d of %d", resp.Length, len(body))
		}
	}
}

func TestSecretOfAnotherSkillIsTakenOutWithoutItsName(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "x "+canaryValue) })
	k.open(at("https", "a.example", port))
	if err := k.vault.Set(t.Context(), "payroll", []byte(canaryValue)); err != nil {
		t.Fatal(err)
	}
	if body, p := k.get(at("https", "a.example", port)); p != nil || body != "x [secret]" {
		t.Errorf("%q %v", body, p)
	}
}

// No sink holds the value in any form: what guests, observers and logs get, errors of
// every stage, and every way of printing what this package exports.
func TestNoSecretAnywhere(t *testing.T) {
	t.Parallel()
	k := newKit(t)
	var log bytes.Buffer
	logger := slog.New(redact.Handler(slog.NewJSONHandler(&log, nil), k.vault.Matcher))
	port := k.serve(false, func(w http.ResponseWriter, r *http.Request) {
		for _, text := range echoes(canaryValue) {
			w.Header().Add("X-Echo", text)
		}
		switch r.URL.Path {
		case "/redirect":
			w.Header().Set("Location", "https://b.example/"+url.PathEscape(r.Header.Get("Authorization")))
			w.WriteHeader(302)
		case "/abort":
			panic(http.ErrAbortHandler)
		default:
			for _, text := range echoes(canaryValue) {
				_, _ = io.WriteString(w, text+"\n")
			}
		}
	})
	a := at("https", "a.example", port)
	k.secret("key", canaryValue, abi.Injection{Kind: abi.InjectBearer}, k.open(a))
	k.secret("query", "query!"+canaryValue, abi.Injection{Kind: abi.InjectQuery, Name: "q"}, abi.Origin(a))
	k.secret("basic", "basic!"+canaryValue, abi.Injection{Kind: abi.InjectBasic, User: "u"}, abi.Origin(a))
	k.grant("https://b.example")
	var sinks strings.Builder
	for _, auth := range []abi.SecretName{"key", "query", "basic"} {
		for _, path := range []string{"/", "/redirect", "/abort"} {
			resp, body, p := k.fetch(abi.FetchRequest{URL: a + path, Auth: auth, TimeoutMS: 5000}, "")
			fmt.Fprintf(&sinks, "%+v %s %+v\n", resp, body, p)
			e := k.lastEvent()
			j, err := json.Marshal(e)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&sinks, "%+v %#v %s\n", e, e, j)
			logger.Error(body, "resp", resp, "problem", p, "event", e, slog.Group("g", "echo", echoes(canaryValue)))
		}
	}
	set, err := k.vault.current(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{k.Broker, k.vault, set, *set, k.vault.Matcher()} {
		fmt.Fprintf(&sinks, "%v %+v %#v\n", v, v, v)
	}
	text := sinks.String() + log.String()
	if m := k.vault.Matcher(); m.Contains([]byte(text)) {
		t.Errorf("found %v in %s", m.Names([]byte(text)), text)
	}
	for name, e := range echoes(canaryValue) { // and without trusting the matcher
		if strings.Contains(text, core(e)) {
			t.Errorf("%s is in a sink", name)
		}
	}
}

func TestSecretPrintsNothing(t *testing.T) {
	t.Parallel()
	s := newSecret([]byte("correct-horse-battery"))
	holder := struct {
		Public Secret
		hidden Secret
		p      *Secret
	}{s, s, &s}
	var b bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%c", "%U", "%T", "%p"} {
		fmt.Fprintf(&b, verb+verb+verb+verb+"\n", s, &s, holder, []Secret{s})
	}
	j, err := json.Marshal(map[string]any{"s": s, "h": holder})
	if err != nil {
		t.Fatal(err)
	}
	b.Write(j)
	slog.New(slog.NewTextHandler(&b, nil)).Info("x", "s", s, "h", holder, "p", &s)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "s", s, "h", holder, "p", &s)
	for _, form := range []string{"correct-horse", "636f7272", "636F7272", "99 111 114", "U+0063"} {
		if strings.Contains(b.String(), form) {
			t.Errorf("%s in %s", form, b.String())
		}
	}
	if !strings.Contains(b.String(), "[secret]") || (Secret{}).value() != "" {
		t.Error("the label is missing, or the zero value holds something")
	}
}
