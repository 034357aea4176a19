package contain

import (
	"encoding/json"
	"regexp"
	"sort"
	"strconv"
	"strings"
	"unicode/utf8"
)

var (
	spaceRE = regexp.MustCompile(`\s+`)
	linkRE  = regexp.MustCompile(`(?i)(?:https?://|www\.)[^\s"'<>)\]}]+`)
)

func fold(s string) string { return spaceRE.ReplaceAllString(strings.ToLower(s), " ") }

// atoms returns the leaves of the named arguments, in a stable order. Null is absent.
func atoms(args map[string]any, names []string) []any {
	var out []any
	for _, name := range names {
		out = leaves(out, args[name])
	}
	return out
}

func leaves(out []any, v any) []any {
	switch v := v.(type) {
	case nil:
	case []any:
		for _, e := range v {
			out = leaves(out, e)
		}
	case map[string]any:
		keys := make([]string, 0, len(v))
		for k := range v {
			keys = append(keys, k)
		}
		sort.Strings(keys)
		for _, k := range keys {
			out = leaves(out, v[k])
		}
	default:
		out = append(out, v)
	}
	return out
}

// occurs is the untyped token search behind the published rows: a baseline to
// reproduce, not what the gate does.
func occurs(atom any, texts ...string) bool {
	for _, form := range forms(atom) {
		for _, text := range texts {
			if token(form, text) {
				return true
			}
		}
	}
	return false
}

func forms(atom any) []string {
	switch v := atom.(type) {
	case string:
		s := strings.TrimSpace(fold(v))
		bare := strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(s, "https://"), "http://"), "www."), "/")
		if bare == s {
			return []string{s}
		}
		return []string{s, bare}
	case float64:
		written := strconv.FormatFloat(v, 'f', -1, 64)
		out := []string{written, strconv.FormatFloat(v, 'f', 2, 64)}
		if !strings.Contains(written, ".") {
			out = append(out, written+".0")
		}
		whole, frac, hasFrac := strings.Cut(written, ".")
		out = append(out, thousands(whole), thousands(whole)+".00")
		if hasFrac {
			out = append(out, thousands(whole)+"."+frac)
		}
		return out
	case bool:
		return []string{strconv.FormatBool(v)}
	case json.Number:
		return []string{v.String()}
	}
	return nil
}

func thousands(whole string) string {
	for i := len(whole) - 3; i > 0 && whole[i-1] != '-'; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	return whole
}

// token reports whether form occurs in the folded text with none of [\w@.-] before
// it and none of [\w@-] after it.
func token(form, text string) bool {
	if form == "" {
		return false
	}
	for from := 0; ; {
		i := strings.Index(text[from:], form)
		if i < 0 {
			return false
		}
		i += from
		before, _ := utf8.DecodeLastRuneInString(text[:i])
		after, _ := utf8.DecodeRuneInString(text[i+len(form):])
		if (i == 0 || !wordRune(before) && before != '.') && (i+len(form) == len(text) || !wordRune(after)) {
			return true
		}
		from = i + 1
	}
}

func wordRune(r rune) bool {
	return r == '_' || r == '@' || r == '-' || r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= 0x80 && isLetter(r)
}
