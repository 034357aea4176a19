package sandbox

import (
	"io"
	"sync"
)

// metered passes at most max bytes on and calls stop when there are more; the
// writer never sees an error that is the reader's.
type metered struct {
	w    io.Writer
	left int64 // Unlimited = no end
	stop func()
}

func (m *metered) Write(p []byte) (int, error) {
	keep := p
	if m.left != Unlimited {
		keep = p[:min(int64(len(p)), m.left)]
		m.left -= int64(len(keep))
		if len(keep) < len(p) {
			m.stop()
		}
	}
	if _, err := m.w.Write(keep); err != nil {
		m.stop() // nobody reads: the box need not go on
	}
	return len(p), nil
}

// Tail keeps the last bytes that are written to it: for the log of a server whose
// output has no end. It is safe for concurrent use.
type Tail struct {
	mu  sync.Mutex
	max int
	b   []byte
}

// NewTail returns a Tail of at most n bytes.
func NewTail(n int) *Tail { return &Tail{max: n} }

// Write implements io.Writer; it does not fail.
func (t *Tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p[max(0, len(p)-t.max):]...)
	if over := len(t.b) - t.max; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(p), nil
}

// Bytes returns what is kept.
func (t *Tail) Bytes() []byte {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]byte{}, t.b...)
}
