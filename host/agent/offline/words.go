package offline

import (
	"maps"
	"slices"
	"strings"
)

// classes groups words that mean the same to a person who asks for a tool. A word may
// be in several; the upper-case names are internal and never occur in text.
var classes = map[string]string{
	"ADD":      "add create new save store remember jot write record append put make take log insert",
	"LIST":     "list show all display enumerate overview every what which see print",
	"READ":     "read open view get fetch load show cat print display content text see",
	"SEARCH":   "search find look grep lookup contain mention match query recall know",
	"DELETE":   "delete remove forget erase drop trash discard rm clear",
	"SUMMARY":  "summary summaries summarise summarize summarised summarized summarising summarizing tldr gist outline shorten condense brief",
	"CONVERT":  "convert conversion converter converting translate change into",
	"CALC":     "calc calculate calculator calculation compute evaluate math maths arithmetic expression sum solve formula",
	"PAGE":     "page webpage website site article url link web http https",
	"FEED":     "feed rss atom news headline headlines blog posts subscription",
	"CALENDAR": "calendar calendars agenda event events meeting meetings appointment appointments schedule ics ical icalendar vcalendar",
	"JSON":     "json jmespath jq",
	"MEMORY":   "memory memories remember remembered know known recall forget",
	"NOTE":     "note notes memo memos todo todos reminder reminders remember jot",
	"UNIT":     "unit units measurement measure convert conversion kilometer mile",
	"DIGEST":   "digest latest recent newest headlines",
	"WEATHER":  "weather forecast temperature rain",
	"TIME":     "time clock date today now timezone",
	"RANDOM":   "random dice roll coin shuffle pick",
	"HASH":     "hash sha256 sha1 md5 checksum",
	"ENCODE":   "encode decode base64 escape unescape",
	"COUNT":    "count statistics stats length words characters",
	"QUERY":    "query extract select filter pick pluck path field",
}

// actions are the classes that say what to do; the others say what it is about. A
// tool is only chosen if something says what it is about.
var actions = []string{"ADD", "LIST", "READ", "SEARCH", "DELETE", "DIGEST", "QUERY", "CONVERT", "SUMMARY"}

// stopWords carry no meaning for ranking; the planner also strips them from the start
// of a text argument.
var stopWords = words("a an the my your our this that these those it its is are was be am do does did can could would will shall may might " +
	"please kindly i you we me us of in on at by as and or so just some any there here s t ll re ve m d hey hi hello " +
	"want need like let help give tell go up down out off with has have had be been how much many what's whats who when where why if then from to for")

// connectors may stand between a command and its text.
var connectors = words("that to for about saying says say called named titled with containing of is it reading down in on from into as")

func words(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

// lexicon maps each word and its stem to the classes that it is in.
type lexicon map[string][]string

// english is the lexicon of classes. It is only read.
var english = newLexicon()

func newLexicon() lexicon {
	lex := lexicon{}
	for _, class := range slices.Sorted(maps.Keys(classes)) {
		for _, w := range strings.Fields(classes[class]) {
			for _, key := range []string{w, stem(w)} {
				if !slices.Contains(lex[key], class) {
					lex[key] = append(lex[key], class)
				}
			}
		}
	}
	return lex
}

// terms returns what a word counts as: its stem and its classes.
func (lex lexicon) terms(word string) []string {
	s := stem(word)
	found, ok := lex[word]
	if !ok {
		found = lex[s]
	}
	return append([]string{s}, found...)
}

// stem cuts the commonest English endings; crude, but the same on both sides.
func stem(w string) string {
	for _, rule := range []struct{ end, put string }{
		{"ies", "y"}, {"sses", "ss"}, {"xes", "x"}, {"ches", "ch"}, {"shes", "sh"}, {"ings", ""}, {"ing", ""}, {"ed", ""}, {"s", ""},
	} {
		if base, ok := strings.CutSuffix(w, rule.end); ok && len(base) >= 3 && !strings.HasSuffix(w, "ss") {
			w = base + rule.put
			break
		}
	}
	return strings.TrimSuffix(w, "e")
}
