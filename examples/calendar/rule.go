package main

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// rule is an RRULE (RFC 5545, 3.3.10) of the kinds that calendars of people use:
// daily to yearly, with INTERVAL, COUNT, UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYSETPOS
// and WKST. Any other part is an error: a wrong agenda is worse than none.
type rule struct {
	freq      string
	interval  int
	count     int // 0 = no end
	until     time.Time
	byDay     []weekday
	byMonth   []int
	monthDays []int
	setPos    []int
	weekStart time.Weekday
}

type weekday struct {
	day time.Weekday
	nth int // 0 = each; -1 = the last
}

var weekdays = map[string]time.Weekday{
	"SU": time.Sunday, "MO": time.Monday, "TU": time.Tuesday, "WE": time.Wednesday, "TH": time.Thursday, "FR": time.Friday, "SA": time.Saturday,
}

// maxPeriods bounds the walk of a rule: a daily event of a hundred years.
const maxPeriods = 40_000

func parseRule(s string, start time.Time) (*rule, error) {
	r := &rule{interval: 1, weekStart: time.Monday}
	for _, part := range strings.Split(s, ";") {
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		if err := r.set(strings.ToUpper(key), strings.ToUpper(value), start); err != nil {
			return nil, fmt.Errorf("its rule %q: %w", clip(s, 60), err)
		}
	}
	switch r.freq {
	case "DAILY", "WEEKLY", "MONTHLY", "YEARLY":
		return r, nil
	}
	return nil, fmt.Errorf("its rule %q: FREQ=%s is not supported", clip(s, 60), clip(r.freq, 10))
}

func (r *rule) set(key, value string, start time.Time) (err error) {
	switch key {
	case "FREQ":
		r.freq = value
	case "INTERVAL":
		r.interval, err = number(value, 1, 10_000)
	case "COUNT":
		r.count, err = number(value, 1, 1_000_000)
	case "UNTIL":
		r.until, err = untilTime(value, start)
	case "WKST":
		day, ok := weekdays[value]
		if !ok {
			return fmt.Errorf("WKST=%s", value)
		}
		r.weekStart = day
	case "BYDAY":
		for _, v := range strings.Split(value, ",") {
			if len(v) < 2 {
				return fmt.Errorf("BYDAY=%s", value)
			}
			day, ok := weekdays[v[len(v)-2:]]
			nth := 0
			if n := v[:len(v)-2]; n != "" {
				nth, err = number(n, -53, 53)
			}
			if !ok || err != nil {
				return fmt.Errorf("BYDAY=%s", value)
			}
			r.byDay = append(r.byDay, weekday{day, nth})
		}
	case "BYMONTH":
		r.byMonth, err = numbers(value, 1, 12)
	case "BYMONTHDAY":
		r.monthDays, err = numbers(value, -31, 31)
	case "BYSETPOS":
		r.setPos, err = numbers(value, -366, 366)
	default:
		return fmt.Errorf("%s is not supported", clip(key, 20))
	}
	return err
}

func number(s string, low, high int) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		return 0, fmt.Errorf("%q: want a number from %d to %d", clip(s, 20), low, high)
	}
	return n, nil
}

func numbers(s string, low, high int) ([]int, error) {
	var out []int
	for _, v := range strings.Split(s, ",") {
		n, err := number(v, low, high)
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("zero counts nothing")
		}
		out = append(out, n)
	}
	return out, nil
}

func untilTime(s string, start time.Time) (time.Time, error) {
	if t, err := time.Parse("20060102T150405Z", s); err == nil {
		return t, nil
	}
	if t, err := time.ParseInLocation("20060102T150405", s, start.Location()); err == nil {
		return t, nil
	}
	t, err := time.ParseInLocation("20060102", s, start.Location())
	if err != nil {
		return t, fmt.Errorf("UNTIL=%s", clip(s, 20))
	}
	return t.AddDate(0, 0, 1).Add(-time.Second), nil // the whole day counts
}

// each calls visit with the occurrences from start on, in order, up to before end.
func (r *rule) each(start, end time.Time, visit func(time.Time)) {
	n := 0
	for period := range maxPeriods {
		days, first := r.period(start, period*r.interval)
		if !first.Before(end) {
			return
		}
		for _, d := range days {
			t := time.Date(d.Year(), d.Month(), d.Day(), start.Hour(), start.Minute(), start.Second(), 0, start.Location())
			if t.Before(start) {
				continue
			}
			if !r.until.IsZero() && t.After(r.until) || !t.Before(end) {
				return
			}
			if n++; r.count > 0 && n > r.count {
				return
			}
			visit(t)
		}
	}
}

