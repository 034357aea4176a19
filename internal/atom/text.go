package atom

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/publicsuffix"
	"golang.org/x/text/unicode/norm"
)

// Seq is a sequence of atoms: a control value, or somebody's words in order.
type Seq []Atom

// Text is somebody's words, indexed for lookup. A consumed span yields no shorter
// atom: "June 13" is a date and holds no number 13. The zero Text holds nothing.
type Text struct {
	seq Seq
	at  map[Atom][]int32 // where each atom stands
}

// Atoms returns the words in order; callers must not change them.
func (t Text) Atoms() Seq { return t.seq }

func index(seq Seq) Text {
	t := Text{seq, make(map[Atom][]int32, len(seq))}
	for i, a := range seq {
		t.at[a] = append(t.at[a], int32(i))
	}
	return t
}

// MarshalJSON writes the atoms; UnmarshalJSON reads them back.
func (t Text) MarshalJSON() ([]byte, error) { return json.Marshal(t.seq) }

// UnmarshalJSON reads what MarshalJSON wrote.
func (t *Text) UnmarshalJSON(b []byte) error {
	var seq Seq
	if err := json.Unmarshal(b, &seq); err != nil {
		return err
	}
	*t = index(seq)
	return nil
}

// MaxText bounds the bytes that one text contributes; what lies beyond endorses nothing.
const MaxText = 1 << 18

// window bounds how far one token reaches, so that reading stays linear in the text;
// no address, account or quoted phrase that decides something is longer.
const window = 1 << 9

const months = `(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)`

// The patterns of typed tokens; the longest that reads wins. may is a cheap test of
// the first byte and the word that begins there, since most places hold no such token.
var patterns = []struct {
	may  func(first byte, word string) bool
	re   *regexp.Regexp
	read func(string) (Atom, bool)
}{
	{isLink, regexp.MustCompile(`^(?i)https?://[^\s<>"'` + "`" + `]+`), link},
	{isMail, regexp.MustCompile(`^[^\s<>"'(),:;\[\]\\@` + "`" + `]+@[^\s<>"'(),:;\[\]\\@` + "`" + `]+`), email},
	{isAccount, regexp.MustCompile(`^[A-Z]{2}[0-9]{2}(?:[ -][A-Z0-9]{4}){2,7}(?:[ -][A-Z0-9]{1,4})?`), account},
	{isAccount, regexp.MustCompile(`^(?i)[a-z]{2}[0-9]{2}[a-z0-9]{11,30}`), account},
	{isPhone, regexp.MustCompile(`^\+[0-9][0-9 ().-]{5,20}[0-9]`), phone},
	{isDigit, regexp.MustCompile(`^(?i)[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?)?`), date},
	{isMonth, regexp.MustCompile(`^(?i)` + months + `\.? [0-9]{1,2}(?:st|nd|rd|th)?(?:,? [0-9]{4})?`), date},
	{isDigit, regexp.MustCompile(`^(?i)[0-9]{1,2}(?:st|nd|rd|th)?(?: of)? ` + months + `\.?(?:,? [0-9]{4})?`), date},
	{isDigit, regexp.MustCompile(`^[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?`), date},
	{isDigit, regexp.MustCompile(`^[0-9]+[/.][0-9]+[/.][0-9]{2,4}`), date},
	{hasSlash, regexp.MustCompile(`^(?:~|\.{1,2})?(?:/[\w.@+-]+)+/?`), filePath},
	{hasSlash, regexp.MustCompile(`^[\w.@+-]+(?:/[\w.@+-]+)+/?`), filePath},
	{isNumber, regexp.MustCompile(`^-?[0-9][0-9,]*(?:\.[0-9]+)?`), number},
}

