package redact

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"slices"
	"sync"
	"unicode/utf8"
)

// Bounds of what one look may decode.
const (
	maxDepth    = 3              // codings within codings
	maxInflated = 1 << 20        // bytes of one compressed stream
	maxRatio    = 100            // inflated bytes of each compressed one
	minInflated = 4 << 10        // that any stream may have
	workFactor  = 12             // decoded bytes of each byte of the text …
	workBase    = 16 << 20       // … and beside
	keepBuffer  = 4 << 20        // larger buffers are not kept for the next look
	attemptCost = 4 << 10        // of work, of one look for a compressed stream
	gzipMagic   = "\x1f\x8b\x08" // RFC 1952 section 2.3, with deflate
	gzipBase64  = "H4sI"         // as it begins in base64
)

// Unscanned stands for the name of a secret where a text asks for more work than a
// look may do, such as a compression bomb. It must be taken for a match.
const Unscanned = "(unscanned)"

// work is the memory of one look.
type work struct {
	left      int // bytes that may still be decoded
	condensed [maxDepth + 1][]byte
	derived   [maxDepth + 1][]byte
	gz        *gzip.Reader
	zl        io.ReadCloser
	in        bytes.Reader
}

// state is what a Matcher knows. A nil loose index means that no value is long enough
// for anything but its plain spellings.
type state struct {
	plain *index // the spellings as they are
	loose *index // the condensed ones
	pool  sync.Pool
}

func (s *state) begin(n int) *work {
	w, _ := s.pool.Get().(*work)
	if w == nil {
		w = &work{}
	}
	w.left = workBase + workFactor*n
	return w
}

// end gives the memory back. What held a value is overwritten instead.
func (s *state) end(w *work, clean bool) {
	for _, bufs := range [][][]byte{w.condensed[:], w.derived[:]} {
		for i, b := range bufs {
			switch {
			case !clean:
				clear(b[:cap(b)])
			case cap(b) > keepBuffer:
				bufs[i] = nil
			}
		}
	}
	if clean {
		s.pool.Put(w)
	}
}

// name returns the name of a secret that b holds in any form, "" for none.
func (s *state) name(b []byte) string {
	w := s.begin(len(b))
	name := s.look(b, 0, w)
	s.end(w, name == "")
	return name
}

// look returns the name of a secret that b holds in any form, "" for none.
func (s *state) look(b []byte, depth int, w *work) string {
	if hit, _, ok := s.plain.find(b, 0); ok {
		return hit.name
	}
	if s.loose != nil {
		w.condensed[depth] = condense(w.condensed[depth], b)
		if hit, _, ok := s.loose.find(w.condensed[depth], 0); ok {
			return hit.name
		}
	}
	if depth == maxDepth || s.loose == nil {
		return ""
	}
	for words := newWords(b); ; {
		start, end, ok := words.next()
		if !ok {
			break
		}
		if name := s.lookWord(b[start:end], depth, w); name != "" {
			return name
		}
	}
	for at := 0; ; {
		start, end, ok := nextRun(b, at)
		if !ok {
			break
		}
		if name := s.lookRun(b[start:end], depth, w); name != "" {
			return name
		}
		at = end
	}
	for streams := newStreams(b); ; {
		start, ok := streams.next()
		if !ok {
			return ""
		}
		if name := s.lookStream(b[start:], depth, w); name != "" {
			return name
		}
	}
}

// inner looks into what was decoded to w.derived[depth].
func (s *state) inner(depth int, w *work) string {
	if w.left -= len(w.derived[depth]); w.left < 0 {
		return Unscanned
	}
	return s.look(w.derived[depth], depth+1, w)
}

func (s *state) lookWord(word []byte, depth int, w *work) string {
	var changed bool
	if w.derived[depth], changed = unescape(w.derived[depth][:0], word); !changed {
		return ""
	}
	return s.inner(depth, w)
}

// lookRun looks into what the digits of run mean, as hex and as base64. Where a coding
// begins is not known: a "/" of the path before it is a digit as well.
func (s *state) lookRun(run []byte, depth int, w *work) string {
	for at := 0; ; {
		start, end, ok := nextHex(run, at)
		if !ok {
			break
		}
		for shift := range 2 {
			w.derived[depth] = decodeHex(w.derived[depth][:0], run[start+shift:end])
			if name := s.shifted(shift, depth, w); name != "" {
				return name
			}
		}
		if end-start == len(run) {
			return "" // digits that are all hexadecimal are not base64 by accident
		}
		at = end
	}
	for shift := range 4 {
		w.derived[depth] = decode64(w.derived[depth], run[shift:])
		if name := s.shifted(shift, depth, w); name != "" {
			return name
		}
	}
	return ""
}

