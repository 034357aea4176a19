//go:build unix

package wasm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
)

// chamber is a mount with a neighbour that must stay out of reach.
type chamber struct {
	engine          *Engine
	inside, outside string
	right           abi.FileRight
}

func newChamber(t *testing.T) *chamber {
	t.Helper()
	dir := t.TempDir()
	c := &chamber{engine: newTest(t, Config{Running: 8}), inside: filepath.Join(dir, "in"), outside: filepath.Join(dir, "out")}
	for _, d := range []string{c.inside, c.outside} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(c.outside, "secret"), []byte("CANARY"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.right = abi.FileRight{Mount: "/data", Host: c.inside, Write: true, MaxBytes: 1000, Rule: "grant.yaml:9"}
	return c
}

// do calls one function and returns the answer.
func (c *chamber) do(t *testing.T, function, request, data string) string {
	t.Helper()
	out, err := c.engine.Call(t.Context(), raw(abitest.Probe(), "probe", abitest.Line(function, request, data), func(inv *Invocation) {
		inv.Rights.Files = []abi.FileRight{c.right}
	}))
	if err != nil {
		t.Fatalf("%s %s: %v", function, request, err)
	}
	if strings.Contains(string(out.Raw), "CANARY") || strings.Contains(string(out.Raw), c.outside) || strings.Contains(string(out.Raw), c.inside) {
		t.Fatalf("%s %s: %s", function, request, out.Raw)
	}
	return string(out.Raw)
}

func code(answer string) string {
	var a struct {
		Error *struct{ Code string }
	}
	first, _, _ := strings.Cut(answer, "\t")
	if json.Unmarshal([]byte(first), &a) != nil || a.Error == nil {
		return "ok"
	}
	return a.Error.Code
}

// TestLinksDoNotLeadOut (FS-2, FS-3): links that exist already, absolute, relative,
// to files and to folders, for reading, writing, listing, renaming and removing.
func TestLinksDoNotLeadOut(t *testing.T) {
	t.Parallel()
	for _, write := range []bool{true, false} {
		c := newChamber(t)
		c.right.Write = write
		for name, target := range map[string]string{
			"absfile": filepath.Join(c.outside, "secret"), "absdir": c.outside, "reldir": "../out", "relfile": "../out/secret", "up": "..", "root": "/",
		} {
			if err := os.Symlink(target, filepath.Join(c.inside, name)); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range []string{"/data/absfile", "/data/relfile", "/data/absdir/secret", "/data/reldir/secret", "/data/up/out/secret", "/data/root/etc/passwd"} {
			for _, f := range []string{"fs_read", "fs_stat", "fs_write", "fs_remove", "fs_mkdir", "fs_list"} {
				mode := "append"
				if strings.HasSuffix(p, "dir/secret") {
					mode = "replace"
				}
				if got := code(c.do(t, f, fmt.Sprintf(`{"path":%q,"mode":%q}`, p, mode), "OVER")); got == "ok" {
					t.Errorf("%s %s through a link: ok", f, p)
				}
			}
		}
		for _, p := range []string{"/data/absdir/new", "/data/reldir/new", "/data/up/new"} {
			if got := code(c.do(t, "fs_write", fmt.Sprintf(`{"path":%q,"mkdirs":true}`, p), "OVER")); got == "ok" {
				t.Errorf("%s was written", p)
			}
			if got := code(c.do(t, "fs_rename", fmt.Sprintf(`{"from":"/data/absfile","to":%q}`, p), "")); got == "ok" {
				t.Errorf("renamed to %s", p)
			}
		}
		if b, err := os.ReadFile(filepath.Join(c.outside, "secret")); err != nil || string(b) != "CANARY" {
			t.Errorf("outside: %q, %v", b, err)
		}
		if list, _ := os.ReadDir(c.outside); len(list) != 1 {
			t.Errorf("outside holds %d files", len(list))
		}
	}
}

// TestNoFunctionMakesLinks (FS-4): neither namespace offers one.
func TestNoFunctionMakesLinks(t *testing.T) {
	t.Parallel()
	for space, funcs := range known() {
		for name := range funcs {
			if space != namespaceWASI && (strings.Contains(name, "link") || strings.Contains(name, "chmod") || strings.Contains(name, "mknod")) {
				t.Errorf("%s:%s", space, name)
			}
		}
	}
}

// TestSwappedFolder (FS-5): a folder is swapped for a link to the outside while the
// guest reads and writes below it.
func TestSwappedFolder(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	c.right.MaxBytes = abi.MiB
	dir, link := filepath.Join(c.inside, "d"), filepath.Join(c.inside, "l")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "secret"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(c.outside, link); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		spare := filepath.Join(c.inside, "s")
		for {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Rename(dir, spare)
			_ = os.Rename(link, dir)
			_ = os.Rename(dir, link)
			_ = os.Rename(spare, dir)
		}
	})
	lines := strings.Repeat(abitest.Line("fs_read", `{"path":"/data/d/secret"}`, "")+abitest.Line("fs_write", `{"path":"/data/d/secret"}`, "mine")+
		abitest.Line("fs_list", `{"path":"/data/d"}`, "")+abitest.Line("fs_stat", `{"path":"/data/d/secret"}`, ""), 100)
	for range 5 { // 2,000 operations
		out, err := c.engine.Call(t.Context(), raw(abitest.Probe(), "probe", lines, func(inv *Invocation) { inv.Rights.Files = []abi.FileRight{c.right} }))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(out.Raw), "CANARY") {
			t.Fatal("the outside was read")
		}
	}
	close(stop)
	wg.Wait()
	if b, _ := os.ReadFile(filepath.Join(c.outside, "secret")); string(b) != "CANARY" {
		t.Errorf("the outside was written: %q", b)
	}
}

