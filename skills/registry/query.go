package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Found is an entry and where it stands.
type Found struct {
	Entry
	Registry Name      `json:"registry"`
	By       Publisher `json:"by,omitempty"` // the delegated role that signed it; "" is the registry itself
}

// named says which registry err is about and what helps.
func named(name Name, err error) error {
	var why *Refusal
	if !errors.As(err, &why) {
		return fmt.Errorf("registry %q: %w", name, err)
	}
	out := *why
	out.Registry = name
	if out.Fix == "" {
		out.Fix = fix(out.Reason, name)
	}
	return &out
}

// atSource is named for a refresh, which another refresh does not mend.
func atSource(name Name, err error) error {
	var why *Refusal
	if errors.As(err, &why) && (why.Reason == NoData || why.Reason == Frozen) {
		out := *why
		out.Fix = "ask who runs the registry to publish it again (glovebox registry sign DIR), or use another source: glovebox registry list"
		err = &out
	}
	return named(name, err)
}

func fix(reason Reason, name Name) string {
	switch reason {
	case Frozen, NoData, Restored:
		return "glovebox registry refresh " + string(name)
	case Rollback, Mixed, Tampered, Size:
		return "refresh from another mirror, and tell who runs the registry"
	case Unsigned:
		return "compare the pinned root with the one that the registry publishes elsewhere: glovebox registry list"
	}
	return "tell who runs the registry"
}

func (c *Client) remember(r *row, s *set) {
	for i := range s.entries {
		s.entries[i].Registry = r.name
	}
	s.files = nil // they are in the database
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cache[r.name] = cached{r.rootID, r.generation, s}
}

// use returns the verified state of a registry as the database holds it, or says why
// it counts for nothing now. No network is used.
func (c *Client) use(ctx context.Context, r *row) (*set, error) {
	ahead, err := c.witness(r)
	if err != nil {
		return nil, err
	}
	if ahead != nil {
		return nil, named(r.name, refuse(Restored, "the database holds generation %d, this machine saw %d: it was put back from a backup", r.generation, ahead.Generation))
	}
	now := c.cfg.Now()
	if now.Before(r.refreshed.Add(-clockSlack)) {
		return nil, named(r.name, refuse(Frozen, "the clock says %s, which is before the last refresh at %s", now.UTC().Format(timeFormat), r.refreshed.Format(timeFormat)))
	}
	ref := now.Add(-r.maxAge)
	c.mu.Lock()
	have, ok := c.cache[r.name]
	c.mu.Unlock()
	if !ok || have.rootID != r.rootID || have.generation != r.generation || !ref.Before(have.set.until) {
		s, err := c.reload(ctx, r, held{root: r.root})
		if err != nil {
			return nil, named(r.name, err)
		}
		have.set = s
	}
	if now.After(have.set.expires) {
		c.cfg.Log.WarnContext(ctx, "expired registry metadata is used", "registry", r.name, "expired", have.set.expires, "max_age", r.maxAge)
	}
	return have.set, nil
}

const timeFormat = "2006-01-02 15:04:05Z"

// reload verifies the stored files again.
func (c *Client) reload(ctx context.Context, r *row, h held) (*set, error) {
	files, err := c.files(ctx, r.name)
	if err != nil {
		return nil, err
	}
	if h.seen, err = c.seen(ctx, r.rootID); err != nil {
		return nil, err
	}
	s, err := verify(ctx, files, h, c.cfg.Now().Add(-r.maxAge))
	if err != nil {
		return nil, err
	}
	c.remember(r, s)
	return s, nil
}

// each calls f with the usable registries, or with the one that is named, and returns
// what is wrong with the others.
func (c *Client) each(ctx context.Context, only Name, f func(*row, *set)) error {
	rows, err := c.rows(ctx)
	if err != nil {
		return err
	}
	var problems []error
	known := only == ""
	for _, r := range rows {
		if only != "" && r.name != only {
			continue
		}
		known = true
		s, err := c.use(ctx, r)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		f(r, s)
	}
	if !known {
		return fmt.Errorf("%w: %q", ErrUnknown, clip(string(only)))
	}
	return errors.Join(problems...)
}

// Search returns the newest version of each skill whose name, or whose signer's,
// contains text in any case. Registries that cannot be used are an error beside what
// the others have.
func (c *Client) Search(ctx context.Context, text string) ([]Found, error) {
	text = strings.ToLower(text)
	found := []Found{}
	err := c.each(ctx, "", func(_ *row, s *set) {
		last := SkillID("")
		for _, e := range s.entries {
			hay := strings.ToLower(string(e.Name) + "\n" + e.Identity.SAN + "\n" + e.Identity.Key)
			if e.Name != last && e.Yanked == nil && strings.Contains(hay, text) {
				found, last = append(found, e), e.Name
			}
		}
	})
	return found, err
}