// shifted is inner, for what a coding means that begins behind its first digit only if
// there is something to look into: text or a compressed stream. Other meanings of a
// value are spellings of it, which are found at any place.
func (s *state) shifted(shift, depth int, w *work) string {
	if shift > 0 && !hasText(w.derived[depth]) {
		if streams := newStreams(w.derived[depth]); streams.none() {
			return ""
		}
	}
	return s.inner(depth, w)
}

// streams finds where compressed streams may begin: the headers of gzip and of zlib
// (RFC 1950) at its usual levels anywhere, any zlib header at the start of the text.
type streams struct {
	b    []byte
	mark [len(streamMarks)]int // position of the next one of each kind, at least at
	at   int
}

var streamMarks = [...]string{gzipMagic, "\x78\x9c", "\x78\xda"}

func newStreams(b []byte) streams {
	s := streams{b: b}
	for i := range s.mark {
		s.mark[i] = s.after(i, 0)
	}
	if len(b) > 8 && b[0] == 0x78 && (uint(b[0])<<8|uint(b[1]))%31 == 0 {
		s.mark[len(s.mark)-1] = 0
	}
	return s
}

func (s *streams) after(i, from int) int {
	if n := bytes.Index(s.b[from:], []byte(streamMarks[i])); n >= 0 {
		return from + n
	}
	return len(s.b)
}

// none tells, before the first call of next, that there is no stream.
func (s *streams) none() bool {
	for _, m := range s.mark {
		if m < len(s.b) {
			return false
		}
	}
	return true
}

func (s *streams) next() (start int, ok bool) {
	first := len(s.b)
	for i := range s.mark {
		if s.mark[i] < s.at {
			s.mark[i] = s.after(i, s.at)
		}
		first = min(first, s.mark[i])
	}
	if first == len(s.b) {
		return 0, false
	}
	s.at = first + 1
	return first, true
}

// lookStream inflates the stream that b begins with and looks into what came out, even
// if its end is damaged.
func (s *state) lookStream(b []byte, depth int, w *work) string {
	if depth >= maxDepth {
		return ""
	}
	if w.left -= attemptCost; w.left < 0 {
		return Unscanned
	}
	r := w.open(b)
	if r == nil {
		return ""
	}
	limit := min(maxInflated, max(minInflated, maxRatio*len(b)))
	out, full := fill(w.derived[depth][:0], r, limit)
	if w.derived[depth] = out; full {
		return Unscanned
	}
	return s.inner(depth, w)
}

// open returns the reader of the stream that b begins with, nil if it is none.
func (w *work) open(b []byte) io.Reader {
	w.in.Reset(b)
	var err error
	if b[0] == gzipMagic[0] {
		if w.gz == nil {
			w.gz = new(gzip.Reader)
		}
		err = w.gz.Reset(&w.in)
		w.gz.Multistream(true)
		if err != nil {
			return nil
		}
		return w.gz
	}
	if w.zl == nil {
		w.zl, err = zlib.NewReader(&w.in)
	} else {
		err = w.zl.(zlib.Resetter).Reset(&w.in, nil)
	}
	if err != nil {
		return nil
	}
	return w.zl
}

// fill reads r to its end, or to its first error, into dst; full tells that there are
// more than limit bytes.
func fill(dst []byte, r io.Reader, limit int) (_ []byte, full bool) {
	for {
		if len(dst) == cap(dst) {
			dst = slices.Grow(dst, max(512, len(dst)))
		}
		n, err := r.Read(dst[len(dst):cap(dst)])
		if dst = dst[:len(dst)+n]; len(dst) > limit {
			return dst[:limit], true
		}
		if err != nil {
			return dst, false
		}
	}
}

// spans returns the stretches of b that hold a value in any form. They may overlap.
func (s *state) spans(b []byte) []span {
	w := s.begin(len(b))
	defer s.end(w, false)
	out := s.plain.all(nil, b)
	if s.loose == nil {
		return out
	}
	condensed, pos := condense(nil, b), places(b)
	for _, hit := range s.loose.all(nil, condensed) {
		to := pos[hit.to-1] + 1
		for to < len(b) && !utf8.RuneStart(b[to]) { // the rest of a letter outside of ASCII
			to++
		}
		out = append(out, span{pos[hit.from], to, hit.name})
	}
	clear(condensed)
	add := func(from, to int, name string) {
		if name != "" {
			out = append(out, span{from, to, name})
		}
	}
	for words := newWords(b); ; {
		start, end, ok := words.next()
		if !ok {
			break
		}
		add(start, end, s.lookWord(b[start:end], 0, w))
	}
	for at := 0; ; {
		start, end, ok := nextRun(b, at)
		if !ok {
			break
		}
		add(start, end, s.lookRun(b[start:end], 0, w))
		at = end
	}
	for streams := newStreams(b); ; {
		start, ok := streams.next()
		if !ok {
			return out
		}
		add(start, len(b), s.lookStream(b[start:], 0, w))
	}
}