func isLink(first byte, word string) bool {
	return (first == 'h' || first == 'H') && strings.Contains(word, "://")
}
func isMail(_ byte, word string) bool    { return strings.Contains(word, "@") }
func hasSlash(_ byte, word string) bool  { return strings.Contains(word, "/") }
func isPhone(first byte, _ string) bool  { return first == '+' }
func isDigit(first byte, _ string) bool  { return first >= '0' && first <= '9' }
func isNumber(first byte, _ string) bool { return first == '-' || first >= '0' && first <= '9' }
func isMonth(first byte, _ string) bool  { return strings.IndexByte("jfmasondJFMASOND", first) >= 0 }
func isAccount(_ byte, word string) bool {
	return len(word) >= 4 && word[2] >= '0' && word[2] <= '9' && word[3] >= '0' && word[3] <= '9'
}

// date keeps the words as written, folded: two spellings of one day are not equal,
// which costs a question and never an answer.
func date(s string) (Atom, bool) {
	return Atom{Date, strings.ToLower(strings.Join(strings.Fields(s), " "))}, true
}

// Read turns free text into atoms. Hidden characters become separators here: they
// join nothing.
func Read(s string) Text { return index(read(s[:min(len(s), MaxText)])) }

// Links returns the addresses in outbound text, however long: what a program that
// shows the text might fetch or offer to open.
func Links(s string) []Atom {
	if plain(strings.Map(unbreak, s)) && !strings.Contains(s, ".") && !strings.Contains(s, "://") {
		return nil // most text
	}
	var out []Atom
	s = norm.NFKC.String(s)
	for _, a := range read(s) {
		if a.Kind == URL || a.Kind == Domain || a.Kind == Path && hostFirst.MatchString(a.Value) || a.Kind == Word && registered(a.Value) {
			out = append(out, a)
		}
	}
	for _, m := range schemeRE.FindAllString(s, -1) {
		// A program may open what is read as no address here; nobody names it then.
		if seq := read(m); len(seq) == 0 || seq[0].Kind != URL {
			out = append(out, Atom{None, m})
		}
	}
	return out
}

var (
	// hostFirst finds a host and a path without a scheme, which chat programs link.
	hostFirst = regexp.MustCompile(`^(?:[\pL\pN-]+\.)+\pL{2,}(?:/|$)`)
	// schemeRE finds what claims to be an address, well formed or not, also without a scheme.
	schemeRE = regexp.MustCompile(`(?i)(?:\b[a-z][a-z0-9+.-]*:[/\\]{2}|(?:^|[\s("'<=\]])[/\\]{2})[^\s<>"'` + "`" + `]+`)
)

// registered reports whether s is a host name below a suffix that names are sold under,
// which chat programs link. Some are file names as well.
func registered(s string) bool {
	for rest, more := s, true; more; _, rest, more = strings.Cut(rest, ".") { // labels in front may be no name's
		if d, ok := domain(rest); ok {
			suffix, known := publicsuffix.PublicSuffix(d)
			return (known || strings.Contains(suffix, ".")) && d != suffix
		}
	}
	return false
}

func unbreak(r rune) rune {
	if r == '\n' || r == '\t' || r == '\r' {
		return ' '
	}
	return r
}

func read(s string) Seq {
	if !plain(s) {
		s = strings.Map(func(r rune) rune {
			if hidden(r) {
				return '\n'
			}
			return r
		}, strings.ToValidUTF8(s, "\n"))
	}
	var out Seq
	for i := 0; i < len(s); {
		n, atoms := next(s, i)
		out = append(out, atoms...)
		i += n
	}
	return out
}