// period returns the days of the n-th day, week, month or year after start, in
// order, and the first day of that period. Days are at noon UTC: no clock changes.
func (r *rule) period(start time.Time, n int) ([]time.Time, time.Time) {
	base := date(start.Year(), start.Month(), start.Day())
	var days []time.Time
	var first time.Time
	switch r.freq {
	case "DAILY":
		first = base.AddDate(0, 0, n)
		days = r.filter([]time.Time{first}, true)
	case "WEEKLY":
		back := (int(base.Weekday()) - int(r.weekStart) + 7) % 7
		first = base.AddDate(0, 0, 7*n-back)
		for i := range 7 {
			d := first.AddDate(0, 0, i)
			if len(r.byDay) == 0 && d.Weekday() == base.Weekday() || r.onWeekday(d) {
				days = append(days, d)
			}
		}
		days = r.filter(days, false)
	case "MONTHLY":
		first = date(base.Year(), base.Month()+time.Month(n), 1)
		days = r.filter(r.inMonth(first, base.Day()), false)
	case "YEARLY":
		first = date(base.Year()+n, time.January, 1)
		days = r.inYear(first, base)
	}
	return r.positions(days), first.AddDate(0, 0, -1)
}

func date(y int, m time.Month, d int) time.Time { return time.Date(y, m, d, 12, 0, 0, 0, time.UTC) }

func daysIn(first time.Time) int { return first.AddDate(0, 1, -1).Day() }

// inMonth returns the days of a month that BYMONTHDAY and BYDAY pick, or the day of
// the start where the month has it.
func (r *rule) inMonth(first time.Time, startDay int) []time.Time {
	last := daysIn(first)
	var out []time.Time
	for i := 1; i <= last; i++ {
		d := date(first.Year(), first.Month(), i)
		ok := true
		switch {
		case len(r.monthDays) == 0 && len(r.byDay) == 0:
			ok = i == startDay
		default:
			if len(r.monthDays) > 0 {
				ok = slices.Contains(r.monthDays, i) || slices.Contains(r.monthDays, i-last-1)
			}
			if len(r.byDay) > 0 {
				ok = ok && r.nthWeekday(d, (i-1)/7+1, -((last-i)/7+1))
			}
		}
		if ok {
			out = append(out, d)
		}
	}
	return out
}

// inYear returns the days of a year that the rule picks.
func (r *rule) inYear(first, base time.Time) []time.Time {
	if len(r.byMonth) == 0 && len(r.monthDays) == 0 && len(r.byDay) > 0 { // the n-th weekday of the year
		last := first.AddDate(1, 0, -1).YearDay()
		var out []time.Time
		for i := 1; i <= last; i++ {
			if d := first.AddDate(0, 0, i-1); r.nthWeekday(d, (i-1)/7+1, -((last-i)/7 + 1)) {
				out = append(out, d)
			}
		}
		return out
	}
	var out []time.Time
	for m := time.January; m <= time.December; m++ {
		if len(r.byMonth) > 0 && !slices.Contains(r.byMonth, int(m)) {
			continue
		}
		if len(r.byMonth) == 0 && len(r.monthDays) == 0 && m != base.Month() {
			continue
		}
		out = append(out, r.inMonth(date(first.Year(), m, 1), base.Day())...)
	}
	return out
}

func (r *rule) onWeekday(d time.Time) bool {
	return slices.ContainsFunc(r.byDay, func(w weekday) bool { return w.day == d.Weekday() })
}

func (r *rule) nthWeekday(d time.Time, fromFront, fromBack int) bool {
	return slices.ContainsFunc(r.byDay, func(w weekday) bool {
		return w.day == d.Weekday() && (w.nth == 0 || w.nth == fromFront || w.nth == fromBack)
	})
}

// filter keeps the days that the BY… parts admit, which narrow a shorter period.
func (r *rule) filter(days []time.Time, daily bool) []time.Time {
	return slices.DeleteFunc(days, func(d time.Time) bool {
		switch {
		case len(r.byMonth) > 0 && !slices.Contains(r.byMonth, int(d.Month())):
			return true
		case daily && len(r.byDay) > 0 && !r.onWeekday(d):
			return true
		case daily && len(r.monthDays) > 0:
			last := daysIn(date(d.Year(), d.Month(), 1))
			return !slices.Contains(r.monthDays, d.Day()) && !slices.Contains(r.monthDays, d.Day()-last-1)
		}
		return false
	})
}

// positions applies BYSETPOS.
func (r *rule) positions(days []time.Time) []time.Time {
	if len(r.setPos) == 0 {
		return days
	}
	var out []time.Time
	for i, d := range days {
		if slices.Contains(r.setPos, i+1) || slices.Contains(r.setPos, i-len(days)) {
			out = append(out, d)
		}
	}
	return out
}
