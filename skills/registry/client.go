package registry

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/sqlitex"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"
)

// Config says where a Client keeps what it verified and how it reaches the world.
type Config struct {
	DB   string                                // the daemon's database of registries; made if missing
	Dir  string                                // cache of targets; may be wiped at any time
	HTTP func(source abi.Origin) (Doer, error) // the broker's client for one source; nil: no network
	Now  func() time.Time                      // nil: time.Now
	Log  *slog.Logger                          // nil: discarded; each use of metadata that has expired is logged
}

// maxAge bounds the setting that accepts expired metadata.
const maxAge = 90 * 24 * time.Hour

// clockSlack is how far the clock may go back before signed times mean nothing.
const clockSlack = 5 * time.Minute

// Client is the operator's side of registries. It is safe for use by several
// goroutines, and several processes may use one database.
type Client struct {
	cfg Config
	db  *sqlitex.DB

	mu    sync.Mutex // guards cache
	cache map[Name]cached
}

// cached is the set that was verified from one generation of the database.
type cached struct {
	rootID     abi.Digest
	generation int64
	set        *set
}

// Open opens the database of registries.
func Open(ctx context.Context, cfg Config) (*Client, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Dir == "" {
		return nil, errors.New("open registries: no cache folder")
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open registries: %w", err)
	}
	db, err := sqlitex.Open(ctx, cfg.DB, migrations())
	if err != nil {
		return nil, fmt.Errorf("open registries: %w", err)
	}
	return &Client{cfg: cfg, db: db, cache: map[Name]cached{}}, nil
}

// Close closes the database.
func (c *Client) Close() error { return c.db.Close() }

// Request adds a registry.
type Request struct {
	Name    Name
	Sources []string      // mirrors, tried in order; see Source
	Root    []byte        // root.json as the operator got it, never from the network
	MaxAge  time.Duration // how long expired metadata is still accepted; 0: not at all
}

// Add pins the root of a registry and refreshes it once. What cannot be verified is
// not added.
func (c *Client) Add(ctx context.Context, q Request) (Status, error) {
	if err := q.Name.Check(); err != nil {
		return Status{}, err
	}
	if len(q.Sources) == 0 || len(q.Sources) > 8 {
		return Status{}, errors.New("want 1 to 8 sources")
	}
	for _, s := range q.Sources {
		if _, err := c.source(s); err != nil {
			return Status{}, err
		}
	}
	if q.MaxAge < 0 || q.MaxAge > maxAge {
		return Status{}, fmt.Errorf("max age %s: want 0 to %s", q.MaxAge, maxAge)
	}
	if _, err := c.row(ctx, q.Name); err == nil {
		return Status{}, fmt.Errorf("there is a registry %q already", q.Name)
	} else if !errors.Is(err, ErrUnknown) {
		return Status{}, err
	}
	if err := checkRoot(q.Root); err != nil {
		return Status{}, named(q.Name, err)
	}
	return c.refresh(ctx, nil, &row{name: q.Name, sources: q.Sources, pinned: q.Root, root: q.Root,
		rootID: abi.DigestOf(q.Root), maxAge: q.MaxAge, added: c.cfg.Now()})
}

// checkRoot refuses a root that does not even sign itself.
func checkRoot(root []byte) (err error) {
	defer func() {
		if p := recover(); p != nil { // as in verify
			err = refuse(Tampered, "root.json: malformed: %v", p)
		}
	}()
	if len(root) > maxRoot {
		return refuse(Size, "root.json has %d bytes, more than %d", len(root), maxRoot)
	}
	if err := abi.CheckJSON(root, maxDepth); err != nil {
		return refuse(Tampered, "root.json: %v", err)
	}
	if _, err := trustedmetadata.New(root); err != nil {
		return classify("root.json", err)
	}
	return nil
}

// Refresh brings a registry up to date from the first of its sources that holds a
// valid state which is not older than what was accepted before.
func (c *Client) Refresh(ctx context.Context, name Name) (Status, error) {
	r, err := c.row(ctx, name)
	if err != nil {
		return Status{}, err
	}
	next := *r
	return c.refresh(ctx, r, &next)
}

