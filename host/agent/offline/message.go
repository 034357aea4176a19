package offline

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/glovebox-dev/glovebox/internal/canon"
)

// message is what the planner reads out of a person's text.
type message struct {
	text   string // without the parts below
	plain  string // the whole text, trimmed
	now    time.Time
	fences []string // bodies of ``` blocks
	ticks  []string // `code`
	quotes []string // "text"
	urls   []string
	json   []string // JSON values in a fence or bare
	ics    []string // iCalendar objects
	hints  []string // classes that the shape of the text speaks for
	math   string   // an arithmetic expression, if the text is about one
	unit   *unitQuery
	dated  bool // it names a day
}

var (
	fenceRE = regexp.MustCompile("(?s)```[A-Za-z0-9_+-]*[ \t]*\n?(.*?)(?:```|$)")
	icsRE   = regexp.MustCompile(`(?s)BEGIN:VCALENDAR.*?END:VCALENDAR\r?\n?`)
	tickRE  = regexp.MustCompile("`([^`\n]+)`")
	quoteRE = regexp.MustCompile(`"([^"\n]+)"|“([^”\n]+)”|«([^»\n]+)»|(?:^|\s)'([^'\n]+)'(?:$|[\s.,;:!?])`)
	urlRE   = regexp.MustCompile(`(?i)\bhttps?://[^\s<>"'\x60]+`)
	bareRE  = regexp.MustCompile(`(?i)(?:^|\s)((?:[a-z0-9-]+\.)+(?:com|org|net|io|dev|edu|gov|info|app|co|eu|uk|de|fr|nl|se|no|es|it|ch|at|jp|ca|au|us|me|news|blog)(?::\d+)?(?:/[^\s<>"'\x60]*)?)`)
)

// readMessage takes a text apart, longest things first, so that a URL in a code block
// or a number in a URL is not read twice.
func readMessage(text string, now time.Time) *message {
	m := &message{plain: strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")), now: now}
	rest := take(m.plain, fenceRE, func(g []string) { m.fences = append(m.fences, strings.TrimSpace(g[1])) })
	rest = take(rest, icsRE, func(g []string) { m.fences = append(m.fences, strings.TrimSpace(g[0])) })
	rest = m.takeJSON(rest)
	rest = take(rest, tickRE, func(g []string) { m.ticks = append(m.ticks, g[1]) })
	rest = take(rest, urlRE, func(g []string) { m.urls = append(m.urls, trimURL(g[0])) })
	rest = take(rest, quoteRE, func(g []string) { m.quotes = append(m.quotes, g[1]+g[2]+g[3]+g[4]) })
	rest = take(rest, bareRE, func(g []string) { m.urls = append(m.urls, "https://"+trimURL(g[1])) })
	m.text = strings.Join(strings.Fields(rest), " ")
	for _, f := range m.fences {
		switch {
		case strings.HasPrefix(f, "BEGIN:VCALENDAR"):
			m.ics = append(m.ics, f)
		case isJSON(f):
			m.json = append(m.json, f)
		}
	}
	m.urls = slices.Compact(m.urls)
	m.unit = readUnits(m.text)
	if m.unit == nil {
		m.math = readMath(m.text)
	}
	_, _, dated := dateRange(m.text, now)
	m.dated = dated
	m.hint()
	return m
}

// take removes what re matches from s and hands the groups to found.
func take(s string, re *regexp.Regexp, found func(groups []string)) string {
	return re.ReplaceAllStringFunc(s, func(match string) string {
		found(re.FindStringSubmatch(match))
		return " "
	})
}

// trimURL drops punctuation that belongs to the sentence around a URL.
func trimURL(u string) string {
	for {
		t := strings.TrimRight(u, ".,;:!?")
		if strings.HasSuffix(t, ")") && strings.Count(t, "(") < strings.Count(t, ")") {
			t = t[:len(t)-1]
		}
		if t == u {
			return u
		}
		u = t
	}
}

func isJSON(s string) bool {
	_, err := canon.Parse([]byte(s), canon.Limits{Rounds: true})
	return err == nil && s != "" && (s[0] == '{' || s[0] == '[')
}

// takeJSON removes a bare JSON object or array from s.
func (m *message) takeJSON(s string) string {
	for _, open := range []string{"{", "["} {
		start := strings.Index(s, open)
		if start < 0 {
			continue
		}
		dec := json.NewDecoder(strings.NewReader(s[start:]))
		var raw json.RawMessage
		if dec.Decode(&raw) != nil || !isJSON(string(raw)) || len(raw) < 3 {
			continue
		}
		m.json = append(m.json, string(raw))
		return s[:start] + " " + s[start+int(dec.InputOffset()):]
	}
	return s
}

// feedWords make an address that of a feed.
var feedWords = words("feed feeds rss atom headlines headline")

// hint notes the topics that the shape of the message speaks for.
func (m *message) hint() {
	add := func(yes bool, class string) {
		if yes {
			m.hints = append(m.hints, class)
		}
	}
	feedish := slices.ContainsFunc(m.urls, func(u string) bool {
		u = strings.ToLower(u)
		return strings.HasSuffix(u, ".xml") || strings.HasSuffix(u, ".rss") || strings.HasSuffix(u, ".atom") || strings.Contains(u, "/feed") || strings.Contains(u, "/rss")
	})
	feedish = feedish || slices.ContainsFunc(tokens(m.text), func(w string) bool { return feedWords[w] })
	add(feedish, "FEED")
	add(len(m.urls) > 0 && !feedish, "PAGE")
	add(len(m.ics) > 0, "CALENDAR")
	add(len(m.json) > 0, "JSON")
	add(len(m.ticks) > 0, "QUERY")
	add(m.unit != nil, "UNIT")
	add(m.math != "", "CALC")
}

// tokens returns the words of s in lower case.
func tokens(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r)
	})
}
