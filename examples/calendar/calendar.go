package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// calendar is what one file holds.
type calendar struct {
	name     string
	events   []*event
	warnings []string
}

// event is a VEVENT.
type event struct {
	uid, title, place, notes, status string
	start                            time.Time
	length                           time.Duration
	days                             int // of an all-day event; length is not used
	allDay                           bool
	rule                             *rule
	extra                            []time.Time     // RDATE
	except                           map[int64]bool  // EXDATE and moved occurrences, by Unix second
	replaces                         time.Time       // RECURRENCE-ID
	exceptDays                       map[string]bool // EXDATE given as days
}

// occurrence is one time at which an event takes place.
type occurrence struct {
	event      *event
	start, end time.Time
}

// parse reads a calendar. Times without a zone are in floating.
func parse(text string, floating *time.Location) (*calendar, error) {
	root, warnings, err := read(text)
	if err != nil {
		return nil, err
	}
	c := &calendar{warnings: warnings}
	for _, cal := range root.kids {
		if cal.kind != "VCALENDAR" {
			continue
		}
		c.name = cal.text("X-WR-CALNAME")
		z := zones{floating: floating, own: map[string]*component{}}
		for _, k := range cal.kids {
			if k.kind == "VTIMEZONE" {
				z.own[k.text("TZID")] = k
			}
		}
		for _, k := range cal.kids {
			if k.kind != "VEVENT" {
				continue
			}
			if len(c.events) == maxEvents {
				return nil, fmt.Errorf("more than %d events", maxEvents)
			}
			e, err := readEvent(k, &z)
			if err != nil {
				if len(c.warnings) < 10 {
					c.warnings = append(c.warnings, fmt.Sprintf("event %q was left out: %v", clip(k.text("SUMMARY"), 40), err))
				}
				continue
			}
			c.events = append(c.events, e)
		}
	}
	c.applyMoves()
	return c, nil
}

// applyMoves takes the occurrences out of series that a RECURRENCE-ID replaces.
func (c *calendar) applyMoves() {
	series := map[string][]*event{}
	for _, e := range c.events {
		if e.replaces.IsZero() {
			series[e.uid] = append(series[e.uid], e)
		}
	}
	for _, e := range c.events {
		if e.replaces.IsZero() {
			continue
		}
		for _, s := range series[e.uid] {
			s.except[e.replaces.Unix()] = true
		}
	}
}

func readEvent(k *component, z *zones) (*event, error) {
	e := &event{
		uid: k.text("UID"), title: k.text("SUMMARY"), place: k.text("LOCATION"), notes: k.text("DESCRIPTION"),
		status: strings.ToUpper(k.text("STATUS")), except: map[int64]bool{}, exceptDays: map[string]bool{},
	}
	p, ok := k.get("DTSTART")
	if !ok {
		return nil, fmt.Errorf("it has no DTSTART")
	}
	var err error
	if e.start, e.allDay, err = z.time(p, p.value); err != nil {
		return nil, err
	}
	if err := e.readLength(k, z); err != nil {
		return nil, err
	}
	if p, ok := k.get("RRULE"); ok {
		if e.rule, err = parseRule(p.value, e.start); err != nil {
			return nil, err
		}
	}
	if p, ok := k.get("RECURRENCE-ID"); ok {
		if e.replaces, _, err = z.time(p, p.value); err != nil {
			return nil, err
		}
	}
	for _, p := range k.props {
		if p.name != "EXDATE" && p.name != "RDATE" {
			continue
		}
		for _, v := range strings.Split(p.value, ",") {
			v, _, _ = strings.Cut(v, "/") // of a PERIOD the start
			t, isDay, err := z.time(p, v)
			switch {
			case err != nil:
				return nil, err
			case p.name == "RDATE":
				e.extra = append(e.extra, t)
			case isDay:
				e.exceptDays[t.Format(time.DateOnly)] = true
			default:
				e.except[t.Unix()] = true
			}
		}
	}
	return e, nil
}

func (e *event) readLength(k *component, z *zones) error {
	if e.allDay {
		e.days = 1
	}
	if p, ok := k.get("DTEND"); ok {
		end, _, err := z.time(p, p.value)
		if err != nil {
			return err
		}
		if e.allDay {
			e.days = max(1, int(end.Sub(e.start).Hours()+12)/24)
		} else {
			e.length = max(0, end.Sub(e.start))
		}
		return nil
	}
	if p, ok := k.get("DURATION"); ok {
		d, err := parseDuration(p.value)
		if err != nil {
			return err
		}
		e.length = d
		if e.allDay {
			e.days = max(1, int(d.Hours())/24)
		}
	}
	return nil
}

// parseDuration reads a positive duration such as P1DT2H30M or P2W (RFC 5545, 3.3.6).
func parseDuration(s string) (time.Duration, error) {
	wrong := fmt.Errorf("duration %q: want one such as PT1H30M", clip(s, 20))
	rest, ok := strings.CutPrefix(strings.TrimPrefix(s, "+"), "P")
	if !ok || rest == "" {
		return 0, wrong
	}
	units := map[byte]time.Duration{'W': 7 * 24 * time.Hour, 'D': 24 * time.Hour}
	var total time.Duration
	n, digits := 0, 0
	for i := range len(rest) {
		switch c := rest[i]; {
		case c == 'T' && digits == 0:
			units = map[byte]time.Duration{'H': time.Hour, 'M': time.Minute, 'S': time.Second}
		case c >= '0' && c <= '9' && digits < 6:
			n = n*10 + int(c-'0')
			digits++
		case units[c] > 0 && digits > 0:
			total += time.Duration(n) * units[c]
			n, digits = 0, 0
		default:
			return 0, wrong
		}
	}
	if digits > 0 || total > 10*366*24*time.Hour {
		return 0, wrong
	}
	return total, nil
}

// between returns the occurrences that overlap [from, to).
func (c *calendar) between(from, to time.Time) []occurrence {
	var out []occurrence
	for _, e := range c.events {
		if e.status == "CANCELLED" {
			continue
		}
		seen := map[int64]bool{}
		add := func(t time.Time) {
			start, end := e.extent(t, from.Location())
			if e.except[t.Unix()] || e.exceptDays[t.Format(time.DateOnly)] || seen[t.Unix()] {
				return
			}
			// An event without length belongs to the instant at which it starts.
			if start.Before(to) && (end.After(from) || end.Equal(start) && !start.Before(from)) {
				seen[t.Unix()] = true
				out = append(out, occurrence{e, start, end})
			}
		}
		if e.rule == nil {
			add(e.start)
		} else {
			e.rule.each(e.start, to.AddDate(0, 0, 1), add)
		}
		for _, t := range e.extra {
			add(t)
		}
	}
	return out
}

// extent returns begin and end of the occurrence at t. A day of an all-day event is a
// day where the reader is.
func (e *event) extent(t time.Time, zone *time.Location) (time.Time, time.Time) {
	if e.allDay {
		start := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, zone)
		return start, start.AddDate(0, 0, e.days)
	}
	return t, t.Add(e.length)
}

func (e *event) hasAll(words []string) bool {
	text := strings.ToLower(e.title + "\n" + e.place + "\n" + e.notes)
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

func byStart(a, b occurrence) int {
	if c := a.start.Compare(b.start); c != 0 {
		return c
	}
	if a.event.allDay != b.event.allDay {
		if a.event.allDay {
			return -1
		}
		return 1
	}
	return cmp.Compare(a.event.title, b.event.title)
}
