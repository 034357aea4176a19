package provenance

import (
	"errors"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/label"
)

var (
	web     = abi.ToolRef{Skill: "webpage", Tool: "read"}
	notes   = abi.ToolRef{Skill: "notes", Tool: "read"}
	start   = gate.State{Context: label.Trusted(), Mandate: &gate.Mandate{Tools: []abi.ToolRef{web}}}
	owner   = label.Label{Integrity: label.Owner}
	public  = label.Label{Readers: label.Public()}
	private = label.Label{Readers: label.ReadBy("host:a.example")}
)

func open(t *testing.T, path string) *Store {
	t.Helper()
	s, err := Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func (s *Store) load(t *testing.T, id abi.SessionID, from gate.State) gate.State {
	t.Helper()
	st, err := s.Load(t.Context(), id, from)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a session saw is the same after a restart: taint, the owner's words, addresses,
// private sources and the mandate that it began with.
func TestARestartLosesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.db")
	s := open(t, path)
	want := s.load(t, "s", start)
	sources := []gate.Source{
		{Tool: notes, Effect: abi.EffectRead, Label: owner, Text: "call Ana Smith at +49 151 2345678", Minted: []string{"n1"}},
		{Tool: web, Effect: abi.EffectEgress, Label: public, Fetched: true, Text: "see https://news.example/b or mail mallory@evil.example 98.70 to GB29NWBK60161331926819"},
		{Tool: notes, Effect: abi.EffectRead, Label: private, Text: "secret plans"},
	}
	want = want.Hear(owner, "Summarise https://news.example/a and 'the plan'")
	must(t, s.Heard(t.Context(), "s", owner, "Summarise https://news.example/a and 'the plan'"))
	for _, src := range sources {
		want = want.Read(src)
		must(t, s.Read(t.Context(), "s", src))
	}
	must(t, s.Close())
	s = open(t, path)
	other := start
	other.Mandate = &gate.Mandate{Tools: []abi.ToolRef{web, notes}}
	got := s.load(t, "s", other)
	if !reflect.DeepEqual(got, want) {
		t.Errorf("after a restart:\n%+v\nwant\n%+v", got, want)
	}
	if fresh := s.load(t, "t", other); fresh.Context != label.Trusted() || len(fresh.Owner) != 0 || len(fresh.Mandate.Tools) != 2 {
		t.Errorf("a new session begins with %+v", fresh)
	}
}

func TestDamageIsRefusedOrTainted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		sql string
		ok  bool
	}{
		"label":   {`UPDATE seen SET label = 'x'`, true},
		"level":   {`UPDATE seen SET label = '{"integrity":"root","public":true}'`, true},
		"tool":    {`UPDATE seen SET tool = 'x'`, false},
		"minted":  {`UPDATE seen SET minted = '{'`, false},
		"mandate": {`UPDATE session SET mandate = '{'`, false},
		"table":   {`DROP TABLE seen`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, filepath.Join(t.TempDir(), "agent.db"))
			s.load(t, "s", start)
			must(t, s.Read(t.Context(), "s", gate.Source{Tool: notes, Effect: abi.EffectRead, Label: owner, Text: "mallory@evil.example"}))
			_, err := s.db.Write.ExecContext(t.Context(), c.sql)
			must(t, err)
			st, err := s.Load(t.Context(), "s", start)
			if (err == nil) != c.ok {
				t.Fatalf("error %v", err)
			}
			if st.Context != (label.Label{}) || len(st.Vouched) != 0 {
				t.Errorf("state %+v", st)
			}
		})
	}
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "agent.db")
	s := open(t, path)
	s.load(t, "s", start)
	must(t, s.Heard(t.Context(), "s", owner, "hello"))
	if _, err := s.db.Write.ExecContext(t.Context(), `WITH RECURSIVE i(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM i WHERE n < ?)
		INSERT INTO seen SELECT 's', n, '', 0, '', '', 'null', 0 FROM i`, MaxSeen); err != nil {
		t.Fatal(err)
	}
	if err := s.Heard(t.Context(), "s", owner, "more"); !errors.Is(err, ErrLong) {
		t.Errorf("one more than %d: %v", MaxSeen, err)
	}
	s.now = func() time.Time { return time.Now().Add(-2 * keepTime) }
	s.load(t, "large", start)
	for range MaxBytes >> 20 {
		must(t, s.Heard(t.Context(), "large", owner, strings.Repeat("é", 1<<19)))
	}
	if err := s.Heard(t.Context(), "large", owner, "x"); !errors.Is(err, ErrLong) {
		t.Errorf("one byte more than %d: %v", MaxBytes, err)
	}
	s.load(t, "old", start)
	must(t, s.Heard(t.Context(), "old", owner, "long ago"))
	must(t, s.Close())
	s = open(t, path)
	var n int
	must(t, s.db.Read.QueryRowContext(t.Context(), `SELECT count(*) FROM session`).Scan(&n))
	if n != 1 || len(s.load(t, "old", start).Owner) != 0 {
		t.Errorf("%d sessions are left", n)
	}
}

func TestLabelsOfFiles(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	s := open(t, filepath.Join(t.TempDir(), "agent.db"))
	must(t, s.Keep(ctx, "/w/notes", "", owner))
	must(t, s.Keep(ctx, "/w/notes/a.md", "aa", owner))
	must(t, s.Keep(ctx, "/w/notes/a.md", "bb", public))
	must(t, s.Keep(ctx, "/w/notes/sub/c.md", "cc", private))
	must(t, s.Keep(ctx, "/w/notes2/d.md", "dd", owner))
	if l, sum, ok, err := s.Kept(ctx, "/w/notes/a.md"); err != nil || !ok || sum != "bb" || l != public {
		t.Errorf("%v %q %v %v", l, sum, ok, err)
	}
	if l, _, ok, err := s.Kept(ctx, "/w/notes/none"); err != nil || ok || l != (label.Label{}) {
		t.Errorf("what is not kept: %v %v %v", l, ok, err)
	}
	if list, err := s.Children(ctx, "/w/notes/"); err != nil || len(list) != 1 || list["a.md"] != public {
		t.Errorf("children %v, %v", list, err)
	}
	must(t, s.Forget(ctx, "/w/notes"))
	for path, want := range map[string]bool{"/w/notes": false, "/w/notes/a.md": false, "/w/notes/sub/c.md": false, "/w/notes2/d.md": true} {
		if _, _, ok, _ := s.Kept(ctx, path); ok != want {
			t.Errorf("%s kept: %v", path, ok)
		}
	}
	must(t, s.Close())
	if _, _, ok, err := s.Kept(ctx, "/w/notes2/d.md"); err == nil || ok {
		t.Error("a closed store answers")
	}
	if _, err := s.Children(ctx, "/w"); err == nil {
		t.Error("a closed store lists")
	}
	if s.Keep(ctx, "/w/x", "", owner) == nil || s.Forget(ctx, "/w/x") == nil || s.Heard(ctx, "s", owner, "x") == nil {
		t.Error("a closed store is written")
	}
	if _, err := s.Load(ctx, "s", start); err == nil {
		t.Error("a closed store loads")
	}
}
