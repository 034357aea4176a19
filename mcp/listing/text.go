package listing

import (
	"fmt"
	"unicode"
)

// maxBlank bounds white space in a row: what stands behind more of it is out of sight.
const maxBlank = 64

// blanks look like nothing, and are neither white space nor format characters to Unicode.
var blanks = &unicode.RangeTable{
	R16: []unicode.Range16{{0x034f, 0x034f, 1}, {0x115f, 0x1160, 1}, {0x17b4, 0x17b5, 1}, {0x2800, 0x2800, 1}, {0x3164, 0x3164, 1}, {0xffa0, 0xffa0, 1}},
	R32: []unicode.Range32{{0x1d159, 0x1d159, 1}},
}

const (
	emojiStyle = 0xfe0f // after a symbol: show it in colour
	joiner     = 0x200d // between two symbols of an emoji
)

// seen reports an error for text of which a person does not see all, or not in its order.
// Selectors and joiners are admitted where an emoji needs them.
func seen(text string) error {
	before, blank := rune(0), 0
	runes := []rune(text)
	for i, r := range runes {
		switch {
		case r == '\n' || r == '\t' || r == '\r' || unicode.Is(unicode.Zs, r):
			if blank++; blank > maxBlank {
				return fmt.Errorf("more than %d white spaces in a row", maxBlank)
			}
			before = r
			continue
		case r == emojiStyle && symbol(before):
		case r == joiner && (symbol(before) || before == emojiStyle) && i+1 < len(runes) && symbol(runes[i+1]):
		case unicode.IsControl(r), unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp, unicode.Variation_Selector, blanks), r == unicode.ReplacementChar:
			return fmt.Errorf("the hidden character %U", r)
		}
		before, blank = r, 0
	}
	return nil
}

func symbol(r rune) bool {
	return unicode.IsSymbol(r) || r == '#' || r == '*' || r >= '0' && r <= '9' || r == 0x203c || r == 0x2049
}

// allSeen applies seen to each string of a decoded JSON value, keys too.
func allSeen(v any) error {
	switch v := v.(type) {
	case string:
		return seen(v)
	case []any:
		for _, e := range v {
			if err := allSeen(e); err != nil {
				return err
			}
		}
	case map[string]any:
		for k, e := range v {
			if err := seen(k); err != nil {
				return fmt.Errorf("%w in the key of an object", err)
			}
			if err := allSeen(e); err != nil {
				return err
			}
		}
	}
	return nil
}
