package redact

import (
	"bytes"
	"encoding/json"
	"errors"
)

// ErrJSON is returned for a document that cannot be shown without a value in it.
var ErrJSON = errors.New("the document holds a secret that cannot be taken out of it")

// RedactJSON returns the JSON document b with each known value replaced inside of its
// strings, so that it stays a document, or b itself when it holds none. ErrJSON: a
// value stands across strings, in a number, or b is no JSON.
func (m *Matcher) RedactJSON(b []byte) ([]byte, error) {
	if !m.Contains(b) {
		return b, nil
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() {
		return nil, ErrJSON
	}
	out, err := json.Marshal(m.tree(v))
	if err != nil || m.Contains(out) {
		return nil, ErrJSON
	}
	return out, nil
}

func (m *Matcher) tree(v any) any {
	switch v := v.(type) {
	case string:
		return m.RedactString(v)
	case json.Number:
		if s := m.RedactString(v.String()); s != v.String() {
			return s
		}
	case []any:
		for i := range v {
			v[i] = m.tree(v[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(v))
		for k, e := range v {
			clean[m.RedactString(k)] = m.tree(e)
		}
		return clean
	}
	return v
}
