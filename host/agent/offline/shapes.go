package offline

import (
	"regexp"
	"strings"
	"time"
)

// unitQuery is "5 miles in km".
type unitQuery struct{ value, from, to string }

const (
	numberPat = `[-+]?(?:\d[\d,]*(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?`
	unitPat   = `[A-Za-z°µμ][A-Za-z°µμ0-9²³/^]*(?:\s(?:per|an|hour|second|minute|feet|foot|meters?|metres?|miles?|inch(?:es)?|kilomet(?:er|re)s?|centimet(?:er|re)s?|gallons?|ounces?|ozs?|tons?|pounds?|celsius|fahrenheit))*`
)

var (
	unitRE    = regexp.MustCompile(`(?i)(` + numberPat + `)\s*(` + unitPat + `)\s+(?:in|to|into|as|=)\s+(` + unitPat + `)\s*[?.!]?$`)
	unitAskRE = regexp.MustCompile(`(?i)how (?:many|much)\s+(` + unitPat + `)\s+(?:is|are|in|make|equals?)\s+(` + numberPat + `)\s*(` + unitPat + `)\s*[?.!]?$`)
)

// readUnits finds a conversion in s.
func readUnits(s string) *unitQuery {
	if g := unitRE.FindStringSubmatch(s); g != nil {
		return &unitQuery{value: number(g[1]), from: g[2], to: g[3]}
	}
	if g := unitAskRE.FindStringSubmatch(s); g != nil {
		return &unitQuery{value: number(g[2]), from: g[3], to: g[1]}
	}
	return nil
}

// number returns the JSON spelling of a number that numberPat matched.
func number(s string) string {
	s = strings.TrimPrefix(strings.ReplaceAll(s, ",", ""), "+")
	switch {
	case strings.HasPrefix(s, "."):
		return "0" + s
	case strings.HasPrefix(s, "-."):
		return "-0" + s[1:]
	}
	return s
}

var (
	mathWords = []struct {
		re  *regexp.Regexp
		put string
	}{
		{regexp.MustCompile(`(?i)\b(` + numberPat + `)\s*(?:%|percent)\s+of\s+(` + numberPat + `)`), "($1/100*$2)"},
		{regexp.MustCompile(`(?i)\bsquare root of\s+(` + numberPat + `)`), "sqrt($1)"},
		{regexp.MustCompile(`(?i)\s+(?:to the power of|raised to)\s+`), "^"},
		{regexp.MustCompile(`(?i)\s+squared\b`), "^2"},
		{regexp.MustCompile(`(?i)\s+cubed\b`), "^3"},
		{regexp.MustCompile(`(?i)\s+(?:multiplied by|times|x|×)\s+`), " * "},
		{regexp.MustCompile(`(?i)\s+(?:divided by|over|÷)\s+`), " / "},
		{regexp.MustCompile(`(?i)\s+plus\s+`), " + "},
		{regexp.MustCompile(`(?i)\s+minus\s+`), " - "},
	}
	leadRE = regexp.MustCompile(`(?i)^(?:(?:please|can|could|you|hey|hi|calc|calculate|compute|evaluate|solve|eval|work out|how much is|what is|what's|whats|what are|the|result|value|of|sum|answer|to|me|tell)\b[\s:,]*)+`)
	exprRE = regexp.MustCompile(`(?i)^(?:[\d\s.,()+*/^%!-]|\b(?:sqrt|abs|sin|cos|tan|asin|acos|atan|log|log2|log10|ln|exp|min|max|floor|ceil|round|pow|mod|pi|e)\b)+$`)
	opRE   = regexp.MustCompile(`(?i)\d\s*[-+*/^%!]|[a-z0-9]\s*\(|\)\s*[-+*/^]`)
	dateRE = regexp.MustCompile(`\b(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(Z|[+-]\d{2}:\d{2})?)?\b`)
)

// readMath returns the arithmetic expression that s asks about, or "".
func readMath(s string) string {
	e := strings.TrimSpace(strings.TrimRight(strings.TrimSpace(s), "?=!. "))
	if strings.HasSuffix(strings.TrimSpace(strings.TrimRight(s, "? ")), "!") { // a factorial
		e += "!"
	}
	for _, w := range mathWords {
		e = w.re.ReplaceAllString(e, w.put)
	}
	e = strings.TrimSpace(leadRE.ReplaceAllString(e, ""))
	if !exprRE.MatchString(e) || !opRE.MatchString(e) || dateRE.MatchString(e) || !strings.ContainsAny(e, "0123456789") {
		return ""
	}
	return e
}

// dateRange returns the dates that s names: first and last day, both inclusive, in
// ISO 8601. ok is false if it names none.
func dateRange(s string, now time.Time) (first, last string, ok bool) {
	if found := dateRE.FindAllString(s, 2); len(found) > 0 {
		return found[0], found[len(found)-1], true
	}
	day := func(offset int) string { return now.AddDate(0, 0, offset).Format(time.DateOnly) }
	monday := -((int(now.Weekday()) + 6) % 7)
	low := " " + strings.Join(tokens(s), " ") + " "
	for _, r := range []struct {
		words string
		from  int
		to    int
	}{
		{"day after tomorrow", 2, 2}, {"tomorrow", 1, 1}, {"yesterday", -1, -1}, {"today", 0, 0}, {"tonight", 0, 0},
		{"this week", monday, monday + 6}, {"next week", monday + 7, monday + 13}, {"last week", monday - 7, monday - 1},
		{"next 7 days", 0, 6}, {"this month", 1 - now.Day(), 0},
	} {
		if !strings.Contains(low, " "+r.words+" ") {
			continue
		}
		if r.words == "this month" {
			end := time.Date(now.Year(), now.Month()+1, 0, 0, 0, 0, 0, now.Location())
			return day(r.from), end.Format(time.DateOnly), true
		}
		return day(r.from), day(r.to), true
	}
	for wd := time.Sunday; wd <= time.Saturday; wd++ {
		if strings.Contains(low, " "+strings.ToLower(wd.String())+" ") {
			offset := (int(wd) - int(now.Weekday()) + 7) % 7
			return day(offset), day(offset), true
		}
	}
	return "", "", false
}