// next reads the token at s[i:] and returns its length in bytes.
func next(s string, i int) (int, []Atom) {
	r, size := utf8.DecodeRuneInString(s[i:])
	switch {
	case r == ' ' || r == '\t':
		return size, nil
	case r == '\n' || r == '\r':
		return size, []Atom{{Separator, "\n"}}
	}
	if n, a, ok := typed(s, i); ok {
		return n, []Atom{a}
	}
	if n, inner, ok := quoted(s, i); ok {
		return n, quote(inner)
	}
	if !wordRune(r) {
		return size, []Atom{{Separator, string(r)}}
	}
	end := i
	for end < len(s) {
		r, size := utf8.DecodeRuneInString(s[end:])
		joins := strings.ContainsRune("-_.'’&@+/\\", r) && end > i && followedByWord(s[end+size:])
		if !wordRune(r) && !joins {
			break
		}
		end += size
	}
	w, err := clean(s[i:end])
	if err != nil {
		return end - i, []Atom{{Separator, "\n"}}
	}
	if d, ok := domain(w); ok && strings.Count(w, ".") >= 1 && knownTop(d) {
		return end - i, []Atom{{Domain, d}}
	}
	return end - i, []Atom{{Word, w}}
}

func wordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r) || r == '_'
}

func followedByWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return wordRune(r)
}

// knownTop keeps file names such as notes.txt from being read as host names.
func knownTop(d string) bool {
	switch d[strings.LastIndexByte(d, '.')+1:] {
	case "com", "org", "net", "io", "dev", "edu", "gov", "info", "eu", "uk", "de", "fr", "ch", "example":
		return true
	}
	return false
}

// typed tries the patterns at s[i:]: the longest that reads and ends at a boundary.
func typed(s string, i int) (int, Atom, bool) {
	best, atom := 0, Atom{}
	if i > 0 {
		if before, _ := utf8.DecodeLastRuneInString(s[:i]); wordRune(before) {
			return 0, Atom{}, false
		}
	}
	rest := s[i:min(len(s), i+window)]
	if cut := strings.IndexByte(rest, '\n'); cut >= 0 {
		rest = rest[:cut]
	}
	word := rest
	if cut := strings.IndexAny(rest, " \t"); cut >= 0 {
		word = rest[:cut]
	}
	for _, p := range patterns {
		if word == "" || !p.may(word[0], word) {
			continue
		}
		m := strings.TrimRight(p.re.FindString(rest), ".,;:!?")
		if len(m) <= best {
			continue
		}
		// A number that a dot joins to letters is the beginning of a name, as of 13.example.org.
		if after, size := utf8.DecodeRuneInString(rest[len(m):]); len(m) < len(rest) && (wordRune(after) || after == '@' || after == '.' && followedByWord(rest[len(m)+size:])) {
			continue
		}
		if a, ok := p.read(m); ok {
			best, atom = len(m), a
		}
	}
	return best, atom, best > 0
}

// pairs are the quotation marks that end what another begins.
var pairs = map[rune]string{'\'': "'", '"': `"`, '`': "`", '“': "”", '‘': "’", '«': "»"}

// quoted finds the phrase that begins with a quotation mark at s[i:].
func quoted(s string, i int) (int, string, bool) {
	r, size := utf8.DecodeRuneInString(s[i:])
	closing, ok := pairs[r]
	if !ok {
		return 0, "", false
	}
	if before, _ := utf8.DecodeLastRuneInString(s[:i]); i > 0 && wordRune(before) {
		return 0, "", false
	}
	last := min(len(s), i+window)
	for from := i + size; ; {
		if from > last {
			return 0, "", false
		}
		j := strings.Index(s[from:last], closing)
		if j < 0 || strings.Contains(s[from:from+j], "\n") {
			return 0, "", false
		}
		end := from + j + len(closing)
		if after, _ := utf8.DecodeRuneInString(s[end:]); end == len(s) || !wordRune(after) {
			return end - i, s[i+size : from+j], true
		}
		from = end
	}
}

// quote returns the atoms of a quoted phrase: the one typed value that it is, or the
// phrase as a whole.
func quote(inner string) []Atom {
	a, err := Value(inner)
	if err != nil || len(a) == 0 {
		return []Atom{{Separator, "\n"}}
	}
	if len(a) == 1 {
		return []Atom{{Separator, "'"}, a[0], {Separator, "'"}}
	}
	return []Atom{{Separator, "'"}, {Quoted, key(a)}, {Separator, "'"}}
}

