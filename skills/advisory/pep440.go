package advisory

import (
	"cmp"
	"regexp"
	"strings"
)

// pep440 is the pattern of PEP 440's appendix B, in groups: 1 epoch, 2 release, 3 and 4
// pre-release, 5 to 7 post-release, 8 and 9 development release, 10 local version.
var pep440 = regexp.MustCompile(`(?i)^v?(?:(\d+)!)?(\d+(?:\.\d+)*)` +
	`(?:[-_.]?(a|b|c|rc|alpha|beta|pre|preview)[-_.]?(\d*))?` +
	`(?:-(\d+)|[-_.]?(post|rev|r)[-_.]?(\d*))?` +
	`(?:[-_.]?(dev)[-_.]?(\d*))?` +
	`(?:\+([a-z0-9]+(?:[-_.][a-z0-9]+)*))?$`)

// canonicalPEP440 is canonicalize_version of Python's packaging library: zeros that
// mean nothing go, and words have one spelling. What is no version comes back as it is.
func canonicalPEP440(v string) string {
	m := pep440.FindStringSubmatch(strings.ToLower(v))
	if m == nil {
		return v
	}
	var b strings.Builder
	if epoch := number(m[1]); epoch != "0" {
		b.WriteString(epoch + "!")
	}
	release := strings.Split(m[2], ".")
	for i := range release {
		release[i] = number(release[i])
	}
	for len(release) > 1 && release[len(release)-1] == "0" {
		release = release[:len(release)-1]
	}
	b.WriteString(strings.Join(release, "."))
	if m[3] != "" {
		word := m[3]
		switch word {
		case "alpha":
			word = "a"
		case "beta":
			word = "b"
		case "c", "pre", "preview":
			word = "rc"
		}
		b.WriteString(word + number(m[4]))
	}
	if m[5] != "" || m[6] != "" {
		b.WriteString(".post" + number(cmp.Or(m[5], m[7])))
	}
	if m[8] != "" {
		b.WriteString(".dev" + number(m[9]))
	}
	return b.String() // a local version is a build of the public one
}

// number drops leading zeros; no digits are zero.
func number(digits string) string { return cmp.Or(strings.TrimLeft(digits, "0"), "0") }
