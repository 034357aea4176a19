package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills/install"
)

// A certificate may name anything; what it names does not drive the terminal.
func TestIdentityDoesNotPaintTheTerminal(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	a := &app{out: &out, err: &out}
	a.showWhy(whyView{Entry: &install.Entry{}, Admission: &install.Admission{Publisher: "acme", Signer: abi.Signer{Issuer: "https://i.example", Identity: "me\x1b[2K\r\nsigned by local\u202e"}}})
	if s := out.String(); strings.ContainsAny(s, "\x1b\r\u202e") || strings.Contains(s, "\nsigned by local") {
		t.Errorf("%q", s)
	}
}
