// Command calendar is a skill that reads calendars in iCalendar format (RFC 5545):
// pasted text, or the .ics files of a folder that it may only read.
package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
	_ "time/tzdata" // a guest has no file system to find time zones in

	"github.com/glovebox-dev/glovebox/abi/guest"
)

const mount = "/calendar"

type agendaInput struct {
	From     string `json:"from,omitempty" desc:"First day, such as 2026-03-14, or today or tomorrow; today if absent"`
	To       string `json:"to,omitempty" desc:"Last day, inclusive; six days after from if absent"`
	Data     string `json:"data,omitempty" desc:"The calendar as iCalendar text; the files of the calendar folder if absent" max:"900000"`
	Path     string `json:"path,omitempty" desc:"One file of the calendar folder, such as team.ics"`
	Search   string `json:"search,omitempty" desc:"Only events whose title, place or notes contain these words"`
	Timezone string `json:"timezone,omitempty" desc:"IANA time zone to show times in, such as Europe/Berlin; UTC if absent"`
	Limit    int    `json:"limit,omitempty" desc:"At most so many events" min:"1" max:"500" default:"100"`
}

type filesInput struct{}

var skill = guest.New(
	guest.Tool("agenda", "Show the agenda: events, meetings and appointments of the calendar between two days, recurring ones included. "+
		"Use it for what is on today, tomorrow, this week, or when something takes place.", agenda).Titled("Show the agenda"),
	guest.Tool("files", "List the calendar files (.ics) of the calendar folder, with their names and number of events.", files).Titled("List calendars"),
)

//go:wasmexport list_tools
func listTools() int32 { return skill.ListTools() }

//go:wasmexport call_tool
func callTool() int32 { return skill.CallTool() }

func main() {}

// maxDays bounds the span of an agenda.
const maxDays = 3 * 366

func agenda(ctx guest.Context, in agendaInput) (guest.Result, error) {
	zone := time.UTC
	if in.Timezone != "" {
		var err error
		if zone, err = zoneByName(in.Timezone); err != nil {
			return guest.Result{}, err
		}
	}
	from, to, err := span(in.From, in.To, ctx.Now().In(zone))
	if err != nil {
		return guest.Result{}, err
	}
	calendars, err := sources(ctx, in)
	if err != nil {
		return guest.Result{}, err
	}
	var all []occurrence
	var notes []string
	for _, s := range calendars {
		c, err := parse(s.text, zone)
		if err != nil {
			if len(calendars) == 1 {
				return guest.Result{}, fmt.Errorf("%s: %w", s.name, err)
			}
			notes = append(notes, fmt.Sprintf("%s was left out: %v", s.name, err))
			continue
		}
		for _, w := range c.warnings {
			notes = append(notes, s.name+": "+w)
		}
		all = append(all, c.between(from, to)...)
	}
	words := strings.Fields(strings.ToLower(in.Search))
	all = slices.DeleteFunc(all, func(o occurrence) bool { return !o.event.hasAll(words) })
	slices.SortStableFunc(all, byStart)
	limit := in.Limit
	if limit == 0 {
		limit = 100
	}
	left := max(0, len(all)-limit)
	all = all[:len(all)-left]
	return guest.Markdown(render(all, from, to, zone, left, notes)).With(map[string]any{"events": facts(all, zone)})
}

type source struct{ name, text string }

// sources returns the text of the calendars that a call is about.
func sources(ctx guest.Context, in agendaInput) ([]source, error) {
	if in.Data != "" && in.Path != "" {
		return nil, fmt.Errorf("give data or path, not both")
	}
	if in.Data != "" {
		return []source{{"data", in.Data}}, nil
	}
	names := []string{in.Path}
	if in.Path == "" {
		var err error
		if names, err = calendarFiles(ctx); err != nil {
			return nil, err
		}
		if len(names) == 0 {
			return nil, fmt.Errorf("the calendar folder has no .ics files: put some there, or pass the calendar as data")
		}
	}
	var out []source
	for _, n := range names {
		n = strings.TrimPrefix(strings.TrimPrefix(n, mount), "/")
		b, err := ctx.Files().Read(mount + "/" + n)
		if guest.HasCode(err, guest.CodeNotFound) {
			return nil, fmt.Errorf("there is no calendar file %q", n)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, source{n, string(b)})
	}
	return out, nil
}

func calendarFiles(ctx guest.Context) ([]string, error) {
	entries, err := ctx.Files().List(mount)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if e.Type == "file" && strings.HasSuffix(strings.ToLower(e.Name), ".ics") {
			names = append(names, e.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}

func files(ctx guest.Context, _ filesInput) (guest.Result, error) {
	names, err := calendarFiles(ctx)
	if err != nil {
		return guest.Result{}, err
	}
	if len(names) == 0 {
		return guest.Text("The calendar folder has no .ics files."), nil
	}
	var b strings.Builder
	for _, n := range names {
		data, err := ctx.Files().Read(mount + "/" + n)
		if err != nil {
			return guest.Result{}, err
		}
		c, err := parse(string(data), time.UTC)
		if err != nil {
			fmt.Fprintf(&b, "- %s — cannot be read: %v\n", n, err)
			continue
		}
		fmt.Fprintf(&b, "- %s — %s%d events\n", n, suffix(c.name, ", "), len(c.events))
	}
	return guest.Markdown(strings.TrimSpace(b.String())), nil
}

func suffix(s, end string) string {
	if s == "" {
		return ""
	}
	return s + end
}

// span returns the first instant of the first day and the first instant after the
// last one.
func span(from, to string, now time.Time) (time.Time, time.Time, error) {
	first, err := day(from, now)
	if err != nil {
		return time.Time{}, time.Time{}, fmt.Errorf("from %w", err)
	}
	last := first.AddDate(0, 0, 6)
	if to != "" {
		if last, err = day(to, now); err != nil {
			return time.Time{}, time.Time{}, fmt.Errorf("to %w", err)
		}
	}
	if last.Before(first) {
		return time.Time{}, time.Time{}, fmt.Errorf("to %s lies before from %s", last.Format(time.DateOnly), first.Format(time.DateOnly))
	}
	if last.After(first.AddDate(0, 0, maxDays)) {
		return time.Time{}, time.Time{}, fmt.Errorf("from %s to %s is more than three years", first.Format(time.DateOnly), last.Format(time.DateOnly))
	}
	return first, last.AddDate(0, 0, 1), nil
}

func day(s string, now time.Time) (time.Time, error) {
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, now.Location())
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "today":
		return today, nil
	case "tomorrow":
		return today.AddDate(0, 0, 1), nil
	case "yesterday":
		return today.AddDate(0, 0, -1), nil
	}
	for _, layout := range []string{time.DateOnly, "20060102", time.RFC3339} {
		if t, err := time.ParseInLocation(layout, strings.TrimSpace(s), now.Location()); err == nil {
			t = t.In(now.Location())
			return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, now.Location()), nil
		}
	}
	return time.Time{}, fmt.Errorf("%q: want a day such as 2026-03-14, today or tomorrow", s)
}
