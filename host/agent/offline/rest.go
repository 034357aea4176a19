package offline

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var wordRE = regexp.MustCompile(`[\p{L}\p{N}'’_-]+`)

// behindCommand returns the text that is left when the words of the command are
// taken from its start: "remember to buy milk" leaves "buy milk". A short text also
// loses small words before it, what trails behind it and its final stop.
func (f *filler) behindCommand(short bool) string {
	text := titledRE.ReplaceAllString(f.m.plain, "")
	for _, s := range f.taken {
		text = strings.NewReplacer("`"+s+"`", " ", `"`+s+`"`, " ").Replace(text)
	}
	if i := indexFold(text, f.t.info.Name); i >= 0 {
		text = text[:i] + " " + text[i+len(f.t.info.Name):]
	}
	text = strings.TrimSpace(text)
	if ask := knowRE.FindString(text); ask != "" { // "what do you know" is one command
		text = "know" + text[len(ask):]
	}
	rest := text
	if head, tail, ok := strings.Cut(text, ":"); ok && !strings.HasPrefix(tail, "//") && f.onlyCommand(head) {
		rest = tail
	} else {
		rest = text[f.commandEnd(text):]
	}
	rest = strings.TrimSpace(strings.TrimLeft(rest, " :,-–—\n"))
	rest = f.withoutTail(unquote(rest), short)
	if short {
		for {
			word, tail, ok := strings.Cut(rest, " ")
			if !ok || !stopWords[strings.ToLower(word)] {
				break
			}
			rest = strings.TrimSpace(tail)
		}
		rest = unquote(rest)
		if slices.Contains([]string{"it", "this", "that", "one", "something", "anything", "them", "these", "those"}, strings.ToLower(rest)) {
			return ""
		}
	}
	if !strings.ContainsFunc(rest, isWordRune) {
		return ""
	}
	return rest
}

func isWordRune(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

func indexFold(s, sub string) int { return strings.Index(strings.ToLower(s), strings.ToLower(sub)) }

// onlyCommand reports whether head holds nothing but the words of a command.
func (f *filler) onlyCommand(head string) bool {
	list := tokens(head)
	if len(list) == 0 || len(list) > 8 {
		return false
	}
	command := false
	for _, w := range list {
		c := f.isCommand(w)
		if !c && !stopWords[w] && !connectors[w] {
			return false
		}
		command = command || c
	}
	return command
}

// isCommand reports whether word names the tool's topic or what it does.
func (f *filler) isCommand(word string) bool { return f.isTopic(word) || f.in(word, f.t.acts) }

func (f *filler) isTopic(word string) bool { return f.in(word, f.t.topics) }

func (f *filler) in(word string, set map[string]bool) bool {
	return slices.ContainsFunc(f.lex.terms(strings.ToLower(word)), func(t string) bool { return set[t] })
}

// commandEnd returns where the command at the start of text ends.
func (f *filler) commandEnd(text string) int {
	words := wordRE.FindAllStringIndex(text, 64)
	word := func(i int) string { return strings.ToLower(text[words[i][0]:words[i][1]]) }
	end, command := 0, false
	for i := 0; i < len(words); i++ {
		w := word(i)
		switch {
		case f.isCommand(w) && !(command && f.in(w, f.t.acts) && !f.isTopic(w)):
			command = true
		case command && connectors[w]:
			if !f.topicFollows(text, words[i+1:]) {
				return words[i][1]
			}
		case !command && (stopWords[w] || connectors[w]), command && stopWords[w] && f.topicFollows(text, words[i+1:]):
		default:
			return end
		}
		end = words[i][1]
	}
	return end
}

// topicFollows reports whether nothing but small words stands before the tool's topic.
func (f *filler) topicFollows(text string, words [][]int) bool {
	for _, span := range words {
		w := strings.ToLower(text[span[0]:span[1]])
		if f.isTopic(w) {
			return true
		}
		if !stopWords[w] {
			return false
		}
	}
	return false
}

// withoutTail cuts "… in my notes" and "… please" from the end.
func (f *filler) withoutTail(s string, short bool) string {
	if short {
		s = strings.TrimRight(s, " ?.!")
	}
	words := wordRE.FindAllStringIndex(s, -1)
	end := len(words)
	for end > 1 {
		w := strings.ToLower(s[words[end-1][0]:words[end-1][1]])
		if w != "please" && !(f.isTopic(w) && (short || f.linked(s, words[:end-1]))) {
			break
		}
		end--
		for end > 1 && f.in(w, f.t.topics) && f.small(s, words[end-1]) {
			end--
		}
	}
	if end == len(words) {
		return s
	}
	return strings.TrimSpace(s[:words[end-1][1]])
}

func (f *filler) small(s string, span []int) bool {
	return slices.Contains(strings.Fields("in from to on of into my the our"), strings.ToLower(s[span[0]:span[1]]))
}

// linked reports whether words end with "to my", "in the" or the like.
func (f *filler) linked(s string, words [][]int) bool {
	n := len(words)
	return n > 1 && f.small(s, words[n-1]) && f.small(s, words[n-2])
}

// unquote removes quotation marks around the whole of s.
func unquote(s string) string {
	for _, q := range []string{`""`, `''`, "``", "“”", "«»"} {
		open, shut := firstRune(q), q[len(firstRune(q)):]
		if len(s) > len(q) && strings.HasPrefix(s, open) && strings.HasSuffix(s, shut) && strings.Count(s[len(open):len(s)-len(shut)], shut) == 0 {
			return s[len(open) : len(s)-len(shut)]
		}
	}
	return s
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}