// Show returns all versions of one skill, yanked ones too, the newest first, from one
// registry or with "" from all. An error may stand beside what was found: who looks
// for a skill everywhere must not take the answer of some for the answer of all.
func (c *Client) Show(ctx context.Context, from Name, id SkillID) ([]Found, error) {
	if err := id.Check(); err != nil {
		return nil, err
	}
	found := []Found{}
	err := c.each(ctx, from, func(r *row, s *set) {
		for _, e := range s.entries {
			if e.Name == id {
				found = append(found, e)
			}
		}
	})
	return found, err
}

// Revocations returns what the registries revoked: all lists that were ever accepted
// below their roots, less what a later list lifted. It verifies nothing again and
// needs no valid timestamp, since time does not make a revocation untrue. A registry
// whose database was put back is an error beside the list.
func (c *Client) Revocations(ctx context.Context) (_ []Revocation, err error) {
	rows, err := c.db.Read.QueryContext(ctx, `SELECT g.name, v.entry FROM revocation v JOIN registry g USING (root_id) WHERE NOT v.lifted ORDER BY g.name, v.subject`)
	if err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	list := []Revocation{}
	for rows.Next() {
		var r Revocation
		var name Name
		var entry []byte
		if err := rows.Scan(&name, &entry); err != nil {
			return nil, fmt.Errorf("read revocations: %w", err)
		}
		if err := json.Unmarshal(entry, &r); err != nil {
			return nil, fmt.Errorf("read revocations: %w", err)
		}
		r.Registry = name
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read revocations: %w", err)
	}
	return list, c.restored(ctx)
}

// restored reports the registries whose database is older than their witness.
func (c *Client) restored(ctx context.Context) error {
	rows, err := c.rows(ctx)
	if err != nil {
		return err
	}
	var problems []error
	for _, r := range rows {
		ahead, err := c.witness(r)
		if err == nil && ahead != nil {
			err = named(r.name, refuse(Restored, "revocations may be missing: the database was put back from a backup"))
		}
		problems = append(problems, err)
	}
	return errors.Join(problems...)
}

// Target returns a target of the registry by its path, such as osv/npm.zip or an
// entry's Path, at most most bytes. It is taken from the cache where that has the very
// bytes that are signed for now, else from the sources.
func (c *Client) Target(ctx context.Context, from Name, path string, most int64) ([]byte, error) {
	if err := checkTarget(path); err != nil {
		return nil, err
	}
	r, err := c.row(ctx, from)
	if err != nil {
		return nil, err
	}
	s, err := c.use(ctx, r)
	if err != nil {
		return nil, err
	}
	want, err := s.find(path)
	if err != nil {
		return nil, named(from, err)
	}
	name, err := storedName(path, want, most)
	if err != nil {
		return nil, named(from, err)
	}
	data, err := c.fetchTarget(ctx, r, path, name, want)
	if err != nil {
		return nil, named(from, err)
	}
	return data, nil
}

// find returns what is signed for a target: by the registry first, else by the
// publisher whose folder it is in.
func (s *set) find(path string) (*metadata.TargetFiles, error) {
	top := s.meta.Targets[metadata.TARGETS].Signed
	if want := top.Targets[path]; want != nil {
		return want, nil
	}
	by, _, ok := strings.Cut(path, "/")
	if ok && top.Delegations != nil {
		for _, role := range top.Delegations.Roles {
			signed := s.meta.Targets[role.Name]
			if role.Name != by || signed == nil {
				continue
			}
			if allowed, err := role.IsDelegatedPath(path); err == nil && allowed && signed.Signed.Targets[path] != nil {
				return signed.Signed.Targets[path], nil
			}
		}
	}
	return nil, refuse(NoData, "no target %s", path)
}

func (c *Client) fetchTarget(ctx context.Context, r *row, path, name string, want *metadata.TargetFiles) ([]byte, error) {
	file := filepath.Join(c.cacheDir(r.name), abi.DigestOf([]byte(path)).Hex())
	if data, err := os.ReadFile(file); err == nil && want.VerifyLengthHashes(data) == nil {
		return data, nil
	}
	var refused []error
	for _, text := range r.sources {
		src, err := c.source(text)
		if err != nil {
			return nil, err
		}
		data, err := src.Get(ctx, name, want.Length)
		if err == nil {
			err = want.VerifyLengthHashes(data)
		}
		if err == nil {
			if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
				return nil, err
			}
			return data, config.WriteFile(file, data)
		}
		refused = append(refused, targetRefusal(path, err))
	}
	if len(refused) == 1 {
		return nil, refused[0]
	}
	return nil, worst(refused)
}

// targetRefusal tells bytes that differ from bytes that did not come.
func targetRefusal(path string, err error) error {
	why := classify("target "+path, err)
	var differs *metadata.ErrLengthOrHashMismatch
	if why.Reason == Tampered && !errors.As(err, &differs) {
		why.Reason = NoData
	}
	return why
}