func key(t Seq) string {
	parts := make([]string, len(t))
	for i, a := range t {
		parts[i] = strconv.Itoa(int(a.Kind)) + ":" + a.Value
	}
	b, _ := json.Marshal(parts)
	return string(b)
}

// Value reads one control value: the leaf of an argument, as decoded from JSON. A
// string that is exactly one typed value is that atom; other text is its sequence.
func Value(v any) (Seq, error) {
	switch v := v.(type) {
	case string:
		s, err := clean(v)
		if err != nil {
			return nil, err
		}
		if s == "" {
			return nil, nil
		}
		if len(s) > MaxText { // equal to nothing
			return append(read(s[:MaxText]), Atom{None, "…"}), nil
		}
		return read(s), nil
	case json.Number:
		return numeric(v.String())
	case float64:
		return numeric(strconv.FormatFloat(v, 'f', -1, 64))
	case bool:
		return Seq{{Word, strconv.FormatBool(v)}}, nil
	case nil:
		return nil, nil
	}
	return nil, fmt.Errorf("control value of type %T is not a leaf", v)
}

func numeric(s string) (Seq, error) {
	if a, ok := number(s); ok {
		return Seq{a}, nil
	}
	return nil, fmt.Errorf("number %q has more than one reading", s)
}

// Holds reports whether value occurs in t: the same atoms in the same order, whole
// atoms only, or one quoted phrase. Punctuation alone, which any text holds, occurs nowhere.
func (t Text) Holds(value Seq) bool {
	if !slices.ContainsFunc(value, says) {
		return false
	}
	if at := t.at[value[0]]; len(value) > maxRecord { // no position is compared twice
		if len(at) > 0 && t.seq.Contains(value) {
			return true
		}
	} else {
		for _, i := range at {
			if int(i)+len(value) <= len(t.seq) && slices.Equal(t.seq[i:int(i)+len(value)], value) {
				return true
			}
		}
	}
	if len(value) > 1 {
		return len(t.at[Atom{Quoted, key(value)}]) > 0
	}
	// A bare host in the owner's words endorses its front page, and no other path.
	if host, ok := strings.CutPrefix(value[0].Value, "https://"); ok && value[0].Kind == URL && strings.HasSuffix(host, "/") {
		return len(t.at[Atom{Domain, strings.TrimSuffix(host, "/")}]) > 0
	}
	return false
}

// says reports whether a means something by itself: of what stands between words, only
// a pictogram does.
func says(a Atom) bool {
	r, _ := utf8.DecodeRuneInString(a.Value)
	return a.Kind != Separator || unicode.Is(unicode.So, r)
}

// HoldsID reports whether a short opaque identifier occurs in t as a token of its
// own kind: "file 13", "#13", "id 13", "id_: '13'".
func (t Text) HoldsID(kind string, value Seq) bool {
	if len(value) != 1 {
		return t.Holds(value)
	}
	return slices.ContainsFunc(t.at[value[0]], func(i int32) bool { return t.named(int(i), kind) })
}

// named looks left of t.seq[i] for the word that says what it identifies, past
// quotation marks, colons and the like.
func (t Text) named(i int, kind string) bool {
	for j := i - 1; j >= 0 && j >= i-3; j-- {
		w := strings.Trim(strings.ToLower(t.seq[j].Value), "_")
		if t.seq[j].Kind == Word {
			return w == "id" || w == "number" || w == "no" || kind != "" && (w == kind || w == kind+"_id" || w == kind+"id")
		}
		if t.seq[j].Kind != Separator || !slices.Contains([]string{"#", "'", ":", `"`, "="}, w) {
			return false
		}
		if w == "#" {
			return true
		}
	}
	return false
}
