package mcp

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/mcp/listing"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/mcp/source"
)

// maxBook bounds the file of a Book, in bytes.
const maxBook = 256 << 20

// maxServers is how many servers a Book holds.
const maxServers = 256

// Record is what is known of one server.
type Record struct {
	Source     source.Server `json:"source"`              // how it is reached
	Installed  *Installed    `json:"installed,omitempty"` // of a package: what lies sealed on disk
	Approved   *Approval     `json:"approved,omitempty"`  // nil: no tool of it is there
	Quarantine *Quarantine   `json:"quarantine,omitempty"`
}

// Installed is a package as it was when it was verified.
type Installed struct {
	Tree       abi.Digest `json:"tree"` // of all its files
	Entry      string     `json:"entry"`
	Repository string     `json:"repository,omitempty"` // where its provenance says that it was built
	Workflow   string     `json:"workflow,omitempty"`
}

// Approval is a listing that a person has seen in full.
type Approval struct {
	Listing listing.Listing `json:"listing"`
	Digest  abi.Digest      `json:"digest"`
	At      time.Time       `json:"at"`
}

// Quarantine says why the tools of a server are withdrawn.
type Quarantine struct {
	Reason reason.Reason    `json:"reason"`
	Why    string           `json:"why"` // may hold text of the server's
	At     time.Time        `json:"at"`
	Seen   *listing.Listing `json:"seen,omitempty"` // what it offers instead, if that could be read
}

// Live returns the listing that a model may be told of: approved, and not withdrawn.
func (r Record) Live() (listing.Listing, bool) {
	if r.Approved == nil || r.Quarantine != nil {
		return listing.Listing{}, false
	}
	return r.Approved.Listing, true
}

// Book is the file of all servers. The daemon and the command line share it: each change
// reads it, edits it and replaces it whole, under a lock between processes.
type Book struct {
	path string
	now  func() time.Time

	mu    sync.Mutex // guards info and known
	info  fs.FileInfo
	known map[abi.SkillName]Record
}

// OpenBook returns the book at path, which is made with the first change. now is the
// clock; nil is time.Now.
func OpenBook(path string, now func() time.Time) *Book {
	if now == nil {
		now = time.Now
	}
	return &Book{path: path, now: now}
}

// Servers returns all records, by name. A file that cannot be read in full is an error:
// there is no server then.
func (b *Book) Servers() (map[abi.SkillName]Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, err := b.read()
	return maps.Clone(all), err
}

// Get returns one record; of an unknown name the error is a *reason.Refusal.
func (b *Book) Get(name abi.SkillName) (Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	all, err := b.read()
	if err != nil {
		return Record{}, err
	}
	r, ok := all[name]
	if !ok {
		return Record{}, unknown(name)
	}
	return r, nil
}

func unknown(name abi.SkillName) error {
	return &reason.Refusal{Reason: reason.Unknown, What: fmt.Sprintf("there is no MCP server %q", name), Fix: "glovebox mcp list"}
}

// Add puts a server into the book, without any trust in it.
func (b *Book) Add(s source.Server, installed *Installed) error {
	return b.change(func(all map[abi.SkillName]Record) error {
		if _, taken := all[s.Name]; taken {
			return &reason.Refusal{Reason: reason.Config, What: fmt.Sprintf("there is an MCP server %q already", s.Name), Fix: "glovebox mcp rm " + string(s.Name)}
		}
		if len(all) == maxServers {
			return &reason.Refusal{Reason: reason.Oversize, What: fmt.Sprintf("there are %d MCP servers already", maxServers), Fix: "glovebox mcp rm NAME"}
		}
		all[s.Name] = Record{Source: s, Installed: installed}
		return nil
	})
}

// Remove takes a server out, with what was approved of it.
func (b *Book) Remove(name abi.SkillName) error {
	return b.change(func(all map[abi.SkillName]Record) error {
		if _, ok := all[name]; !ok {
			return unknown(name)
		}
		delete(all, name)
		return nil
	})
}

