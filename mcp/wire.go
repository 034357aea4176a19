package mcp

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"golang.org/x/time/rate"
)

// Bounds of what a server sends, whatever it is asked.
const (
	MaxFrame   = 16 << 20 // bytes of one message
	maxNesting = abi.MaxJSONDepth
	perSecond  = 100  // messages, sustained
	burst      = 1000 // messages at once: a listing and its notifications fit many times
)

// fault is why a connection came to its end: the first reason counts, since what
// follows is the connection falling apart.
type fault struct {
	mu  sync.Mutex // guards err
	err error
}

func (f *fault) set(why reason.Reason, err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil {
		f.err = &reason.Refusal{Reason: why, What: "the connection to the MCP server was closed", Err: err}
	}
	return f.err
}

func (f *fault) get() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// meter counts the messages of one connection, over all of its streams.
func newMeter() *rate.Limiter { return rate.NewLimiter(perSecond, burst) }

// frames passes the messages of a stream on, one JSON text at a time, each looked at
// before anybody parses it. What does not pass ends the stream.
type frames struct {
	lines   *bufio.Reader
	closer  io.Closer
	events  bool // server-sent events, otherwise a message per line
	meter   *rate.Limiter
	fault   *fault
	pending []byte
	err     error
}

func newFrames(r io.ReadCloser, events bool, meter *rate.Limiter, f *fault) *frames {
	return &frames{lines: bufio.NewReaderSize(r, 32<<10), closer: r, events: events, meter: meter, fault: f}
}

// Read implements io.Reader.
func (f *frames) Read(p []byte) (int, error) {
	for len(f.pending) == 0 {
		if f.err != nil {
			return 0, f.err
		}
		if f.events {
			f.pending, f.err = f.event()
		} else {
			f.pending, f.err = f.message()
		}
	}
	n := copy(p, f.pending)
	f.pending = f.pending[n:]
	return n, nil
}

// Close implements io.Closer.
func (f *frames) Close() error { return f.closer.Close() }

// message reads one line that is no blank one.
func (f *frames) message() ([]byte, error) {
	for {
		line, err := f.line(nil)
		text := bytes.TrimSpace(line)
		if len(text) == 0 && err == nil {
			if err := f.count(); err != nil { // blank lines are a flood as well
				return nil, err
			}
			continue
		}
		if len(text) == 0 {
			return nil, err
		}
		if err := f.admit(text); err != nil {
			return nil, err
		}
		return append(bytes.Clone(text), '\n'), err
	}
}

// event reads up to the blank line that ends an event, and returns it as it came.
func (f *frames) event() ([]byte, error) {
	var whole, data []byte
	for {
		before := len(whole)
		var err error
		if whole, err = f.line(whole); len(whole) < before {
			return nil, err
		}
		text := bytes.TrimRight(whole[before:], "\r\n")
		if value, ok := bytes.CutPrefix(text, []byte("data:")); ok {
			data = append(append(data, bytes.TrimPrefix(value, []byte(" "))...), '\n')
		}
		if err == nil && len(text) > 0 {
			continue
		}
		if data = bytes.TrimSpace(data); len(data) == 0 {
			if refused := f.count(); refused != nil {
				return nil, refused
			}
		} else if refused := f.admit(data); refused != nil {
			return nil, refused
		}
		return whole, err
	}
}

// line appends the next line, with its end, to b.
func (f *frames) line(b []byte) ([]byte, error) {
	for {
		part, err := f.lines.ReadSlice('\n')
		if len(b)+len(part) > MaxFrame {
			return nil, f.fault.set(reason.Oversize, fmt.Errorf("a message exceeds the limit of %d bytes", MaxFrame))
		}
		b = append(b, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return b, err
		}
	}
}

// count takes one message from the meter.
func (f *frames) count() error {
	if !f.meter.Allow() {
		return f.fault.set(reason.Flood, fmt.Errorf("more than %d messages at once and %d a second", burst, perSecond))
	}
	return nil
}

func (f *frames) admit(text []byte) error {
	if err := f.count(); err != nil {
		return err
	}
	if err := checkMessage(text); err != nil {
		return f.fault.set(reason.Malformed, err)
	}
	return nil
}

// checkMessage looks at one message: a single object without a key twice, not nested
// deeper than anything of use. Batches have been gone from the protocol since 2025-06-18.
func checkMessage(text []byte) error {
	if err := abi.CheckJSON(text, maxNesting); err != nil {
		return err
	}
	if text[0] != '{' {
		return errors.New("a message is one JSON object")
	}
	return nil
}
