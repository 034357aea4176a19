package abi

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

func TestBind(t *testing.T) {
	t.Parallel()
	fixed := HTTPRight{Origin: "https://api.example", Methods: []string{"GET"}, Paths: []string{"/**"}, Rule: "g:1"}
	open := HTTPRight{Argument: "url", Methods: []string{"GET"}, Paths: []string{"/**"}, MaxResponse: 7, Rule: "g:2"}
	bound := func(o OriginPattern) HTTPRight {
		return HTTPRight{Origin: o, Methods: []string{"GET"}, Paths: []string{"/**"}, MaxResponse: 7, Bound: true, Rule: "g:2"}
	}
	for name, c := range map[string]struct {
		args string
		want []HTTPRight
	}{
		"one URL":                  {`{"url":"HTTP://News.example:80/a?b"}`, []HTTPRight{fixed, bound("http://news.example")}},
		"a list":                   {`{"url":["https://a.example/1","https://b.example:8443","https://a.example/2"]}`, []HTTPRight{fixed, bound("https://a.example"), bound("https://b.example:8443")}},
		"absent":                   {`{"other":"https://a.example"}`, []HTTPRight{fixed}},
		"no arguments":             {``, []HTTPRight{fixed}},
		"null":                     {`{"url":null}`, []HTTPRight{fixed}},
		"another case of the key":  {`{"URL":"https://a.example"}`, []HTTPRight{fixed}},
		"not a URL":                {`{"url":"a.example"}`, []HTTPRight{fixed}},
		"user information":         {`{"url":"https://good.example@evil.example/"}`, []HTTPRight{fixed}},
		"number":                   {`{"url":5}`, []HTTPRight{fixed}},
		"nested":                   {`{"url":{"url":"https://a.example"}}`, []HTTPRight{fixed}},
		"list with things between": {`{"url":[1,null,"x","https://a.example"]}`, []HTTPRight{fixed, bound("https://a.example")}},
		"escaped text":             {`{"\u0075rl":"https:\/\/a.example"}`, []HTTPRight{fixed, bound("https://a.example")}},
		"wildcard":                 {`{"url":"https://*.example.com/"}`, []HTTPRight{fixed}},
	} {
		r, err := Rights{Granted: true, HTTP: []HTTPRight{fixed, open}, Human: true}.Bind(json.RawMessage(c.args))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if want := (Rights{Granted: true, HTTP: c.want, Human: true}); !reflect.DeepEqual(r, want) {
			t.Errorf("%s:\n%+v\nwant\n%+v", name, r, want)
		}
	}
	eight := `{"url":["https://a.example"` + strings.Repeat(`,"https://a.example"`, 7) + `]}`
	if _, err := (Rights{HTTP: []HTTPRight{open}}).Bind(json.RawMessage(eight)); err != nil {
		t.Errorf("eight: %v", err)
	}
	for name, c := range map[string]struct{ args, want string }{
		"nine URLs":     {strings.Replace(eight, "]", `,"https://a.example"]`, 1), "names 9 URLs, more than the limit of 8"},
		"duplicate key": {`{"url":"https://a.example","url":"https://b.example"}`, "duplicate key"},
		"escaped twice": {`{"url":"https://a.example","\u0075rl":"https://b.example"}`, "duplicate key"},
		"a list":        {`[]`, "want a JSON object"},
		"deep":          {strings.Repeat("[", 10_000), "nested too deep"},
		"rubbish":       {`{"url"`, "not valid JSON"},
	} {
		r, err := Rights{HTTP: []HTTPRight{fixed, open}}.Bind(json.RawMessage(c.args))
		wantError(t, err, c.want)
		if len(r.HTTP) != 0 {
			t.Errorf("%s: rights %+v with an error", name, r)
		}
	}
}

func TestBindLeavesItsReceiverAlone(t *testing.T) {
	t.Parallel()
	r := Rights{HTTP: []HTTPRight{{Argument: "url", Methods: []string{"GET"}, Paths: []string{"/**"}, Auth: "gh"}}}
	first, err := r.Bind(json.RawMessage(`{"url":"https://a.example"}`))
	if err != nil || first.HTTP[0].Auth != "" {
		t.Errorf("%v, %+v", err, first)
	}
	second, err := r.Bind(json.RawMessage(`{"url":"https://b.example"}`))
	if err != nil || first.HTTP[0].Origin != "https://a.example" || second.HTTP[0].Origin != "https://b.example" || r.HTTP[0].Argument != "url" {
		t.Errorf("%v: %+v, %+v, %+v", err, r, first, second)
	}
}