// Approve pins the listing l of a server, which a person has seen, and ends its
// quarantine.
func (b *Book) Approve(name abi.SkillName, l listing.Listing) error {
	if err := l.Check(); err != nil {
		return err
	}
	return b.edit(name, func(r *Record) {
		r.Approved, r.Quarantine = &Approval{Listing: l, Digest: l.Digest(), At: b.now().UTC()}, nil
	})
}

// Isolate withdraws the tools of a server. Why it went into quarantine first is kept.
func (b *Book) Isolate(name abi.SkillName, why reason.Reason, text string, seen *listing.Listing) error {
	return b.edit(name, func(r *Record) {
		q := &Quarantine{Reason: why, Why: cut(text, 1024), At: b.now().UTC(), Seen: seen}
		if r.Quarantine != nil {
			q.At = r.Quarantine.At
		}
		r.Quarantine = q
	})
}

func (b *Book) edit(name abi.SkillName, f func(*Record)) error {
	return b.change(func(all map[abi.SkillName]Record) error {
		r, ok := all[name]
		if !ok {
			return unknown(name)
		}
		f(&r)
		all[name] = r
		return nil
	})
}

func (b *Book) change(f func(map[abi.SkillName]Record) error) (err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	release, err := config.LockFile(b.path + ".lock")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	known, err := b.read()
	if err != nil {
		return err
	}
	all := maps.Clone(known)
	if all == nil {
		all = map[abi.SkillName]Record{}
	}
	if err := f(all); err != nil {
		return err
	}
	text, err := json.Marshal(file{Version: bookVersion, Servers: slices.SortedFunc(maps.Values(all), func(x, y Record) int {
		return bytes.Compare([]byte(x.Source.Name), []byte(y.Source.Name))
	})})
	if err != nil {
		return err
	}
	return config.WriteFile(b.path, append(text, '\n'))
}

const bookVersion = 1

type file struct {
	Version int      `json:"version"`
	Servers []Record `json:"servers"`
}

// read returns what the file holds, from memory while it is the same file.
func (b *Book) read() (map[abi.SkillName]Record, error) {
	info, err := os.Stat(b.path)
	if errors.Is(err, fs.ErrNotExist) {
		b.info, b.known = nil, nil
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read MCP servers: %w", err)
	}
	// It is replaced and never written to, so that another content is another file.
	if b.info != nil && os.SameFile(b.info, info) && b.info.ModTime().Equal(info.ModTime()) && b.info.Size() == info.Size() {
		return b.known, nil
	}
	b.info, b.known = nil, nil
	text, err := config.ReadOwned(b.path, maxBook)
	if err != nil {
		return nil, fmt.Errorf("read MCP servers: %w", err)
	}
	all, err := decode(text)
	if err != nil {
		return nil, fmt.Errorf("read MCP servers from %s: %w", b.path, err)
	}
	b.info, b.known = info, all
	return all, nil
}

// decode reads a book strictly: what is not understood, or not what was pinned, is an
// error.
func decode(text []byte) (map[abi.SkillName]Record, error) {
	if err := abi.CheckJSON(bytes.TrimSpace(text), maxNesting); err != nil {
		return nil, err
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	var f file
	if err := d.Decode(&f); err != nil {
		return nil, err
	}
	if f.Version != bookVersion || len(f.Servers) > maxServers {
		return nil, fmt.Errorf("version %d with %d servers is not of this program", f.Version, len(f.Servers))
	}
	all := map[abi.SkillName]Record{}
	for _, r := range f.Servers {
		name := r.Source.Name
		if _, twice := all[name]; twice {
			return nil, fmt.Errorf("server %q is there twice", name)
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("server %.80q: %w", name, err)
		}
		all[name] = r
	}
	return all, nil
}

func (r Record) check() error {
	if err := r.Source.Check(); err != nil {
		return err
	}
	if a := r.Approved; a != nil {
		if err := a.Listing.Check(); err != nil {
			return err
		}
		if a.Digest != a.Listing.Digest() {
			return errors.New("the digest is not that of the listing")
		}
	}
	if q := r.Quarantine; q != nil && q.Seen != nil {
		return q.Seen.Check()
	}
	return nil
}
