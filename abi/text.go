package abi

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// maxText bounds descriptions and reasons, in bytes.
const maxText = 2 * KiB

// checkText holds text that is shown to people to one printable paragraph.
func checkText(s string) error {
	if len(s) > maxText {
		return fmt.Errorf("%d bytes exceed the limit of 2 KiB", len(s))
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("not valid UTF-8")
	}
	for _, r := range strings.TrimSuffix(s, "\n") {
		if r != '\n' && (unicode.IsControl(r) || hidden(r)) {
			return fmt.Errorf("character %U is not printable", r)
		}
	}
	return nil
}

// hidden reports whether r is invisible or changes the order in which text is shown.
// The zero-width joiners that Indic scripts and emoji need are among them: none of
// the places that use it holds such text.
func hidden(r rune) bool {
	switch {
	case r == 0x61c, r == 0x180e, r == 0xfeff, r == 0xad:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x206f:
		return true
	case r >= 0xfff9 && r <= 0xfffb, r >= 0xe0000 && r <= 0xe0fff:
		return true
	}
	return false
}

// visibleJSON writes the control and hidden characters of a JSON text, which stand in
// its strings only, as escapes. They mean the same to whoever decodes it; who reads
// the text, a model among them, sees that they are there.
func visibleJSON(raw []byte) []byte {
	unseen := func(r rune) bool { return r >= 0x7f && (unicode.IsControl(r) || hidden(r)) }
	if bytes.IndexFunc(raw, unseen) < 0 {
		return raw
	}
	out := make([]byte, 0, len(raw)+64)
	for _, r := range string(raw) {
		if !unseen(r) {
			out = utf8.AppendRune(out, r)
			continue
		}
		for _, u := range utf16.AppendRune(nil, r) {
			out = fmt.Appendf(out, `\u%04x`, u)
		}
	}
	return out
}

var (
	identRE  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_.-]{0,63}$`)
	headerRE = regexp.MustCompile(`^[A-Za-z0-9!#$&'*+.^_|~-]{1,64}$`)
	methodRE = regexp.MustCompile(`^[A-Z]{1,20}$`)
	mountRE  = regexp.MustCompile(`^/[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)
	moduleRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,123}\.wasm$`)
	folderRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)
)

// oneOf is the error of a closed list of words.
func oneOf(got string, words ...string) error {
	for _, w := range words {
		if got == w {
			return nil
		}
	}
	return fmt.Errorf("%q; want %s%s", clip(got), strings.Join(words, ", "), didYouMean(got, words))
}

// notEnforced is the error of a key that the schema knows and this build would ignore.
func notEnforced(why string) error {
	return fmt.Errorf("this build cannot enforce it: %s; remove the key", why)
}
