//go:build !wasip1

package guest

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Fake is a host in memory, for tests of a skill's logic with "go test". It checks
// no grant: put a function's name into Deny to see how the skill takes a refusal.
// "glovebox skill test" runs the built module on the real host.
type Fake struct {
	Time      time.Time
	Pages     map[string]FakePage  // by URL
	Files     map[string]string    // by path
	Values    map[string]string    // kv by key
	Settings  map[string]string    // config by key
	Secrets   map[string]Secret    // by name
	Answers   []Answer             // to Ask, in order
	Deny      map[string]bool      // functions that are not granted: fetch, fs_read, fs_write…
	Granted   Capabilities         // what Capabilities answers
	Requests  []Request            // what was fetched
	Log       []string             // level and message of each line
	Versions  map[string]uint64    // of kv
	FileTimes map[string]time.Time // of Files; Time where absent

	blocks [][]byte
}

// FakePage is the answer to one URL.
type FakePage struct {
	Status  int // 200 if 0
	Headers map[string][]string
	Body    string
	URL     string // after redirects; the asked one if empty
}

var _ Wire = (*Fake)(nil)

// Run calls a tool of s on the fake; in becomes the arguments. Like the host, it
// turns an error of the tool into a result.
func (f *Fake) Run(s *Skill, tool string, in any) (Result, error) {
	args, err := json.Marshal(in)
	if err != nil {
		return Result{}, err
	}
	return s.call(Context{wire: f}, tool, args)
}

// Context returns a context on the fake, for a function below a tool.
func (f *Fake) Context() Context { return Context{wire: f} }

// Now implements Wire.
func (f *Fake) Now() int64 { return f.Time.UnixMilli() }

// Block implements Wire.
func (f *Fake) Block(handle uint64) []byte {
	if handle == 0 || handle > uint64(len(f.blocks)) {
		return nil
	}
	return f.blocks[handle-1]
}

func (f *Fake) block(b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	f.blocks = append(f.blocks, b)
	return uint64(len(f.blocks))
}

// Call implements Wire.
func (f *Fake) Call(function string, req, bulk []byte) []byte {
	if f.Deny[function] {
		return failure(CodeDenied, function+" is not granted")
	}
	switch function {
	case "fetch":
		return f.fetch(req, bulk)
	case "config_get":
		if v, ok := f.Settings[string(req)]; ok {
			return []byte(v)
		}
		return nil
	case "log":
		var m struct{ Level, Message string }
		decode(req, &m)
		f.Log = append(f.Log, m.Level+": "+m.Message)
		return nil
	case "progress":
		return nil
	case "capabilities":
		return request(f.Granted)
	case "ask":
		if len(f.Answers) == 0 {
			return failure(CodeNeedsHuman, "nobody is there to answer")
		}
		a := f.Answers[0]
		f.Answers = f.Answers[1:]
		return success(a)
	case "secret_handle":
		var q struct{ Name string }
		decode(req, &q)
		if s, ok := f.Secrets[q.Name]; ok {
			return success(s)
		}
		return failure(CodeDenied, "secret "+q.Name+" is not granted")
	}
	if strings.HasPrefix(function, "kv_") {
		return f.kv(function, req, bulk)
	}
	return f.file(function, req, bulk)
}

func (f *Fake) fetch(req, body []byte) []byte {
	var r Request
	decode(req, &r)
	r.Body = body
	f.Requests = append(f.Requests, r)
	page, ok := f.Pages[r.URL]
	if !ok {
		return failure(CodeDenied, r.URL+" is not granted")
	}
	out := Response{Status: page.Status, Headers: page.Headers, URL: page.URL, Handle: f.block([]byte(page.Body))}
	if out.Status == 0 {
		out.Status = 200
	}
	if out.URL == "" {
		out.URL = r.URL
	}
	return success(out)
}