// TestSpecialFiles (FS-6): FIFOs, sockets and devices are refused at once.
func TestSpecialFiles(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	if err := syscall.Mkfifo(filepath.Join(c.inside, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", filepath.Join(c.inside, "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	names := []string{"fifo", "sock"}
	if syscall.Mknod(filepath.Join(c.inside, "zero"), syscall.S_IFCHR|0o600, 1<<8|5) == nil { // root only
		names = append(names, "zero")
	}
	begin := time.Now()
	for _, name := range names {
		p := `{"path":"/data/` + name + `","mode":"append"}`
		for _, f := range []string{"fs_read", "fs_write", "fs_remove", "fs_list"} {
			if got := code(c.do(t, f, p, "x")); got != "invalid" {
				t.Errorf("%s of %s: %s", f, name, got)
			}
		}
		if got := code(c.do(t, "fs_write", `{"path":"/data/`+name+`","mode":"replace"}`, "x")); got != "invalid" {
			t.Errorf("replace of %s: %s", name, got)
		}
	}
	if d := time.Since(begin); d > late {
		t.Errorf("it took %v", d)
	}
}

// TestHardLinks (FS-7): a file with a second name, which may lie outside, is refused
// on a writable mount.
func TestHardLinks(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	if err := os.Link(filepath.Join(c.outside, "secret"), filepath.Join(c.inside, "hard")); err != nil {
		t.Fatal(err)
	}
	for _, f := range []string{"fs_read", "fs_write"} {
		for _, mode := range []string{"append", "replace"} {
			if got := code(c.do(t, f, `{"path":"/data/hard","mode":"`+mode+`"}`, "OVER")); got != "denied" {
				t.Errorf("%s %s: %s", f, mode, got)
			}
		}
	}
	if got := code(c.do(t, "fs_rename", `{"from":"/data/hard","to":"/data/x"}`, "")); got != "denied" {
		t.Errorf("rename: %s", got)
	}
	if b, _ := os.ReadFile(filepath.Join(c.outside, "secret")); string(b) != "CANARY" {
		t.Errorf("outside: %q", b)
	}
}

// TestFileQuota (FS-8): bytes and entries at the quota and one over, nothing written
// when refused, by two sessions together as well.
func TestFileQuota(t *testing.T) {
	t.Parallel()
	c := newChamber(t) // 1000 bytes
	data := strings.Repeat("x", 500)
	for _, step := range []struct{ request, data, want string }{
		{`{"path":"/data/a"}`, data, "ok"},
		{`{"path":"/data/b"}`, data + "x", "quota"},
		{`{"path":"/data/b"}`, data, "ok"},
		{`{"path":"/data/c"}`, "x", "quota"},
		{`{"path":"/data/a","mode":"append"}`, "x", "quota"},
		{`{"path":"/data/a","mode":"replace"}`, data + "x", "quota"},
		{`{"path":"/data/a","mode":"replace"}`, data, "ok"},
		{`{"path":"/data/empty"}`, "", "ok"},
	} {
		if got := code(c.do(t, "fs_write", step.request, step.data)); got != step.want {
			t.Errorf("%s with %d bytes: %s, want %s", step.request, len(step.data), got, step.want)
		}
	}
	if list, _ := os.ReadDir(c.inside); len(list) != 3 {
		t.Errorf("%d files, want 3", len(list))
	}
	c = newChamber(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	written := 0
	for i := range 20 {
		wg.Go(func() {
			if code(c.do(t, "fs_write", fmt.Sprintf(`{"path":"/data/%d"}`, i), strings.Repeat("y", 100))) == "ok" {
				mu.Lock()
				written++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if written != 10 {
		t.Errorf("%d files of 100 bytes in 1000", written)
	}
	// A write waits for the one that is under way: it counts what that one leaves.
	c = newChamber(t)
	busy := c.engine.quotas.acquire(c.inside)
	busy.mu.Lock()
	wg.Go(func() { c.do(t, "fs_write", `{"path":"/data/late"}`, "x") })
	time.Sleep(100 * time.Millisecond)
	if list, _ := os.ReadDir(c.inside); len(list) != 0 {
		t.Error("a write did not wait")
	}
	busy.mu.Unlock()
	c.engine.quotas.release(busy)
	wg.Wait()
	// The folder holds one entry less than it may.
	c = newChamber(t)
	q := c.engine.quotas.acquire(c.inside)
	q.stale, q.entries = false, maxEntries-1
	if got := code(c.do(t, "fs_write", `{"path":"/data/1"}`, "")); got != "ok" {
		t.Errorf("the last entry: %s", got)
	}
	for f, p := range map[string]string{"fs_write": "/data/more", "fs_mkdir": "/data/dir"} {
		if got := code(c.do(t, f, `{"path":"`+p+`"}`, "")); got != "quota" {
			t.Errorf("%s beyond %d entries: %s", f, maxEntries, got)
		}
	}
	if got := code(c.do(t, "fs_write", `{"path":"/data/a/b","mkdirs":true}`, "")); got != "quota" {
		t.Errorf("mkdirs: %s", got)
	}
	if got := code(c.do(t, "fs_write", `{"path":"/data/1","mode":"replace"}`, "x")); got != "ok" {
		t.Errorf("a file that exists: %s", got)
	}
	c.engine.quotas.release(q)
	// What others put there is counted when the next call begins.
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(c.inside, fmt.Sprint("other", i)), make([]byte, 50), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if got := code(c.do(t, "fs_write", `{"path":"/data/z"}`, "x")); got != "quota" {
		t.Errorf("one byte over what others filled: %s", got)
	}
	root, err := os.OpenRoot(c.inside)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = root.Close() }()
	if bytes, entries, err := usage(root); bytes != 1001 || entries != 21 || err != nil {
		t.Errorf("counted %d bytes in %d entries, %v", bytes, entries, err)
	}
}

// TestListing: sorted, in pages, names escaped, links as "other".
func TestListing(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	for _, name := range []string{"b", "a", "c\x1b[2J", ".glovebox-tmp"} {
		if err := os.WriteFile(filepath.Join(c.inside, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(c.outside, "secret"), filepath.Join(c.inside, "d")); err != nil {
		t.Fatal(err)
	}
	var got []string
	after := ""
	for {
		var a struct {
			OK abi.FileListResult `json:"ok"`
		}
		if err := json.Unmarshal([]byte(c.do(t, "fs_list", fmt.Sprintf(`{"path":"/data","limit":2,"after":%q}`, after), "")), &a); err != nil {
			t.Fatal(err)
		}
		for _, e := range a.OK.Entries {
			got = append(got, e.Type+" "+e.Name)
		}
		if after = a.OK.Next; after == "" {
			break
		}
	}
	if s := strings.Join(got, ", "); s != `file a, file b, file c\x1b[2J, other d` {
		t.Errorf("listed %s", s)
	}
}

// TestWriteIsAtomic: a reader sees the old content or the new one, and nothing is left.
func TestWriteIsAtomic(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	path := filepath.Join(c.inside, "f")
	if err := os.WriteFile(path, []byte(strings.Repeat("a", 400)), 0o600); err != nil {
		t.Fatal(err)
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			b, err := os.ReadFile(path)
			if err != nil || len(b) != 400 || strings.Count(string(b), string(b[0])) != 400 {
				t.Errorf("read %d bytes, %v", len(b), err)
				return
			}
		}
	})
	for i := range 20 {
		c.do(t, "fs_write", `{"path":"/data/f"}`, strings.Repeat(string(rune('a'+i%26)), 400))
	}
	close(stop)
	wg.Wait()
	if list, _ := os.ReadDir(c.inside); len(list) != 1 {
		t.Errorf("%d files are left", len(list))
	}
}

// FuzzGuestPath: whatever the path, nothing outside is read, and nothing is reached
// that is no mount.
func FuzzGuestPath(f *testing.F) {
	for _, p := range []string{"/data/a", "/data/../out/secret", "../out/secret", "/data//x/./..", "/data\x00", "/data/" + strings.Repeat("../", 50) + "etc/passwd", "/data/up/out/secret"} {
		f.Add(p, "replace")
	}
	dir := f.TempDir()
	in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
	_ = os.MkdirAll(in, 0o700)
	_ = os.MkdirAll(out, 0o700)
	_ = os.WriteFile(filepath.Join(out, "secret"), []byte("CANARY"), 0o600)
	_ = os.Symlink("..", filepath.Join(in, "up"))
	f.Fuzz(func(t *testing.T, p, mode string) {
		e := &Engine{quotas: quotas{by: map[string]*quota{}}}
		c := &call{engine: e, phase: phaseCall, limits: limits(), budget: &budget{max: abi.MiB},
			rights: abi.Rights{Files: []abi.FileRight{{Mount: "/data", Host: in, Write: true, MaxBytes: 1000}}}}
		c.kernel = newKernel(c.budget)
		defer c.close()
		req, _ := json.Marshal(abi.FileRequest{Path: p, Mode: mode, MkDirs: true})
		for _, do := range []answerer{doWrite, doRead, doStat, doList, doMkdir, doRemove} {
			ok, bad := do(t.Context(), c, req, []byte("x"))
			if (ok == nil) == (bad == nil) {
				t.Fatal("neither an answer nor a problem")
			}
			if bad != nil && (strings.Contains(bad.Message, dir) || bad.Code == abi.CodeInternal) {
				t.Fatalf("%q: %v", p, bad)
			}
			if r, is := ok.(abi.FileReadResult); is {
				if b, _ := c.kernel.bytes(r.Data); string(b) == "CANARY" {
					t.Fatalf("%q reads the outside", p)
				}
			}
		}
		if b, _ := os.ReadFile(filepath.Join(out, "secret")); string(b) != "CANARY" {
			t.Fatalf("%q wrote outside", p)
		}
		if list, _ := os.ReadDir(dir); len(list) != 2 {
			t.Fatalf("%q made a file outside", p)
		}
	})
}

// FuzzFileRequest: any bytes for a request block.
func FuzzFileRequest(f *testing.F) {
	f.Add([]byte(`{"path":"/data/a","offset":-1,"length":9223372036854775807}`))
	f.Add([]byte(`{"from":"/data/a","to":"/data/../b"}`))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, block []byte) {
		e := &Engine{quotas: quotas{by: map[string]*quota{}}}
		c := &call{engine: e, phase: phaseCall, limits: limits(), budget: &budget{max: abi.MiB},
			rights: abi.Rights{Files: []abi.FileRight{{Mount: "/data", Host: dir, Write: true, MaxBytes: 1000}}}}
		c.kernel = newKernel(c.budget)
		defer c.close()
		for _, do := range []answerer{doWrite, doRead, doStat, doList, doMkdir, doRemove, doRename} {
			if ok, bad := do(t.Context(), c, block, []byte("x")); (ok == nil) == (bad == nil) {
				t.Fatal("neither an answer nor a problem")
			}
		}
	})
}

// TestRenameStaysInOneMount (FS-8).
func TestRenameStaysInOneMount(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	other := t.TempDir()
	if err := os.WriteFile(filepath.Join(c.inside, "a"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := c.engine.Call(t.Context(), raw(abitest.Probe(), "probe", abitest.Line("fs_rename", `{"from":"/data/a","to":"/other/b"}`, ""), func(inv *Invocation) {
		inv.Rights.Files = []abi.FileRight{c.right, {Mount: "/other", Host: other, Write: true, MaxBytes: 1000}}
	}))
	if err != nil || code(string(out.Raw)) != "invalid" {
		t.Errorf("%v, %s", err, out.Raw)
	}
	here, _ := os.ReadDir(c.inside)
	there, _ := os.ReadDir(other)
	if len(here) != 1 || here[0].Name() != "a" || len(there) != 0 {
		t.Errorf("something moved: %v, %v", here, there)
	}
}

// What is written is on the disk, whole, before it gets its name; where the disk does not
// take it, the old content stays and nothing is left behind.
func TestWriteIsOnTheDiskBeforeItHasItsName(t *testing.T) {
	t.Parallel()
	c := newChamber(t)
	target := filepath.Join(c.inside, "a")
	if err := os.WriteFile(target, []byte("old"), 0o600); err != nil {
		t.Fatal(err)
	}
	var synced []string
	var fail error
	c.engine.hooks.sync = func(f *os.File) error {
		now, err := os.ReadFile(target)
		if err != nil {
			t.Error(err)
		}
		then := make([]byte, 16)
		n, _ := f.ReadAt(then, 0)
		if info, err := f.Stat(); n > 0 || err != nil || info.Size() != 3 {
			t.Errorf("%q, %v", then[:n], err) // it is open for writing only
		}
		synced = append(synced, string(now))
		return fail
	}
	if got := code(c.do(t, "fs_write", `{"path":"/data/a"}`, "new")); got != "ok" {
		t.Fatal(got)
	}
	fail = errors.New("disk")
	if got := code(c.do(t, "fs_write", `{"path":"/data/a"}`, "bad")); got != "internal" {
		t.Errorf("a write that is not on the disk: %s", got)
	}
	if want := []string{"old", "new"}; !slices.Equal(synced, want) {
		t.Errorf("synced while the name held %q, want %q", synced, want)
	}
	entries, err := os.ReadDir(c.inside)
	now, _ := os.ReadFile(target)
	if err != nil || len(entries) != 1 || string(now) != "new" {
		t.Errorf("%v, %q, %v", entries, now, err)
	}
}
