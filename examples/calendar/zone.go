package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// zones finds the time zone that a property names.
type zones struct {
	floating *time.Location
	own      map[string]*component // VTIMEZONE by TZID
}

// time reads a DATE or DATE-TIME value in the zone of its property.
func (z *zones) time(p property, value string) (t time.Time, isDay bool, err error) {
	value = strings.TrimSpace(value)
	if strings.EqualFold(p.params["VALUE"], "DATE") || len(value) == 8 {
		t, err = time.ParseInLocation("20060102", value, z.floating)
		if err != nil {
			return t, false, fmt.Errorf("%s %q: want a day such as 20260314", p.name, clip(value, 20))
		}
		return t, true, nil
	}
	if t, err := time.Parse("20060102T150405Z", value); err == nil {
		return t, false, nil
	}
	wall, err := time.Parse("20060102T150405", value)
	if err != nil {
		return t, false, fmt.Errorf("%s %q: want a time such as 20260314T093000", p.name, clip(value, 20))
	}
	loc := z.floating
	if id := p.params["TZID"]; id != "" {
		if loc, err = z.find(id, wall); err != nil {
			return t, false, err
		}
	}
	return time.Date(wall.Year(), wall.Month(), wall.Day(), wall.Hour(), wall.Minute(), wall.Second(), 0, loc), false, nil
}

// find looks a zone up by its IANA name, a name of Windows or the calendar's own
// definition. The latter gives the offset that holds at wall.
func (z *zones) find(id string, wall time.Time) (*time.Location, error) {
	if loc, err := zoneByName(id); err == nil {
		return loc, nil
	}
	if c := z.own[id]; c != nil {
		if loc := offsetAt(c, wall); loc != nil {
			return loc, nil
		}
	}
	return nil, fmt.Errorf("time zone %q is not known", clip(id, 40))
}

func zoneByName(id string) (*time.Location, error) {
	id = strings.Trim(id, `"`)
	if iana, ok := windowsZones[id]; ok {
		id = iana
	}
	// Some programs put a path before the name: /freeassociation.sourceforge.net/Europe/Berlin.
	for _, name := range []string{id, lastParts(id, 2), lastParts(id, 3)} {
		if name == "" || strings.EqualFold(name, "local") {
			continue
		}
		if loc, err := time.LoadLocation(name); err == nil {
			return loc, nil
		}
	}
	return nil, fmt.Errorf("time zone %q is not known: want an IANA name such as Europe/Berlin", clip(id, 40))
}

func lastParts(s string, n int) string {
	parts := strings.Split(s, "/")
	if len(parts) <= n {
		return ""
	}
	return strings.Join(parts[len(parts)-n:], "/")
}

// offsetAt finds the STANDARD or DAYLIGHT part of a VTIMEZONE whose last onset lies
// at or before wall.
func offsetAt(c *component, wall time.Time) *time.Location {
	var best time.Time
	var loc *time.Location
	for _, k := range c.kids {
		p, ok := k.get("DTSTART")
		if !ok {
			continue
		}
		start, err := time.Parse("20060102T150405", p.value)
		if err != nil {
			continue
		}
		offset, err := parseOffset(k.text("TZOFFSETTO"))
		if err != nil {
			continue
		}
		onset := start
		if r, ok := k.get("RRULE"); ok {
			if rule, err := parseRule(r.value, start); err == nil {
				rule.each(start, wall.Add(time.Second), func(t time.Time) { onset = t })
			}
		}
		if loc == nil || !onset.After(wall) && (onset.After(best) || best.After(wall)) {
			best, loc = onset, time.FixedZone(k.text("TZNAME"), offset)
		}
	}
	return loc
}

func parseOffset(s string) (int, error) {
	if len(s) != 5 && len(s) != 7 || s[0] != '+' && s[0] != '-' {
		return 0, fmt.Errorf("offset %q", clip(s, 10))
	}
	h, err1 := strconv.Atoi(s[1:3])
	m, err2 := strconv.Atoi(s[3:5])
	if err1 != nil || err2 != nil || h > 15 || m > 59 {
		return 0, fmt.Errorf("offset %q", clip(s, 10))
	}
	seconds := h*3600 + m*60
	if s[0] == '-' {
		seconds = -seconds
	}
	return seconds, nil
}

// windowsZones are the names that Outlook and Exchange write.
var windowsZones = map[string]string{
	"W. Europe Standard Time": "Europe/Berlin", "Central Europe Standard Time": "Europe/Budapest", "Central European Standard Time": "Europe/Warsaw",
	"Romance Standard Time": "Europe/Paris", "GMT Standard Time": "Europe/London", "Greenwich Standard Time": "Atlantic/Reykjavik",
	"E. Europe Standard Time": "Europe/Chisinau", "FLE Standard Time": "Europe/Kiev", "GTB Standard Time": "Europe/Bucharest",
	"Russian Standard Time": "Europe/Moscow", "Turkey Standard Time": "Europe/Istanbul", "Israel Standard Time": "Asia/Jerusalem",
	"South Africa Standard Time": "Africa/Johannesburg", "Arabian Standard Time": "Asia/Dubai", "India Standard Time": "Asia/Kolkata",
	"China Standard Time": "Asia/Shanghai", "Singapore Standard Time": "Asia/Singapore", "Tokyo Standard Time": "Asia/Tokyo", "Korea Standard Time": "Asia/Seoul",
	"AUS Eastern Standard Time": "Australia/Sydney", "New Zealand Standard Time": "Pacific/Auckland",
	"Eastern Standard Time": "America/New_York", "Central Standard Time": "America/Chicago", "Mountain Standard Time": "America/Denver",
	"US Mountain Standard Time": "America/Phoenix", "Pacific Standard Time": "America/Los_Angeles", "Alaskan Standard Time": "America/Anchorage",
	"Hawaiian Standard Time": "Pacific/Honolulu", "Atlantic Standard Time": "America/Halifax", "E. South America Standard Time": "America/Sao_Paulo",
	"Argentina Standard Time": "America/Buenos_Aires", "SA Pacific Standard Time": "America/Bogota", "UTC": "UTC",
}
