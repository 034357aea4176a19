package mcp

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/listing"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/mcp/source"
)

func listed(t *testing.T, tools ...string) listing.Listing {
	t.Helper()
	var raw []json.RawMessage
	for _, text := range tools {
		raw = append(raw, json.RawMessage(text))
	}
	l, err := listing.Read("files", raw, nil)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestABookIsShared(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mcp.json")
	daemon, cli := OpenBook(path, nil), OpenBook(path, nil)
	if all, err := daemon.Servers(); err != nil || len(all) != 0 {
		t.Fatalf("got %v, %v", all, err)
	}
	if err := cli.Add(source.Server{Name: "files", Binary: "/opt/files"}, nil); err != nil {
		t.Fatal(err)
	}
	err := cli.Add(source.Server{Name: "files", Binary: "/opt/other"}, nil)
	if r := (*reason.Refusal)(nil); !errors.As(err, &r) || r.Reason != reason.Config {
		t.Errorf("a second server of that name: %v", err)
	}
	l := listed(t, `{"name":"a","inputSchema":{"type":"object"}}`)
	if err := cli.Approve("files", l); err != nil {
		t.Fatal(err)
	}
	r, err := daemon.Get("files")
	if live, ok := r.Live(); err != nil || !ok || live.Digest() != l.Digest() {
		t.Errorf("the other process sees %+v, %v", r, err)
	}
	var all sync.WaitGroup
	for _, b := range []*Book{daemon, cli, daemon, cli} {
		all.Go(func() {
			if err := b.Isolate("files", reason.Changed, "x", nil); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	r, err = cli.Get("files")
	if _, ok := r.Live(); ok || err != nil || r.Quarantine.Reason != reason.Changed {
		t.Errorf("quarantined, and still live: %v", err)
	}
	if err := daemon.Remove("files"); err != nil {
		t.Fatal(err)
	}
	if _, err := cli.Get("files"); err == nil {
		t.Error("removed, and still there")
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A book that somebody edited holds no server at all.
func TestABookIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	good := OpenBook(filepath.Join(dir, "good.json"), nil)
	if err := good.Add(source.Server{Name: "files", Binary: "/opt/files"}, nil); err != nil {
		t.Fatal(err)
	}
	if err := good.Approve("files", listed(t, `{"name":"a","description":"reads","inputSchema":{"type":"object"}}`)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(good.path)
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string][2]string{
		"a description":     {`"reads"`, `"sends"`},
		"a field more":      {`"version":1`, `"version":1,"trusted":true`},
		"a version":         {`"version":1`, `"version":2`},
		"a key twice":       {`"version":1`, `"version":1,"version":1`},
		"a relative path":   {`/opt/files`, `opt/files`},
		"a digest":          {`"digest":"sha256:`, `"digest":"sha256:0`},
		"another tool name": {`"name":"a"`, `"name":"b"`},
		"half of it":        {string(text[len(text)/2:]), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			changed := strings.Replace(string(text), edit[0], edit[1], 1)
			if changed == string(text) {
				t.Fatal("nothing was edited")
			}
			path := filepath.Join(t.TempDir(), "mcp.json")
			if err := os.WriteFile(path, []byte(changed), 0o600); err != nil {
				t.Fatal(err)
			}
			b := OpenBook(path, nil)
			if all, err := b.Servers(); err == nil || len(all) != 0 {
				t.Errorf("got %d servers and %v", len(all), err)
			}
			if err := b.Isolate("files", reason.Changed, "", nil); err == nil {
				t.Error("and it is written over")
			}
		})
	}
	forged := listed(t, `{"name":"a","inputSchema":{"type":"object"}}`)
	forged.Entries[0].Digest = abi.DigestOf(nil)
	if err := good.Approve("files", forged); err == nil {
		t.Error("a listing that is not what its digests say was pinned")
	}
}

func FuzzBook(f *testing.F) {
	f.Add([]byte(`{"version":1,"servers":[{"source":{"name":"files","binary":"/opt/files"}}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		all, err := decode(text)
		if err != nil {
			return
		}
		for name, r := range all {
			if r.Source.Name != name || r.check() != nil {
				t.Fatalf("%q: %+v", name, r)
			}
		}
	})
}