func (f *Fake) kv(function string, req, value []byte) []byte {
	var r kvRequest
	decode(req, &r)
	if f.Values == nil {
		f.Values = map[string]string{}
	}
	if f.Versions == nil {
		f.Versions = map[string]uint64{}
	}
	present, ok := f.Values[r.Key]
	if r.IfVersion != nil && *r.IfVersion != f.Versions[r.Key] {
		return failure(CodeConflict, "the value has another version")
	}
	switch function {
	case "kv_get":
		if !ok {
			return failure(CodeNotFound, "no such key")
		}
		return success(map[string]any{"value": f.block([]byte(present)), "version": f.Versions[r.Key]})
	case "kv_set":
		f.Values[r.Key] = string(value)
		f.Versions[r.Key]++
		return success(map[string]any{"version": f.Versions[r.Key]})
	case "kv_delete":
		delete(f.Values, r.Key)
		delete(f.Versions, r.Key)
		return success(map[string]any{})
	case "kv_list":
		keys := []KVEntry{}
		for k, v := range f.Values {
			if strings.HasPrefix(k, r.Prefix) {
				keys = append(keys, KVEntry{k, f.Versions[k], int64(len(v))})
			}
		}
		slices.SortFunc(keys, func(a, b KVEntry) int { return strings.Compare(a.Key, b.Key) })
		return success(map[string]any{"keys": keys})
	}
	return failure(CodeUnavailable, function)
}

func (f *Fake) file(function string, req, data []byte) []byte {
	var r fileRequest
	decode(req, &r)
	if f.Files == nil {
		f.Files = map[string]string{}
	}
	present, ok := f.Files[r.Path]
	switch function {
	case "fs_read":
		if !ok {
			return failure(CodeNotFound, "no such file")
		}
		part := present[min(int(r.Offset), len(present)):]
		return success(map[string]any{"data": f.block([]byte(part)), "size": len(present), "eof": true})
	case "fs_write":
		switch {
		case r.Mode == "create" && ok:
			return failure(CodeConflict, "the file exists")
		case r.Mode == "append":
			data = append([]byte(present), data...)
		}
		f.Files[r.Path] = string(data)
		sum := sha256.Sum256(data)
		return success(map[string]any{"written": len(data), "sha256": hex.EncodeToString(sum[:])})
	case "fs_list":
		return success(map[string]any{"entries": f.list(r.Path)})
	case "fs_stat":
		if !ok {
			return failure(CodeNotFound, "no such file")
		}
		return success(FileInfo{Type: "file", Size: int64(len(present)), MTime: f.fileTime(r.Path)})
	case "fs_mkdir":
		return success(map[string]any{})
	case "fs_remove":
		if !ok {
			return failure(CodeNotFound, "no such file")
		}
		delete(f.Files, r.Path)
		return success(map[string]any{})
	case "fs_rename":
		text, found := f.Files[r.From]
		if !found {
			return failure(CodeNotFound, "no such file")
		}
		delete(f.Files, r.From)
		f.Files[r.To] = text
		return success(map[string]any{})
	}
	return failure(CodeUnavailable, function)
}

func (f *Fake) fileTime(path string) int64 {
	if t, ok := f.FileTimes[path]; ok {
		return t.UnixMilli()
	}
	return f.Time.UnixMilli()
}

func (f *Fake) list(folder string) []FileInfo {
	entries := map[string]FileInfo{}
	for path, text := range f.Files {
		rest, ok := strings.CutPrefix(path, strings.TrimSuffix(folder, "/")+"/")
		if !ok {
			continue
		}
		if name, _, deeper := strings.Cut(rest, "/"); deeper {
			entries[name] = FileInfo{Name: name, Type: "dir"}
		} else {
			entries[rest] = FileInfo{rest, "file", int64(len(text)), f.fileTime(path)}
		}
	}
	out := make([]FileInfo, 0, len(entries))
	for _, e := range entries {
		out = append(out, e)
	}
	slices.SortFunc(out, func(a, b FileInfo) int { return strings.Compare(a.Name, b.Name) })
	return out
}

func success(v any) []byte { return request(map[string]any{"ok": v}) }

func failure(code, message string) []byte {
	return request(map[string]any{"error": Problem{Code: code, Message: message}})
}

// decode fills v from a block of this package's own making.
func decode(block []byte, v any) {
	if err := json.Unmarshal(block, v); err != nil {
		panic("guest.Fake: " + err.Error())
	}
}
