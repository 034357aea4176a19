package advisory

import (
	"fmt"
	"strings"

	"github.com/ossf/osv-schema/bindings/go/osvschema"
	cvss20 "github.com/pandatix/go-cvss/20"
	cvss30 "github.com/pandatix/go-cvss/30"
	cvss31 "github.com/pandatix/go-cvss/31"
	cvss40 "github.com/pandatix/go-cvss/40"
)

// Level is a severity. The zero value of an advisory means that nobody has said; the
// zero value of a threshold is below every level.
type Level uint8

// The levels, by the ratings of CVSS.
const (
	Unrated  Level = iota
	Low            // below 4.0
	Medium         // from 4.0
	High           // from 7.0
	Critical       // from 9.0
)

var levels = [...]string{"unrated", "low", "medium", "high", "critical"}

// String returns the level's name.
func (l Level) String() string {
	if int(l) < len(levels) {
		return levels[l]
	}
	return fmt.Sprintf("level %d", uint8(l))
}

// MarshalText implements encoding.TextMarshaler.
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// ParseLevel reads a threshold: any, low, medium, high or critical.
func ParseLevel(s string) (Level, error) {
	if s == "any" {
		return Unrated, nil
	}
	for l := Low; l <= Critical; l++ {
		if s == l.String() {
			return l, nil
		}
	}
	return Unrated, fmt.Errorf("severity %.40q is not known; want any, low, medium, high or critical", s)
}

func levelOf(score float64) Level {
	switch {
	case score >= 9:
		return Critical
	case score >= 7:
		return High
	case score >= 4:
		return Medium
	}
	return Low
}

// severity returns the highest level that v names for the package; the word of the
// database counts where there is no score. A vector that cannot be read makes it
// unrated: the rest might be the lesser half.
func severity(v *osvschema.Vulnerability, name string) Level {
	list := v.GetSeverity()
	for _, a := range v.GetAffected() {
		if a.GetPackage().GetName() == name {
			list = append(list[:len(list):len(list)], a.GetSeverity()...)
		}
	}
	worst, scored := score(list)
	if !scored {
		return Unrated
	}
	if worst >= 0 {
		return levelOf(worst)
	}
	switch strings.ToUpper(v.GetDatabaseSpecific().GetFields()["severity"].GetStringValue()) {
	case "LOW":
		return Low
	case "MODERATE", "MEDIUM":
		return Medium
	case "HIGH":
		return High
	case "CRITICAL":
		return Critical
	}
	return Unrated
}

// score returns the highest base score of CVSS vectors, -1 if there is none. It is false
// if one of them cannot be read.
func score(list []*osvschema.Severity) (float64, bool) {
	worst := -1.0
	for _, s := range list {
		one, err := -1.0, error(nil)
		switch text := s.GetScore(); {
		case s.GetType() == osvschema.Severity_CVSS_V2:
			one, err = base(cvss20.ParseVector(text))
		case strings.HasPrefix(text, "CVSS:3.0/"):
			one, err = base(cvss30.ParseVector(text))
		case strings.HasPrefix(text, "CVSS:3.1/"):
			one, err = base(cvss31.ParseVector(text))
		case strings.HasPrefix(text, "CVSS:4.0/"):
			v, bad := cvss40.ParseVector(text)
			if err = bad; err == nil {
				one = v.Score()
			}
		case s.GetType() == osvschema.Severity_CVSS_V3, s.GetType() == osvschema.Severity_CVSS_V4:
			err = fmt.Errorf("vector %.80q", text)
		}
		if err != nil {
			return -1, false
		}
		worst = max(worst, one)
	}
	return worst, true
}

func base[V interface{ BaseScore() float64 }](v V, err error) (float64, error) {
	if err != nil {
		return -1, err
	}
	return v.BaseScore(), nil
}
