package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi/guest"
)

func fixture(t testing.TB, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("tests", "fixtures", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func run(t *testing.T, f *guest.Fake, tool string, in map[string]any) guest.Result {
	t.Helper()
	if f.Time.IsZero() {
		f.Time = time.Date(2026, 3, 9, 23, 30, 0, 0, time.UTC)
	}
	r, err := f.Run(skill, tool, in)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestAgenda(t *testing.T) {
	t.Parallel()
	f := &guest.Fake{Files: map[string]string{"/calendar/team.ics": strings.ReplaceAll(fixture(t, "team.ics"), "\n", "\r\n"), "/calendar/readme.txt": "x"}}
	got := run(t, f, "agenda", map[string]any{"timezone": "Europe/Berlin"}).String() // 10 March in Berlin
	want := `# Agenda Tue 10 Mar 2026 to Mon 16 Mar 2026

## Tuesday 10 March 2026

- all day until Thu 12 Mar **Trade fair with a title that is so long that the program which wrote this file folded it over two lines**
- 16:00–17:30 **Call with New York** (tentative)  
  Bring the numbers and the slides

## Friday 13 March 2026

- 11:00–11:15 **Stand-up (moved)**

## Saturday 14 March 2026

- Sat 14 Mar 20:00 – Sun 15 Mar 02:00 **Party**

## Monday 16 March 2026

- 09:30–09:45 **Stand-up** · Room 2, north wing

(Times in Europe/Berlin.)`
	if got != want {
		t.Errorf("got:\n%s", got)
	}
	if got := run(t, f, "agenda", map[string]any{"from": "2026-03-30", "to": "2026-03-30"}).String(); !strings.Contains(got, "- 07:30–07:45 **Stand-up**") {
		t.Errorf("after the change to summer time, in UTC:\n%s", got)
	}
	if got := run(t, f, "agenda", map[string]any{"from": "2026-03-12", "to": "2026-03-12"}).String(); !strings.Contains(got, "## Thursday 12 March 2026\n\n- all day until Thu 12 Mar **Trade fair") && !strings.Contains(got, "Trade fair") {
		t.Errorf("the last day of several:\n%s", got)
	}
	if got := run(t, f, "agenda", map[string]any{"from": "2026-03-02", "to": "2026-03-31", "search": "north WING", "limit": 2}).String(); strings.Count(got, "Stand-up") != 2 || !strings.Contains(got, "more events") {
		t.Errorf("search and limit:\n%s", got)
	}
	if got := run(t, f, "files", nil).String(); got != "- team.ics — Team, 6 events" {
		t.Errorf("files: %s", got)
	}
}

func TestRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, start, rule, want string }{
		{"daily, counted", "20260301T080000Z", "FREQ=DAILY;COUNT=3", "03-01 03-02 03-03"},
		{"every other day until", "20260301T080000Z", "FREQ=DAILY;INTERVAL=2;UNTIL=20260305T080000Z", "03-01 03-03 03-05"},
		{"weekdays by day", "20260306T080000Z", "FREQ=DAILY;BYDAY=MO,TU,WE,TH,FR;COUNT=3", "03-06 03-09 03-10"},
		{"every second week on two days", "20260303T080000Z", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;COUNT=4", "03-03 03-08 03-17 03-22"},
		{"the same with weeks from Sunday", "20260303T080000Z", "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SU;WKST=SU;COUNT=4", "03-03 03-15 03-17 03-29"},
		{"monthly on the 31st skips short months", "20260131T080000Z", "FREQ=MONTHLY;COUNT=3", "01-31 03-31 05-31"},
		{"the last Friday", "20260130T080000Z", "FREQ=MONTHLY;BYDAY=-1FR;COUNT=3", "01-30 02-27 03-27"},
		{"the second Tuesday", "20260113T080000Z", "FREQ=MONTHLY;BYDAY=2TU;COUNT=3", "01-13 02-10 03-10"},
		{"the last day of the month", "20260131T080000Z", "FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=3", "01-31 02-28 03-31"},
		{"the last weekday of the month", "20260130T080000Z", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=3", "01-30 02-27 03-31"},
		{"Friday the 13th", "20260213T080000Z", "FREQ=MONTHLY;BYDAY=FR;BYMONTHDAY=13;COUNT=3", "02-13 03-13 11-13"},
		{"yearly", "20240229T080000Z", "FREQ=YEARLY;COUNT=2", "02-29 02-29"},
		{"the fourth Thursday of November", "20251127T080000Z", "FREQ=YEARLY;BYMONTH=11;BYDAY=4TH;COUNT=2", "11-27 11-26"},
		{"the 20th Monday of the year", "20260518T080000Z", "FREQ=YEARLY;BYDAY=20MO;COUNT=2", "05-18 05-17"},
		{"until a day counts the day", "20260301T080000Z", "FREQ=DAILY;UNTIL=20260302", "03-01 03-02"},
		{"an hourly rule is refused", "20260301T080000Z", "FREQ=HOURLY", "FREQ=HOURLY is not supported"},
		{"week numbers are refused", "20260301T080000Z", "FREQ=YEARLY;BYWEEKNO=20", "BYWEEKNO is not supported"},
		{"an interval of zero", "20260301T080000Z", "FREQ=DAILY;INTERVAL=0", "want a number from 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			start, err := time.Parse("20060102T150405Z", c.start)
			if err != nil {
				t.Fatal(err)
			}
			r, err := parseRule(c.rule, start)
			if err != nil {
				if !strings.Contains(err.Error(), c.want) {
					t.Errorf("got %v, want %s", err, c.want)
				}
				return
			}
			var got []string
			r.each(start, start.AddDate(6, 0, 0), func(d time.Time) { got = append(got, d.Format("01-02")) })
			if s := strings.Join(got, " "); s != c.want {
				t.Errorf("got %s, want %s", s, c.want)
			}
		})
	}
}

func TestZones(t *testing.T) {
	t.Parallel()
	head, tail := "BEGIN:VCALENDAR\n", "BEGIN:VEVENT\nDTSTART;TZID=%s:20260701T120000\nSUMMARY:x\nEND:VEVENT\nEND:VCALENDAR\n"
	own := "BEGIN:VTIMEZONE\nTZID:Mine\nBEGIN:STANDARD\nDTSTART:19700101T000000\nTZOFFSETTO:+0530\nRRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=1SU\nEND:STANDARD\n" +
		"BEGIN:DAYLIGHT\nDTSTART:19700301T000000\nTZOFFSETTO:+0630\nRRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=1SU\nEND:DAYLIGHT\nEND:VTIMEZONE\n"
	for zone, want := range map[string]string{
		"Europe/Berlin": "10:00", "Eastern Standard Time": "16:00", "/freeassociation.sourceforge.net/Tzfile/Europe/London": "11:00",
		"Mine": "05:30", "Atlantis/Main": `time zone "Atlantis/Main" is not known`,
	} {
		got := run(t, &guest.Fake{}, "agenda", map[string]any{"from": "2026-07-01", "data": head + own + strings.ReplaceAll(tail, "%s", zone)}).String()
		if !strings.Contains(got, want) {
			t.Errorf("%s: want %s in\n%s", zone, want, got)
		}
	}
}

func TestWrongInput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		in   map[string]any
		want string
	}{
		{"no calendar", map[string]any{"data": "hello"}, "it has no BEGIN:VCALENDAR"},
		{"a wrong day", map[string]any{"data": "BEGIN:VCALENDAR\nEND:VCALENDAR", "from": "soon"}, `from "soon": want a day`},
		{"days the wrong way round", map[string]any{"data": "x", "from": "2026-03-02", "to": "2026-03-01"}, "lies before"},
		{"too long a span", map[string]any{"data": "x", "from": "2026-03-02", "to": "2036-03-01"}, "more than three years"},
		{"two sources", map[string]any{"data": "x", "path": "y"}, "not both"},
		{"a missing file", map[string]any{"path": "no.ics"}, `no calendar file "no.ics"`},
		{"an empty folder", map[string]any{}, "has no .ics files"},
		{"crossed blocks", map[string]any{"data": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nEND:VCALENDAR"}, "does not close BEGIN:VEVENT"},
		{"an unknown zone", map[string]any{"data": "x", "timezone": "Mars/Base"}, `"Mars/Base" is not known`},
		{"a bad event is left out and named", map[string]any{"data": "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Odd\nDTSTART:2026-03\nEND:VEVENT\nEND:VCALENDAR"}, `event "Odd" was left out`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if got := run(t, &guest.Fake{}, "agenda", c.in).String(); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	if r := run(t, &guest.Fake{Deny: map[string]bool{"fs_list": true}}, "agenda", nil); !r.IsError || !strings.HasPrefix(r.String(), "denied: ") {
		t.Errorf("a refusal: %s", r)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(fixture(f, "team.ics"))
	f.Add("BEGIN:VCALENDAR\nBEGIN:VEVENT\nDTSTART:20260101T000000\nRRULE:FREQ=YEARLY;BYDAY=1MO;BYSETPOS=-1\nEND:VEVENT\nEND:VCALENDAR")
	from := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := parse(text, time.UTC); err == nil {
			render(c.between(from, from.AddDate(0, 0, 7)), from, from.AddDate(0, 0, 7), time.UTC, 0, c.warnings)
		}
	})
}
