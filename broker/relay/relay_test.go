package main

import (
	"net/netip"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

func query(t testing.TB, id uint16, names []string, kind dnsmessage.Type, extra bool) []byte {
	t.Helper()
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: id, RecursionDesired: true})
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(b.StartQuestions())
	for _, n := range names {
		must(b.Question(dnsmessage.Question{Name: dnsmessage.MustNewName(n), Type: kind, Class: dnsmessage.ClassINET}))
	}
	if extra {
		must(b.StartAdditionals())
		var h dnsmessage.ResourceHeader
		must(h.SetEDNS0(4096, dnsmessage.RCodeSuccess, false))
		must(b.OPTResource(h, dnsmessage.OPTResource{Options: []dnsmessage.Option{{Code: 10, Data: []byte("data to carry out")}}}))
	}
	out, err := b.Finish()
	must(err)
	return out
}

// TestNamesAreAnsweredHere: known names have one address, others do not exist, and
// nothing that was asked is passed on or said again but the name.
func TestNamesAreAnsweredHere(t *testing.T) {
	t.Parallel()
	hosts, err := addresses([]name{{"api.example", 443}, {"api.example", 8443}, {"git.example", 443}})
	if err != nil || len(hosts) != 2 {
		t.Fatal(hosts, err)
	}
	tests := []struct {
		name  string
		query []byte
		code  dnsmessage.RCode
		want  string
	}{
		{"a known name", query(t, 7, []string{"api.example."}, dnsmessage.TypeA, false), dnsmessage.RCodeSuccess, "127.1.0.1"},
		{"in any case, with EDNS", query(t, 7, []string{"GIT.Example."}, dnsmessage.TypeA, true), dnsmessage.RCodeSuccess, "127.1.0.2"},
		{"its IPv6 address", query(t, 7, []string{"api.example."}, dnsmessage.TypeAAAA, false), dnsmessage.RCodeSuccess, ""},
		{"its text", query(t, 7, []string{"api.example."}, dnsmessage.TypeTXT, false), dnsmessage.RCodeSuccess, ""},
		{"a name below it", query(t, 7, []string{"data.api.example."}, dnsmessage.TypeA, false), dnsmessage.RCodeNameError, ""},
		{"another name", query(t, 7, []string{"c2VjcmV0.evil.example."}, dnsmessage.TypeA, true), dnsmessage.RCodeNameError, ""},
		{"two questions", query(t, 7, []string{"api.example.", "git.example."}, dnsmessage.TypeA, false), dnsmessage.RCodeRefused, ""},
		{"no question", query(t, 7, nil, dnsmessage.TypeA, false), dnsmessage.RCodeRefused, ""},
	}
	for _, tt := range tests {
		out, ok := answer(tt.query, hosts)
		var m dnsmessage.Message
		if err := m.Unpack(out); !ok || err != nil || m.ID != 7 || !m.Response || m.RCode != tt.code || len(m.Additionals) > 0 {
			t.Errorf("%s: %+v, %t, %v", tt.name, m, ok, err)
			continue
		}
		got := ""
		for _, a := range m.Answers {
			got += netip.AddrFrom4(a.Body.(*dnsmessage.AResource).A).String()
			if a.Header.TTL != 60 {
				t.Errorf("%s: TTL %d", tt.name, a.Header.TTL)
			}
		}
		if got != tt.want {
			t.Errorf("%s: %q; want %q", tt.name, got, tt.want)
		}
	}
}

func TestEachNameHasItsAddress(t *testing.T) {
	t.Parallel()
	var names []name
	for i := range 600 {
		names = append(names, name{host: string(rune('a'+i%26)) + string(rune('a'+i/26)) + ".example", port: 443})
	}
	hosts, err := addresses(names)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[netip.Addr]bool{}
	for _, a := range hosts {
		if b := a.As4(); b[0] != 127 || b[1] != 1 || b[3] == 0 || b[3] == 255 || seen[a] {
			t.Errorf("address %s", a)
		}
		seen[a] = true
	}
	if len(seen) != 600 {
		t.Errorf("%d addresses", len(seen))
	}
	if _, err := addresses(make([]name, 1)); err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"api.example", ":443", "a:0", "a:x", "a:70000"} {
		if _, err := parseNames(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// FuzzAnswer: whatever is asked, nothing panics, and an answer holds known addresses only.
func FuzzAnswer(f *testing.F) {
	f.Add(query(f, 1, []string{"api.example."}, dnsmessage.TypeA, true))
	f.Add(query(f, 1, []string{"x.example.", "y.example."}, dnsmessage.TypeAAAA, false))
	hosts := map[string]netip.Addr{"api.example": netip.MustParseAddr("127.1.0.1")}
	f.Fuzz(func(t *testing.T, q []byte) {
		out, ok := answer(q, hosts)
		if !ok {
			return
		}
		var m dnsmessage.Message
		if err := m.Unpack(out); err != nil {
			t.Fatalf("%x: %v", out, err)
		}
		for _, a := range m.Answers {
			if r, ok := a.Body.(*dnsmessage.AResource); !ok || r.A != [4]byte{127, 1, 0, 1} {
				t.Errorf("answered %+v", a)
			}
		}
	})
}
