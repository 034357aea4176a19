package offline

import (
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/host/agent"
)

// compose answers with what the tools said, each quoted under its name, and with what
// was refused and why.
func compose(results []*agent.Result) string {
	var parts []string
	for _, r := range results {
		body := strings.TrimSpace(r.Data.Untrusted())
		var s string
		switch {
		case !r.Ran:
			s = fmt.Sprintf("I was not allowed to call %s: %s.", r.Tool, strings.TrimSuffix(r.Denied, "."))
			if r.Hint != "" {
				s += "\nHint: " + r.Hint
			}
		case r.IsError && body == "":
			s = r.Tool + " failed and gave no reason."
		case r.IsError:
			s = r.Tool + " failed:\n\n" + quote(body)
		case body == "":
			s = r.Tool + " ran and returned nothing."
		case !strings.Contains(body, "\n") && len(body) <= 200:
			s = r.Tool + ": " + body
		default:
			s = "From " + r.Tool + ":\n\n" + quote(body)
		}
		for _, note := range r.Notes {
			s += "\n\nOn the way " + r.Tool + " was refused: " + note
		}
		parts = append(parts, s)
	}
	return strings.Join(parts, "\n\n")
}

// quote marks each line, so that text of a tool cannot pass for the planner's own.
func quote(s string) string {
	return "> " + strings.ReplaceAll(s, "\n", "\n> ")
}

// maxListed is how many tools the list of capabilities shows.
const maxListed = 60

// capabilities lists what the installed tools can do, each with an example.
func capabilities(infos []agent.ToolInfo) string {
	var b strings.Builder
	b.WriteString(Disclaimer)
	if len(infos) == 0 {
		b.WriteString("\nNo skill is installed for this agent yet. See what there is with: glovebox skill list")
		return b.String()
	}
	b.WriteString(" I found nothing that fits your message. Here is what I can do:\n")
	ts := newToolset(infos)
	for i, t := range ts.tools {
		if i == maxListed {
			fmt.Fprintf(&b, "\n… and %d more: glovebox skill list", len(infos)-maxListed)
			break
		}
		fmt.Fprintf(&b, "\n- %s (%s)", t.info.Name, t.info.Class)
		if d := strings.TrimSuffix(firstLine(t.info.Description), "."); d != "" {
			b.WriteString(": " + d)
		}
		b.WriteString(". Try: " + example(t))
	}
	return b.String()
}

// firstLine returns the first sentence or line of s, bounded.
func firstLine(s string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	s = line
	if i := strings.Index(s, ". "); i > 0 {
		s = s[:i+1]
	}
	if r := []rune(s); len(r) > 120 {
		s = string(r[:119]) + "…"
	}
	return s
}

// example returns a message that the planner turns into a call of t.
func example(t *tool) string {
	needed := map[string]bool{}
	for _, a := range t.args {
		needed[a.name] = a.required
	}
	if len(t.oneOf) > 0 {
		for _, name := range t.oneOf[len(t.oneOf)-1] {
			needed[name] = true
		}
	}
	head := strings.Join(append(append([]string{}, t.skill...), t.name...), " ")
	if t.converts() {
		return head + " 5 miles in km"
	}
	var tail, last string
	for _, a := range t.args {
		if !needed[a.name] {
			continue
		}
		switch sample := t.sample(a); a.kind {
		case kindText:
			last = ": " + sample
		case kindData:
			last = " in " + sample
		default:
			tail += " " + sample
		}
	}
	return head + tail + last
}

// sample returns what a could be, in the spelling that the planner reads.
func (t *tool) sample(a *arg) string {
	for _, list := range [][]any{a.examples, a.enum} {
		if len(list) > 0 {
			if s, ok := list[0].(string); ok && !strings.ContainsAny(s, "\"\n") && len(s) <= 60 {
				switch a.kind {
				case kindName, kindQuery, kindPath:
					return `"` + s + `"`
				case kindPattern:
					return "`" + s + "`"
				default:
					return s
				}
			}
		}
	}
	switch a.kind {
	case kindURL, kindURLs:
		if t.topics["FEED"] {
			return "https://example.org/feed.xml"
		}
		return "https://example.org/"
	case kindMath:
		return "3*(4+5)"
	case kindPattern:
		if strings.HasPrefix(strings.ToLower(a.name), "reg") || strings.EqualFold(a.name, "pattern") {
			return "`[a-z]+`"
		}
		return "`a[0]`"
	case kindData:
		if t.topics["CALENDAR"] {
			return "BEGIN:VCALENDAR … END:VCALENDAR"
		}
		return `{"a":[1,2]}`
	case kindPath:
		if t.topics["CALENDAR"] {
			return "`events.ics`"
		}
		return "`file.txt`"
	case kindDay, kindFirst, kindLast:
		return "2026-01-31"
	case kindLimit, kindNumber, kindValue:
		return "5"
	case kindBool:
		return a.name
	case kindName:
		return `"groceries"`
	case kindQuery:
		return `"milk"`
	case kindText:
		return "buy milk"
	case kindOther, kindFrom, kindTo, kindEnum:
	}
	return a.name + "=…"
}
