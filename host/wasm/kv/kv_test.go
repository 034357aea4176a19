package kv

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/label"
)

func open(t testing.TB) *Store {
	t.Helper()
	s, err := Open(context.Background(), filepath.Join(t.TempDir(), "kv.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

var me = abi.Caller{Agent: "a", Skill: "s"}

func code(err error) abi.Code {
	if p, ok := errors.AsType[*abi.Problem](err); ok {
		return p.Code
	}
	if err != nil {
		return abi.Code("other: " + err.Error())
	}
	return ""
}

func set(t testing.TB, s *Store, c abi.Caller, key, value string) uint64 {
	t.Helper()
	v, _, err := s.Set(t.Context(), c, abi.MiB, 1000, abi.KVRequest{Key: key}, []byte(value), label.Trusted())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScopes(t *testing.T) {
	t.Parallel()
	s := open(t)
	set(t, s, me, "k", "mine")
	for _, other := range []abi.Caller{{Agent: "b", Skill: "s"}, {Agent: "a", Skill: "t"}} {
		if _, _, _, err := s.Get(t.Context(), other, abi.KVRequest{Key: "k"}); code(err) != abi.CodeNotFound {
			t.Errorf("%+v reads it: %v", other, err)
		}
		if list, _, err := s.List(t.Context(), other, abi.KVRequest{}); err != nil || len(list.Keys) != 0 {
			t.Errorf("%+v lists it: %v", other, err)
		}
		if _, err := s.Delete(t.Context(), other, abi.KVRequest{Key: "k"}, label.Trusted()); code(err) != abi.CodeNotFound {
			t.Errorf("%+v deletes it: %v", other, err)
		}
	}
	if v, _, _, err := s.Get(t.Context(), abi.Caller{Agent: "a", Skill: "s", Session: "x", Call: "y"}, abi.KVRequest{Key: "k"}); err != nil || string(v) != "mine" {
		t.Errorf("another session of the agent: %q, %v", v, err)
	}
	for _, nobody := range []abi.Caller{{}, {Agent: "a"}, {Skill: "s"}} {
		if _, _, err := s.Set(t.Context(), nobody, abi.MiB, 10, abi.KVRequest{Key: "k"}, nil, label.Trusted()); code(err) != abi.CodeInternal {
			t.Errorf("%+v has a scope: %v", nobody, err)
		}
	}
}

func TestVersions(t *testing.T) {
	t.Parallel()
	s := open(t)
	at := func(n uint64) *uint64 { return &n }
	if _, _, err := s.Set(t.Context(), me, abi.MiB, 10, abi.KVRequest{Key: "k", IfVersion: at(1)}, nil, label.Trusted()); code(err) != abi.CodeConflict {
		t.Errorf("a version of what is not there: %v", err)
	}
	v1, _, err := s.Set(t.Context(), me, abi.MiB, 10, abi.KVRequest{Key: "k", IfVersion: at(0)}, []byte("a"), label.Trusted())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Set(t.Context(), me, abi.MiB, 10, abi.KVRequest{Key: "k", IfVersion: at(0)}, nil, label.Trusted()); code(err) != abi.CodeConflict {
		t.Errorf("created twice: %v", err)
	}
	v2, _, err := s.Set(t.Context(), me, abi.MiB, 10, abi.KVRequest{Key: "k", IfVersion: &v1}, []byte("b"), label.Trusted())
	if err != nil || v2 <= v1 {
		t.Errorf("%d after %d: %v", v2, v1, err)
	}
	if _, err := s.Delete(t.Context(), me, abi.KVRequest{Key: "k", IfVersion: &v1}, label.Trusted()); code(err) != abi.CodeConflict {
		t.Errorf("deleted by an old version: %v", err)
	}
	if _, err := s.Delete(t.Context(), me, abi.KVRequest{Key: "k", IfVersion: &v2}, label.Trusted()); err != nil {
		t.Error(err)
	}
	if v3 := set(t, s, me, "k", "c"); v3 <= v2 {
		t.Errorf("a version was used again after a delete: %d", v3)
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, tc := range []struct {
		name, key string
		value     int
		ttl       int64
		want      abi.Code
	}{
		{"a key of 256 bytes", strings.Repeat("k", MaxKey), 0, 0, ""},
		{"a key of 257 bytes", strings.Repeat("k", MaxKey+1), 0, 0, abi.CodeInvalid},
		{"an empty key", "", 0, 0, abi.CodeInvalid},
		{"a key that is no UTF-8", "a\xff", 0, 0, abi.CodeInvalid},
		{"a value of 256 KiB", "v", MaxValue, 0, ""},
		{"a value of one byte more", "w", MaxValue + 1, 0, abi.CodeTooLarge},
		{"a time to live of eleven years", "t", 0, 11 * 365 * 86400, abi.CodeInvalid},
		{"a time to live below zero", "t", 0, -1, abi.CodeInvalid},
		{"a time to live that overflows", "t", 0, 1 << 62, abi.CodeInvalid},
	} {
		_, _, err := s.Set(t.Context(), me, abi.MiB, 1000, abi.KVRequest{Key: tc.key, TTLSec: tc.ttl}, make([]byte, tc.value), label.Trusted())
		if code(err) != tc.want {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

func TestQuotas(t *testing.T) {
	t.Parallel()
	s := open(t)
	put := func(key string, n int, maxBytes int64, maxKeys int) abi.Code {
		_, _, err := s.Set(t.Context(), me, maxBytes, maxKeys, abi.KVRequest{Key: key}, make([]byte, n), label.Trusted())
		return code(err)
	}
	cost := func(n int) int64 { return int64(1 + n + rowCost) }
	if got := put("a", 10, cost(10)-1, 10); got != abi.CodeQuota {
		t.Errorf("one byte over: %q", got)
	}
	if got := put("a", 10, cost(10), 10); got != "" {
		t.Errorf("exactly: %q", got)
	}
	if got := put("a", 10, cost(10), 1); got != "" {
		t.Errorf("over itself: %q", got)
	}
	if got := put("b", 0, abi.MiB, 1); got != abi.CodeQuota {
		t.Errorf("a second key of one: %q", got)
	}
	if got := put("b", 0, 0, 10); got != abi.CodeQuota {
		t.Errorf("zero bytes allow nothing: %q", got)
	}
	if got := put("b", 0, abi.MiB, 0); got != abi.CodeQuota {
		t.Errorf("zero keys allow nothing: %q", got)
	}
}

// TestQuotaUnderRace: sessions that write at once do not pass the quota together.
func TestQuotaUnderRace(t *testing.T) {
	t.Parallel()
	s := open(t)
	var wg sync.WaitGroup
	var ok atomic.Int64
	for i := range 40 {
		wg.Go(func() {
			_, _, err := s.Set(context.Background(), me, abi.MiB, 10, abi.KVRequest{Key: fmt.Sprint(i)}, nil, label.Trusted())
			switch code(err) {
			case "":
				ok.Add(1)
			case abi.CodeQuota:
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if ok.Load() != 10 {
		t.Errorf("%d keys of 10", ok.Load())
	}
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	s := open(t)
	now := time.Now()
	s.now = func() time.Time { return now }
	if _, _, err := s.Set(t.Context(), me, abi.MiB, 1, abi.KVRequest{Key: "k", TTLSec: 10}, []byte("v"), label.Trusted()); err != nil {
		t.Fatal(err)
	}
	now = now.Add(9 * time.Second)
	if _, _, _, err := s.Get(t.Context(), me, abi.KVRequest{Key: "k"}); err != nil {
		t.Errorf("before its time: %v", err)
	}
	now = now.Add(time.Second)
	if _, _, _, err := s.Get(t.Context(), me, abi.KVRequest{Key: "k"}); code(err) != abi.CodeNotFound {
		t.Errorf("after its time: %v", err)
	}
	if list, _, _ := s.List(t.Context(), me, abi.KVRequest{}); len(list.Keys) != 0 {
		t.Error("it is listed after its time")
	}
	zero := uint64(0)
	if _, _, err := s.Set(t.Context(), me, abi.MiB, 1, abi.KVRequest{Key: "l", IfVersion: &zero}, nil, label.Trusted()); err != nil {
		t.Errorf("it still counts: %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	s := open(t)
	for _, k := range []string{"b", "a%", "a_", "a", "aé", "A"} {
		set(t, s, me, k, k)
	}
	var got []string
	after := ""
	for {
		list, _, err := s.List(t.Context(), me, abi.KVRequest{Prefix: "a", After: after, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Keys {
			got = append(got, fmt.Sprint(e.Key, " ", e.Size))
		}
		if after = list.Next; after == "" {
			break
		}
	}
	if s := strings.Join(got, ", "); s != "a 1, a% 2, a_ 2, aé 3" {
		t.Errorf("listed %s", s)
	}
}

func FuzzKeys(f *testing.F) {
	f.Add("k", "p", "a", []byte("v"))
	f.Add("a%_'\"\x00", "a%", "", []byte{0})
	s := open(f)
	f.Fuzz(func(t *testing.T, key, prefix, after string, value []byte) {
		_, _, err := s.Set(t.Context(), me, abi.GiB, 1<<30, abi.KVRequest{Key: key}, value, label.Trusted())
		if c := code(err); c != "" && c != abi.CodeInvalid && c != abi.CodeTooLarge {
			t.Fatal(err)
		}
		if err == nil {
			if got, _, _, err := s.Get(t.Context(), me, abi.KVRequest{Key: key}); err != nil || string(got) != string(value) {
				t.Fatalf("%q: %v", got, err)
			}
		}
		list, _, err := s.List(t.Context(), me, abi.KVRequest{Prefix: prefix, After: after, Limit: 5})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list.Keys {
			if !strings.HasPrefix(e.Key, prefix) || e.Key <= after && utf8.ValidString(after) {
				t.Fatalf("%q does not fit prefix %q after %q", e.Key, prefix, after)
			}
		}
	})
}

// A value keeps the label of its writer; what replaces it is no better, since the name
// of the key stays; what was deleted shows in lists and in what is not there.
func TestLabelsAreKept(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "kv.db")
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	tainted := label.Label{Readers: label.Public()}
	private := label.Label{Integrity: label.Owner, Readers: label.ReadBy("host:a.example")}
	set := func(key string, l label.Label) {
		t.Helper()
		if _, _, err := s.Set(t.Context(), me, abi.MiB, 10, abi.KVRequest{Key: key}, []byte("v"), l); err != nil {
			t.Fatal(err)
		}
	}
	get := func(key string) label.Label {
		_, _, l, _ := s.Get(t.Context(), me, abi.KVRequest{Key: key})
		return l
	}
	list := func(prefix string) label.Label {
		_, l, err := s.List(t.Context(), me, abi.KVRequest{Prefix: prefix})
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	check := func(what string, got, want label.Label) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	check("an empty scope", list(""), label.Trusted())
	check("no such key", get("nothing"), label.Trusted())
	set("own", private)
	set("page", tainted)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if s, err = Open(t.Context(), path); err != nil { // restart
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	check("own value", get("own"), private)
	check("value of a page", get("page"), tainted)
	check("list of both", list(""), private.Join(tainted))
	check("list of one", list("own"), private)
	set("page", label.Trusted())
	check("replaced", get("page"), tainted)
	if _, err := s.Delete(t.Context(), me, abi.KVRequest{Key: "own"}, tainted); err != nil {
		t.Fatal(err)
	}
	check("what is not there any more", get("own"), tainted)
	check("a list that lacks something", list("nothing"), tainted)
	if _, err := s.db.Write.ExecContext(t.Context(), `UPDATE kv SET label = '{"integrity":"root"}'`); err != nil {
		t.Fatal(err)
	}
	check("a damaged label", get("page"), label.Label{})
}
