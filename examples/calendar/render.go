package main

import (
	"fmt"
	"strings"
	"time"
)

// render writes an agenda, day by day.
func render(all []occurrence, from, to time.Time, zone *time.Location, left int, notes []string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# Agenda %s to %s\n", from.Format("Mon 2 Jan 2006"), to.AddDate(0, 0, -1).Format("Mon 2 Jan 2006"))
	if len(all) == 0 {
		b.WriteString("\nNothing is planned.\n")
	}
	last := ""
	for _, o := range all {
		start := o.start.In(zone)
		if start.Before(from) {
			start = from
		}
		if day := start.Format("Monday 2 January 2006"); day != last {
			fmt.Fprintf(&b, "\n## %s\n\n", day)
			last = day
		}
		b.WriteString("- " + when(o, zone) + " **" + oneLine(o.event.title) + "**")
		if o.event.place != "" {
			b.WriteString(" · " + clip(oneLine(o.event.place), 120))
		}
		if o.event.status == "TENTATIVE" {
			b.WriteString(" (tentative)")
		}
		if o.event.notes != "" {
			b.WriteString("  \n  " + clip(oneLine(o.event.notes), 200))
		}
		b.WriteString("\n")
	}
	if len(all) > 0 {
		fmt.Fprintf(&b, "\n(Times in %s.)\n", zone)
	}
	if left > 0 {
		fmt.Fprintf(&b, "\n(%d more events: raise limit or shorten the span.)\n", left)
	}
	for _, n := range notes {
		b.WriteString("\nNote: " + n + "\n")
	}
	return strings.TrimSpace(b.String())
}

func when(o occurrence, zone *time.Location) string {
	start, end := o.start.In(zone), o.end.In(zone)
	if o.event.allDay {
		if last := end.AddDate(0, 0, -1); last.After(start) {
			return "all day until " + last.Format("Mon 2 Jan")
		}
		return "all day"
	}
	if start.Format(time.DateOnly) == end.Format(time.DateOnly) {
		if start.Equal(end) {
			return start.Format("15:04")
		}
		return start.Format("15:04") + "–" + end.Format("15:04")
	}
	return start.Format("Mon 2 Jan 15:04") + " – " + end.Format("Mon 2 Jan 15:04")
}

func oneLine(s string) string {
	if s = strings.Join(strings.Fields(s), " "); s == "" {
		return "(no title)"
	}
	return s
}

type fact struct {
	Title  string `json:"title"`
	Start  string `json:"start"`
	End    string `json:"end"`
	AllDay bool   `json:"all_day,omitempty"`
	Place  string `json:"place,omitempty"`
}

// facts are the occurrences for programs: RFC 3339, days of all-day events as dates
// with the last day included.
func facts(all []occurrence, zone *time.Location) []fact {
	out := make([]fact, 0, len(all))
	for _, o := range all {
		f := fact{o.event.title, o.start.In(zone).Format(time.RFC3339), o.end.In(zone).Format(time.RFC3339), o.event.allDay, o.event.place}
		if o.event.allDay {
			f.Start, f.End = o.start.Format(time.DateOnly), o.end.AddDate(0, 0, -1).Format(time.DateOnly)
		}
		out = append(out, f)
	}
	return out
}