// refresh verifies and saves; old is nil for a registry that is new.
func (c *Client) refresh(ctx context.Context, old, next *row) (Status, error) {
	seen, err := c.seen(ctx, next.rootID)
	if err != nil {
		return Status{}, err
	}
	ahead, err := c.witness(next)
	if err != nil {
		return Status{}, err
	}
	if ahead != nil {
		seen, next.generation = ahead.merge(seen), ahead.Generation
	}
	now := c.cfg.Now()
	s, err := c.walkSources(ctx, next, held{next.root, seen}, now.Add(-next.maxAge))
	if err != nil {
		return Status{}, atSource(next.name, err)
	}
	next.root, next.refreshed = s.root, now
	next.generation++
	if err := c.save(ctx, old, next, s); err != nil {
		return Status{}, fmt.Errorf("save registry %q: %w", next.name, err)
	}
	if err := c.bearWitness(next, s.versions); err != nil {
		return Status{}, fmt.Errorf("save registry %q: %w", next.name, err)
	}
	c.remember(next, s)
	st := c.status(next, s)
	st.Restored = ahead != nil
	return st, nil
}

// walkSources walks each source in turn until one is whole; else it takes the first
// that is valid, though a publisher is lost in it; else it returns what all refused.
func (c *Client) walkSources(ctx context.Context, r *row, h held, ref time.Time) (*set, error) {
	var best *set
	var refused []error
	for _, text := range r.sources {
		src, err := c.source(text)
		if err != nil {
			return nil, err
		}
		s, err := verify(ctx, src, h, ref)
		switch {
		case err == nil && len(s.lost) == 0:
			return s, nil
		case err == nil && best == nil:
			best = s
		case err != nil:
			refused = append(refused, err)
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if best != nil {
		return best, nil
	}
	if len(refused) == 1 {
		return nil, refused[0]
	}
	return nil, worst(refused)
}

// worst makes one refusal of those of several mirrors: with the reason of the first
// that had something to say.
func worst(refused []error) error {
	var out Refusal
	var texts []string
	for _, err := range refused {
		why := classify("mirror", err)
		if out.Reason == "" || out.Reason == NoData {
			out.Reason = why.Reason
		}
		texts = append(texts, why.What)
	}
	out.What, out.Err = "no mirror is good: "+strings.Join(texts, "; "), errors.Join(refused...)
	return &out
}

// Remove forgets a registry. The versions that were seen below its root are kept.
func (c *Client) Remove(ctx context.Context, name Name) error {
	r, err := c.row(ctx, name)
	if err != nil {
		return err
	}
	if _, err := c.db.Write.ExecContext(ctx, `DELETE FROM registry WHERE name = ?`, r.name); err != nil {
		return fmt.Errorf("remove registry %q: %w", name, err)
	}
	return os.RemoveAll(c.cacheDir(r.name))
}

// Status is what there is to say about a registry.
type Status struct {
	Name      Name          `json:"name"`
	Sources   []string      `json:"sources"`
	Root      abi.Digest    `json:"root"`      // SHA-256 of the pinned root.json
	Version   int64         `json:"version"`   // of the newest root
	Threshold string        `json:"threshold"` // "2 of 3": the keys that sign a root
	Added     time.Time     `json:"added"`
	Refreshed time.Time     `json:"refreshed"`
	Expires   time.Time     `json:"expires"` // of what is kept
	MaxAge    time.Duration `json:"max_age"` // nanoseconds
	Skills    int           `json:"skills"`
	Revoked   int           `json:"revoked"`
	Lost      []Lost        `json:"lost,omitempty"`
	Restored  bool          `json:"restored,omitempty"` // the database had been put back from a backup
	Problem   *Problem      `json:"problem,omitempty"`  // why nothing of it is used now
}

// Problem is a Refusal in JSON.
type Problem struct {
	Reason Reason `json:"reason"`
	What   string `json:"what"`
	Fix    string `json:"fix,omitempty"`
}

func (c *Client) status(r *row, s *set) Status {
	st := Status{Name: r.name, Sources: r.sources, Root: r.rootID, Added: r.added, Refreshed: r.refreshed, MaxAge: r.maxAge}
	if s != nil {
		root := s.meta.Root.Signed
		role := root.Roles[metadata.ROOT]
		st.Version, st.Threshold = root.Version, fmt.Sprintf("%d of %d", role.Threshold, len(role.KeyIDs))
		st.Expires, st.Skills, st.Revoked, st.Lost = s.expires, len(s.entries), len(s.revoked), s.lost
	}
	return st
}

// List returns all registries by name. One that cannot be used now has a Problem.
func (c *Client) List(ctx context.Context) ([]Status, error) {
	rows, err := c.rows(ctx)
	if err != nil {
		return nil, err
	}
	list := make([]Status, 0, len(rows))
	for _, r := range rows {
		s, err := c.use(ctx, r)
		st := c.status(r, s)
		if err != nil {
			var why *Refusal
			if !errors.As(err, &why) {
				return nil, err
			}
			st.Problem, st.Restored = &Problem{why.Reason, why.What, why.Fix}, why.Reason == Restored
		}
		list = append(list, st)
	}
	return list, nil
}
