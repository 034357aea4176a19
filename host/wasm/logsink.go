package wasm

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
)

// logSink keeps the lines of one call, each cleaned and cut, and at most so many.
type logSink struct {
	maxLines, maxLine int
	lines             []LogLine
	seen              int
	emit              func(level slog.Level, message string)
}

// add takes one line of guest text.
func (s *logSink) add(level slog.Level, source, message string) {
	s.seen++
	if s.seen > s.maxLines {
		return
	}
	message = oneLine(message, s.maxLine)
	s.lines = append(s.lines, LogLine{Level: level, Source: source, Message: message})
	if s.emit != nil {
		s.emit(level, message)
	}
}

// close tells how many lines were left out.
func (s *logSink) close() {
	if n := s.seen - s.maxLines; n > 0 {
		line := LogLine{Level: slog.LevelWarn, Source: "log", Message: fmt.Sprintf("suppressed %d lines: limits.log_lines %d", n, s.maxLines)}
		s.lines = append(s.lines, line)
		if s.emit != nil {
			s.emit(line.Level, line.Message)
		}
	}
}

func (c *call) newLog(ctx context.Context) *logSink {
	s := &logSink{maxLines: c.limits.LogLines, maxLine: c.limits.LogLine}
	ctx = context.WithoutCancel(ctx)
	if o := c.services.Observer; o != nil {
		s.emit = func(level slog.Level, message string) { o.Log(ctx, c.caller, level, message) }
	}
	return s
}

// stdio is what a guest has for standard input, output and error.
type stdio struct {
	args    []string
	stdin   []byte
	capture bool   // command profile: standard output is the result
	out     []byte // captured, at most Limits.Output
	tail    []byte // command profile: the last bytes of standard error
	line    [2]lineBuffer
}

// lineBuffer cuts a stream into lines of bounded length.
type lineBuffer struct {
	buf []byte
}

// maxTail bounds the standard error that becomes the text of a failure.
const maxTail = maxErrorText

// write takes bytes for fd 1 or 2; it never fails, since a guest that cannot print
// would fail for a reason that nobody sees.
func (c *call) write(fd int, p []byte) {
	if fd == 1 && c.stdio.capture {
		if n := int64(len(c.stdio.out)) + int64(len(p)); n > c.limits.Output {
			c.trap(&LimitError{Limit: "output", Got: n, Max: c.limits.Output})
		}
		if !c.budget.take(int64(len(p))) {
			c.trap(&LimitError{Limit: c.budget.refused, Got: c.budget.used + int64(len(p)), Max: c.budget.max})
		}
		c.stdio.out = append(c.stdio.out, p...)
		return
	}
	if fd == 2 && c.stdio.capture {
		if len(p) >= maxTail {
			c.stdio.tail = append(c.stdio.tail[:0], p[len(p)-maxTail:]...)
		} else {
			c.stdio.tail = append(c.stdio.tail, p...)
			c.stdio.tail = c.stdio.tail[max(0, len(c.stdio.tail)-maxTail):]
		}
	}
	b := &c.stdio.line[fd-1]
	for len(p) > 0 {
		line, rest, found := bytes.Cut(p, []byte("\n"))
		if room := c.limits.LogLine + 1 - len(b.buf); len(line) > room { // one more than fits, so that the cut shows
			line = line[:max(room, 0)]
		}
		b.buf = append(b.buf, line...)
		if !found {
			return
		}
		c.flush(fd)
		p = rest
	}
}

// flush ends the current line of fd.
func (c *call) flush(fd int) {
	b := &c.stdio.line[fd-1]
	source, level := "stdout", slog.LevelInfo
	if fd == 2 {
		source, level = "stderr", slog.LevelWarn
	}
	c.log.add(level, source, string(bytes.TrimSuffix(b.buf, []byte("\r"))))
	b.buf = b.buf[:0]
}

// flushAll ends the lines that have no newline yet.
func (c *call) flushAll() {
	for fd := 1; fd <= 2; fd++ {
		if len(c.stdio.line[fd-1].buf) > 0 {
			c.flush(fd)
		}
	}
}
