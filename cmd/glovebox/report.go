package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/install"
	"github.com/glovebox-dev/glovebox/skills/registry"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// The exit codes.
const (
	exitDone        = 0
	exitFailed      = 1
	exitUsage       = 2
	exitRefused     = 3
	exitUnreachable = 4
)

// failure is an error with what the command line adds to it.
type failure struct {
	code int
	what string
	rule string
	hint string
	err  error
}

// Error implements error.
func (f *failure) Error() string { return f.what }

// Unwrap implements error.
func (f *failure) Unwrap() error { return f.err }

func usage(what, hint string) error { return &failure{code: exitUsage, what: what, hint: hint} }

func failed(what, hint string) error { return &failure{code: exitFailed, what: what, hint: hint} }

func refused(what, rule, hint string) error {
	return &failure{code: exitRefused, what: what, rule: rule, hint: hint}
}

func quote(s string) string { return strconv.Quote(s) }

// explain finds the exit code, the rule and the hint of err.
func explain(err error) *failure {
	var f *failure
	var mode *config.ModeError
	var api *admin.Error
	var trusted *install.Refusal
	var denied *abi.Problem
	var strict *wasm.DeniedError
	var refusal *module.Refusal
	var skill *skills.Error
	var signer *signature.Refusal
	var moved *artifact.Refusal
	var listed *registry.Refusal
	var parts *sbom.Error
	var known *advisory.Refusal
	var server *reason.Refusal
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &mode):
		return &failure{code: exitFailed, what: err.Error(), rule: "state/mode", hint: mode.Hint()}
	case errors.As(err, &api):
		code := exitFailed
		switch api.Status {
		case http.StatusForbidden:
			code = exitRefused
		case http.StatusBadRequest:
			code = exitUsage
		}
		return &failure{code: code, what: api.Detail, rule: api.Rule, hint: api.Hint}
	case errors.As(err, &strict):
		return &failure{code: exitRefused, what: err.Error(), rule: strict.Problem.Rule, hint: strict.Problem.Hint}
	case errors.As(err, &denied):
		return &failure{code: exitRefused, what: err.Error(), rule: denied.Rule, hint: denied.Hint}
	case errors.As(err, &refusal):
		return &failure{code: exitRefused, what: err.Error(), rule: string(refusal.Rule)}
	case errors.As(err, &trusted):
		return &failure{code: exitRefused, what: err.Error(), rule: string(trusted.Reason), hint: trusted.Fix}
	case errors.As(err, &server):
		code := exitRefused
		if server.Reason == reason.Unknown {
			code = exitFailed
		}
		return &failure{code: code, what: err.Error(), rule: string(server.Reason), hint: server.Fix}
	case errors.As(err, &known):
		return &failure{code: exitRefused, what: err.Error(), rule: string(known.Reason), hint: known.Fix}
	case errors.As(err, &parts):
		return &failure{code: exitRefused, what: err.Error(), rule: string(parts.Reason), hint: parts.Fix}
	case errors.As(err, &listed):
		return &failure{code: exitRefused, what: err.Error(), rule: string(listed.Reason), hint: listed.Fix}
	case errors.As(err, &moved):
		return &failure{code: movedCode(moved.Reason), what: err.Error(), rule: string(moved.Reason), hint: moved.Fix}
	case errors.As(err, &signer):
		return &failure{code: exitRefused, what: err.Error(), rule: string(signer.Reason), hint: signer.Fix}
	case errors.As(err, &skill):
		code := exitFailed
		if errors.Is(err, skills.ErrDigest) {
			code = exitRefused
		}
		return &failure{code: code, what: err.Error(), hint: skill.Hint}
	case errors.Is(err, skills.ErrDigest), errors.Is(err, wasm.ErrDigest):
		return &failure{code: exitRefused, what: err.Error(), rule: "skill/digest", hint: "rebuild it with \"glovebox skill build DIR\" if you changed it yourself"}
	case errors.Is(err, config.ErrLocked):
		return &failure{code: exitFailed, what: err.Error(), hint: "glovebox down"}
	case errors.Is(err, config.ErrOwner):
		return &failure{code: exitFailed, what: err.Error(), hint: "run as its owner, or choose another folder with --state DIR"}
	case errors.Is(err, admin.ErrListen):
		return &failure{code: exitFailed, what: err.Error(), hint: "glovebox up --listen 127.0.0.1:0"}
	case errors.Is(err, context.Canceled):
		return &failure{code: exitFailed, what: "interrupted"}
	case errors.Is(err, syscall.ENOSPC):
		return &failure{code: exitFailed, what: err.Error(), hint: "make room on that disk, or choose another with --state DIR"}
	case errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return &failure{code: exitFailed, what: err.Error(), hint: "choose a folder that you may write with --state DIR"}
	}
	return &failure{code: exitFailed, what: err.Error()}
}

// movedCode tells what an artifact is refused for from what is not there or in the way.
func movedCode(r artifact.Reason) int {
	switch r {
	case artifact.ReasonReference:
		return exitUsage
	case artifact.ReasonMissing, artifact.ReasonTaken:
		return exitFailed
	}
	return exitRefused
}

// report writes err to stderr and returns its exit code.
func (a *app) report(err error) int {
	f := explain(err)
	if a.json {
		status := map[int]int{exitUsage: http.StatusBadRequest, exitRefused: http.StatusForbidden, exitUnreachable: http.StatusServiceUnavailable}[f.code]
		if status == 0 {
			status = http.StatusInternalServerError
		}
		b, _ := json.Marshal(admin.NewError(status, f.what, f.rule, f.hint)) // strings and a number always encode
		_, _ = a.err.Write(append(plain(b), '\n'))
		return f.code
	}
	fmt.Fprintf(a.err, "error: %s\n", oneLine(f.what))
	if f.hint != "" {
		fmt.Fprintf(a.err, "hint: %s\n", oneLine(f.hint))
	}
	return f.code
}

// oneLine makes text that a guest or a server wrote safe to print on a terminal:
// no control characters, no second line.
func oneLine(s string) string { return strings.TrimSpace(printable(strings.ReplaceAll(s, "\n", "; "))) }

// printable replaces control and format characters, which could rewrite what a
// terminal shows, but keeps line ends and tabs.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && hidden(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}

// hidden reports whether r is a control, a line break of Unicode or a format
// character, among them those that turn text around and the invisible tags.
func hidden(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp) }

// plain writes the hidden characters in the strings of a JSON text as escapes, which
// mean the same: encoding/json escapes those below a space only, and a terminal obeys
// others.
func plain(text []byte) []byte {
	if bytes.IndexFunc(text, func(r rune) bool { return r >= 0x7f && hidden(r) }) < 0 {
		return text
	}
	var b []byte
	for _, r := range string(text) {
		switch {
		case r < 0x7f || !hidden(r):
			b = utf8.AppendRune(b, r)
		default:
			for _, u := range utf16.AppendRune(nil, r) {
				b = fmt.Appendf(b, `\u%04x`, u)
			}
		}
	}
	return b
}

// show prints v as JSON with --json, and text otherwise.
func (a *app) show(v any, text func()) error {
	if !a.json {
		text()
		return nil
	}
	return a.showJSON(v)
}

func (a *app) showJSON(v any) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	_, err := a.out.Write(plain(b.Bytes()))
	return err
}

// say writes a line for a person to stderr; data goes to stdout.
func (a *app) say(format string, args ...any) {
	fmt.Fprintln(a.err, oneLine(fmt.Sprintf(format, args...)))
}
