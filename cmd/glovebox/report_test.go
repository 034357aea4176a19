package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

// hostileText is what a guest might name itself, an export or a key of its result.
const hostileText = "a\x1b[2Jb\u009b31mc\u202ed\u200be\u2028f\u00adg\U000e0041h\x7f"

// TestJSONCannotDriveTheTerminal: JSON escapes no character above a space, and
// terminals obey some of them.
func TestJSONCannotDriveTheTerminal(t *testing.T) {
	t.Parallel()
	var out, errs bytes.Buffer
	a := &app{out: &out, err: &errs, json: true}
	if err := a.show(map[string]string{hostileText: hostileText + "ä 漢 🙂"}, nil); err != nil {
		t.Fatal(err)
	}
	a.report(failed(hostileText, hostileText))
	for _, text := range []string{out.String(), errs.String()} {
		if i := strings.IndexFunc(text, func(r rune) bool { return r != '\n' && hidden(r) }); i >= 0 {
			t.Errorf("%q holds a hidden character at byte %d", text, i)
		}
	}
	var back map[string]string
	if err := json.Unmarshal(out.Bytes(), &back); err != nil || back[hostileText] != hostileText+"ä 漢 🙂" {
		t.Errorf("another text came back: %q, %v", back, err)
	}
}

// full is a device without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

// TestOutputThatIsLostIsAnError: half a list is not the list.
func TestOutputThatIsLostIsAnError(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"version", "--json"}, {"--help"}} {
		var errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: full{}, err: &errs}
		if code := a.run(t.Context(), args); code != exitFailed || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%v: exit code %d, %q", args, code, errs.String())
		}
	}
}
