package budget

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// A block is a fiftieth of the tightest limit: what a crash can cost at most.
const (
	blockShare = 50
	minBlock   = 8 // below it a block saves nothing
)

// prepaid holds units that the ledger has booked as spent and that calls take one by
// one without asking it: a call then costs a map lookup instead of two transactions.
type prepaid struct {
	mu     sync.Mutex // guards blocks
	blocks map[purse]*block
}

type purse struct {
	agent    abi.AgentID
	resource Resource
}

type block struct {
	left int64
	at   time.Time // when it was booked: its hour is the only one that it is good for
}

// One admits one unit of r for agent and every agent above it, or returns *Exceeded.
// The returned function ends it: what did not happen is given back.
func (l *Ledger) One(ctx context.Context, agent abi.AgentID, r Resource) (func(ctx context.Context, happened bool) error, error) {
	size := l.blockSize(agent, r)
	if size < minBlock {
		return l.exactly(ctx, agent, r)
	}
	l.prepaid.mu.Lock()
	defer l.prepaid.mu.Unlock()
	key := purse{agent, r}
	b := l.prepaid.blocks[key]
	if b == nil || b.left == 0 || !l.current(b) {
		now := l.now()
		res, err := l.Reserve(ctx, agent, Amounts{r: size})
		if ex := (*Exceeded)(nil); errors.As(err, &ex) {
			return l.exactly(ctx, agent, r) // near the limit every unit counts
		}
		if err != nil {
			return nil, err
		}
		if err := res.Settle(ctx, Amounts{r: size}); err != nil {
			return nil, err
		}
		b = &block{size, now}
		l.prepaid.blocks[key] = b
	}
	b.left--
	ended := false
	return func(_ context.Context, happened bool) error {
		l.prepaid.mu.Lock()
		defer l.prepaid.mu.Unlock()
		if ended {
			return ErrSettled
		}
		if ended = true; !happened {
			b.left++ // of a block that has been replaced it is lost
		}
		return nil
	}, nil
}

func (l *Ledger) current(b *block) bool { return Hour.start(b.at).Equal(Hour.start(l.now())) }

func (l *Ledger) exactly(ctx context.Context, agent abi.AgentID, r Resource) (func(context.Context, bool) error, error) {
	res, err := l.Reserve(ctx, agent, Amounts{r: 1})
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, happened bool) error {
		if happened {
			return res.Settle(ctx, Amounts{r: 1})
		}
		return res.Settle(ctx, nil)
	}, nil
}

// blockSize is bounded by every limit of agent and of those above it; without a limit
// there is nothing to be exact about, and nothing to save.
func (l *Ledger) blockSize(agent abi.AgentID, r Resource) int64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	size := int64(0)
	for _, a := range l.chain(agent) {
		for _, x := range l.limits[a] {
			if share := x.Max / blockShare; x.Resource == r && (size == 0 || share < size) {
				size = share
				if size == 0 {
					return 0
				}
			}
		}
	}
	return size
}

// unspent returns what agent and those below it hold of r in the window that begins at
// start: it is booked and has not been used.
func (l *Ledger) unspent(agent abi.AgentID, r Resource, w Window, start time.Time) int64 {
	l.prepaid.mu.Lock()
	defer l.prepaid.mu.Unlock()
	l.mu.RLock()
	defer l.mu.RUnlock()
	n := int64(0)
	for key, b := range l.prepaid.blocks {
		if key.resource != r || !w.start(b.at).Equal(start) || !l.current(b) {
			continue
		}
		for _, a := range l.chain(key.agent) {
			if a == agent {
				n += b.left
			}
		}
	}
	return n
}

// refund gives back what was prepaid and not used; the ledger is closed afterwards.
func (l *Ledger) refund(ctx context.Context) error {
	l.prepaid.mu.Lock()
	defer l.prepaid.mu.Unlock()
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.prepaid.blocks) == 0 {
		return nil
	}
	return l.tx(ctx, func(tx *sql.Tx) error {
		for key, b := range l.prepaid.blocks {
			for _, a := range l.chain(key.agent) {
				err := each(Amounts{key.resource: b.left}, b.at, func(r Resource, n int64, w Window, start int64) error {
					_, err := tx.ExecContext(ctx, `UPDATE usage SET settled = max(0, settled - ?) WHERE agent = ? AND resource = ? AND win = ? AND start = ?`, n, a, r, w, start)
					return err
				})
				if err != nil {
					return err
				}
			}
			b.left = 0
		}
		return nil
	})
}
