package atom

import "strings"

// unescape reads one step of a JSON Pointer.
var unescape = strings.NewReplacer("~1", "/", "~0", "~")

// First returns the first step of a JSON Pointer (RFC 6901) that begins with a slash.
func First(pointer string) string {
	name, _, _ := strings.Cut(pointer[1:], "/")
	return unescape.Replace(name)
}

// Follow returns what a JSON Pointer that begins with a slash finds in a decoded value,
// nil if it leads nowhere. In a list it goes into every element, with an index or
// without: whoever asks wants to miss nothing.
func Follow(v any, pointer string) any {
	step, rest, more := strings.Cut(pointer[1:], "/")
	switch at := v.(type) {
	case map[string]any:
		if v = at[unescape.Replace(step)]; more {
			return Follow(v, "/"+rest)
		}
		return v
	case []any:
		if strings.Trim(step, "0123456789-") == "" {
			if !more {
				return at
			}
			pointer = "/" + rest
		}
		all := make([]any, len(at))
		for i, e := range at {
			all[i] = Follow(e, pointer)
		}
		return all
	}
	return nil
}
