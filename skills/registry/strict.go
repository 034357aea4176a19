package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
)

// maxDepth bounds the nesting of every JSON file of a registry.
const maxDepth = 32

// decode decodes hostile JSON of at most most bytes into dst, whose parts are decoded
// by strict.
func decode(data []byte, most int, dst any) error {
	if len(data) > most {
		return fmt.Errorf("%d bytes exceed the limit of %d", len(data), most)
	}
	if err := abi.CheckJSON(data, maxDepth); err != nil { // duplicate keys, depth, UTF-8
		return err
	}
	return json.Unmarshal(data, dst)
}

// strict decodes an object into the struct that dst points to. A key that is none of
// its tags, letter by letter, is an error: encoding/json would take "Name" for "name".
func strict(data []byte, dst any) error {
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(data, &keys); err != nil {
		return err
	}
	if keys == nil {
		return fmt.Errorf("want an object, got %s", clip(string(bytes.TrimSpace(data))))
	}
	known := map[string]bool{}
	t := reflect.TypeOf(dst).Elem()
	for i := range t.NumField() {
		tag, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		known[tag] = true
	}
	for key := range keys {
		if !known[key] {
			return fmt.Errorf("unknown field %q", clip(key))
		}
	}
	return json.Unmarshal(data, dst)
}

// Since is a point in time, RFC 3339 in UTC, to the second.
type Since struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (s *Since) UnmarshalJSON(data []byte) error {
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	at, err := time.Parse("2006-01-02T15:04:05Z", text)
	if err != nil {
		return fmt.Errorf("since %q: want a time such as 2026-01-31T00:00:00Z", clip(text))
	}
	s.Time = at
	return nil
}

// MarshalJSON implements json.Marshaler.
func (s Since) MarshalJSON() ([]byte, error) {
	return []byte(`"` + s.UTC().Format("2006-01-02T15:04:05Z") + `"`), nil
}
