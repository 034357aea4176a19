package atom

import (
	"strings"

	"golang.org/x/text/unicode/norm"
)

// Spells reports whether raw is a value of which s was read and says nothing else to
// any parser: an address in one spelling, of other values one that differs from the
// canonical form in the case of letters, spaces, hyphens and parentheses alone.
func (s Seq) Spells(raw any) bool {
	text, ok := raw.(string)
	if !ok || len(s) == 1 && s[0].Value == text {
		return true // numbers and words of JSON have one spelling
	}
	if len(s) == 1 && s[0].Kind == URL {
		return text == s[0].Value || text+"/" == s[0].Value
	}
	var b strings.Builder
	for _, a := range s {
		switch a.Kind {
		case URL, Quoted: // more could be said in between
			return false
		default:
			b.WriteString(a.Value)
		}
	}
	return norm.NFKC.IsNormalString(text) && strings.EqualFold(bare.Replace(text), bare.Replace(b.String()))
}

var bare = strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", "\t", "")
