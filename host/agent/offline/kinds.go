package offline

import (
	"slices"
	"strings"
)

// kind says which part of a message an argument takes.
type kind uint8

const (
	kindOther   kind = iota // only by NAME=VALUE
	kindURL                 // a web address
	kindURLs                // all web addresses
	kindValue               // the number of a conversion
	kindFrom                // its units
	kindTo                  //
	kindMath                // an arithmetic expression
	kindPattern             // a query over data: JMESPath, jq, a regular expression
	kindData                // JSON or iCalendar, given whole
	kindPath                // a file's name
	kindDay                 // a date
	kindFirst               // the first day of a range
	kindLast                // its last day
	kindLimit               // how many
	kindNumber              // another number
	kindEnum                // one of a few words
	kindBool                // a switch
	kindName                // what something is called
	kindQuery               // what is looked for
	kindText                // free text
)

var (
	urlNames     = strings.Fields("url uri link href page address site website feed endpoint")
	limitNames   = strings.Fields("limit count max n num top maximum size maxitems max_items maxresults max_results")
	nameNames    = strings.Fields("name title id key label slug note file filename tag category author user username city location place country symbol ticker currency")
	queryNames   = strings.Fields("query q search term terms keyword keywords needle word find")
	dataNames    = strings.Fields("data json document ics calendar object value payload source")
	mathNames    = strings.Fields("expression expr formula equation calculation")
	codeNames    = strings.Fields("expression expr query path filter jmespath jq jsonpath selector pattern regex regexp")
	patternNames = strings.Fields("pattern regex regexp jq jmespath jsonpath selector")
	pathNames    = strings.Fields("path file filename filepath file_path")
	firstNames   = strings.Fields("from start since after begin start_date date_from startdate")
	lastNames    = strings.Fields("to end until before end_date date_to enddate till")
	dayNames     = strings.Fields("date day when")
	valueNames   = strings.Fields("value amount quantity number magnitude")
)

// kindOf decides what a is by its type, format, name and siblings.
func (t *tool) kindOf(a *arg) kind {
	name := strings.ToLower(a.name)
	named := func(list []string) bool { return slices.Contains(list, name) }
	about := func(words ...string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(a.desc), w) })
	}
	text := a.is("string")
	switch {
	case len(a.enum) > 0:
		return kindEnum
	case text && (a.format == "uri" || a.format == "url" || named(urlNames) || strings.HasSuffix(name, "url")):
		return kindURL
	case slices.Contains(a.types, "array") && (name == "urls" || name == "links"):
		return kindURLs
	case t.converts() && named(valueNames):
		return kindValue
	case t.converts() && (name == "from" || strings.HasPrefix(name, "from")):
		return kindFrom
	case t.converts() && (name == "to" || strings.HasPrefix(name, "to")):
		return kindTo
	case slices.Contains(a.types, "boolean"):
		return kindBool
	case !slices.Contains(a.types, "string") && (slices.Contains(a.types, "integer") || slices.Contains(a.types, "number")):
		if named(limitNames) {
			return kindLimit
		}
		return kindNumber
	case t.hasSibling(a, dataNames) && named(codeNames), text && named(patternNames):
		return kindPattern
	case named(mathNames):
		return kindMath
	case named(dataNames), a.is("object") && !text, name == "input" && about("json", "ics", "icalendar"):
		return kindData
	case text && named(pathNames):
		return kindPath
	case text && (named(firstNames) && (dated(a) || t.hasSibling(a, lastNames))):
		return kindFirst
	case text && (named(lastNames) && (dated(a) || t.hasSibling(a, firstNames))):
		return kindLast
	case text && (strings.HasPrefix(a.format, "date") || named(dayNames)):
		return kindDay
	case text && named(nameNames):
		return kindName
	case text && named(queryNames):
		return kindQuery
	case text:
		return kindText
	}
	return kindOther
}

func dated(a *arg) bool {
	low := strings.ToLower(a.desc)
	return strings.HasPrefix(a.format, "date") || strings.Contains(low, "date") || strings.Contains(low, "day") || strings.Contains(low, "yyyy")
}

// converts reports whether t looks like a conversion: a value, and from and to that
// are not dates.
func (t *tool) converts() bool {
	var value, from, to bool
	for _, a := range t.args {
		name := strings.ToLower(a.name)
		value = value || slices.Contains(valueNames, name)
		from = from || strings.HasPrefix(name, "from") && !dated(a)
		to = to || (name == "to" || strings.HasPrefix(name, "to_") || strings.HasPrefix(a.name, "toU")) && !dated(a)
	}
	return value && from && to
}

func (t *tool) hasSibling(a *arg, names []string) bool {
	return slices.ContainsFunc(t.args, func(o *arg) bool { return o != a && slices.Contains(names, strings.ToLower(o.name)) })
}
