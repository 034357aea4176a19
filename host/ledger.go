package host

import (
	"context"
	"sync"

	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/audit"
)

// ledger passes entries on to the audit log and remembers which records belong to
// the messages that are being handled.
type ledger struct {
	log agent.Recorder

	mu    sync.Mutex // guards spans and what they hold
	spans map[conversation][]*span
}

// span is the range of records of one message.
type span struct {
	ledger *ledger
	of     conversation
	rng    admin.AuditRange
}

func newLedger(log agent.Recorder) *ledger {
	return &ledger{log: log, spans: map[conversation][]*span{}}
}

var _ agent.Recorder = (*ledger)(nil)

// Append implements agent.Recorder.
func (l *ledger) Append(ctx context.Context, e audit.Entry) (audit.Record, error) {
	rec, err := l.log.Append(ctx, e)
	if err != nil {
		return rec, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.spans[conversation{e.Agent, e.Session}] {
		if s.rng.From == 0 {
			s.rng.From = rec.Seq
		}
		s.rng.To = max(s.rng.To, rec.Seq)
	}
	return rec, nil
}

// begin starts to watch the records of one conversation.
func (l *ledger) begin(c conversation) *span {
	s := &span{ledger: l, of: c}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spans[c] = append(l.spans[c], s)
	return s
}

// end stops watching and returns the range.
func (s *span) end() admin.AuditRange {
	l := s.ledger
	l.mu.Lock()
	defer l.mu.Unlock()
	kept := l.spans[s.of][:0]
	for _, other := range l.spans[s.of] {
		if other != s {
			kept = append(kept, other)
		}
	}
	if l.spans[s.of] = kept; len(kept) == 0 {
		delete(l.spans, s.of)
	}
	return s.rng
}
