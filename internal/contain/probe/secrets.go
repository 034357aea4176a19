package probe

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"log/slog"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/internal/contain"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// secrets are shaped like the credentials that services hand out.
func secrets() map[string]string {
	return map[string]string{
		"hex":      "9f86d081884c7d659a2feaa0c55ad015",
		"token":    "ghx_16C7e42F292c6912E7710c838347Ae178B4a",
		"jwt":      "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI0MjQyNDIifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg",
		"password": `corr/ect+h"orse&bat<tery`,
		"basic":    "QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
		"key":      "AKIAZZ7Q2X4N8MPL0RTU/wJalrXUtnFEMIK7MDENG",
	}
}

// form is one spelling of a secret in an output.
type form struct {
	name    string
	claimed bool // the guard says that it finds it
	spell   func(v string) string
}

func forms() []form {
	b64 := func(enc *base64.Encoding, before, after string) func(string) string {
		return func(v string) string { return enc.EncodeToString([]byte(before + v + after)) }
	}
	pairs := func(sep string) func(string) string {
		return func(v string) string {
			var parts []string
			for i := range len(v) {
				parts = append(parts, hex.EncodeToString([]byte{v[i]}))
			}
			return strings.Join(parts, sep)
		}
	}
	each := func(format string) func(string) string {
		return func(v string) string {
			var b strings.Builder
			for i := range len(v) {
				fmt.Fprintf(&b, format, v[i])
			}
			return b.String()
		}
	}
	quoted := func(v string) string { b, _ := json.Marshal(v); return string(b[1 : len(b)-1]) }
	return []form{
		{"raw", true, func(v string) string { return v }},
		{"upper case", true, strings.ToUpper}, {"lower case", true, strings.ToLower},
		{"reversed", true, reversed}, {"spaced", true, func(v string) string { return strings.Join(strings.Split(v, ""), " ") }},
		{"query escape", true, url.QueryEscape}, {"path escape", true, url.PathEscape}, {"percent, all bytes", true, each("%%%02X")},
		{"percent, twice", true, func(v string) string { return url.QueryEscape(url.QueryEscape(v)) }},
		{"base64", true, b64(base64.StdEncoding, "", "")}, {"base64, one byte before", true, b64(base64.StdEncoding, "a", "zz")},
		{"base64, two bytes before", true, b64(base64.StdEncoding, "ab", "z")}, {"base64url", true, b64(base64.RawURLEncoding, "", "")},
		{"base64url, one byte before", true, b64(base64.RawURLEncoding, "a", "")}, {"base64url, two bytes before", true, b64(base64.URLEncoding, "ab", "zz")},
		{"hex", true, pairs("")}, {"HEX", true, func(v string) string { return strings.ToUpper(pairs("")(v)) }},
		{"hex with colons", true, pairs(":")}, {"hex with spaces", true, pairs(" ")}, {`hex with \x`, true, each(`\x%02x`)},
		{"JSON", true, quoted}, {"JSON in JSON", true, func(v string) string { return quoted(quoted(v)) }}, {`JSON, all \u`, true, each(`\u%04x`)},
		{"HTML", true, html.EscapeString}, {"Go", true, func(v string) string { q := strconv.Quote(v); return q[1 : len(q)-1] }},
		{"decimal bytes", true, func(v string) string { return strings.Trim(fmt.Sprint([]byte(v)), "[]") }},

		{"gzip and base64", true, func(v string) string { return base64.StdEncoding.EncodeToString(zipped(v)) }},
		{"base64, twice", true, func(v string) string {
			return base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(v))))
		}},
		{"base64 in lines", true, func(v string) string { return lines(base64.StdEncoding.EncodeToString([]byte(v)), 16) }},
		{"base32", false, func(v string) string { return base32.StdEncoding.EncodeToString([]byte(v)) }},
		{"first half", true, func(v string) string { return v[:len(v)/2] }},
		{"two lines", true, func(v string) string { return v[:len(v)/2] + "\n" + v[len(v)/2:] }},
		{"full-width", true, func(v string) string {
			return strings.Map(func(r rune) rune { return r + 0xfee0 }, v)
		}},
		{"rot13", false, rot13},
		{"zero-width joined", true, func(v string) string { return strings.Join(strings.Split(v, ""), "\u200b") }},
	}
}

func reversed(v string) string {
	b := []byte(v)
	slices.Reverse(b)
	return string(b)
}

func zipped(v string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write([]byte(v))
	_ = w.Close()
	return b.Bytes()
}

func lines(s string, n int) string {
	var parts []string
	for ; len(s) > n; s = s[n:] {
		parts = append(parts, s[:n])
	}
	return strings.Join(append(parts, s), "\n")
}

func rot13(v string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z':
			return 'a' + (r-'a'+13)%26
		case r >= 'A' && r <= 'Z':
			return 'A' + (r-'A'+13)%26
		}
		return r
	}, v)
}

// sink takes text to where it would be seen and returns what is seen there. A refusal
// shows nothing.
type sink struct {
	name string
	show func(ctx context.Context, text string) (string, error)
}

// Secrets runs track C in dir, an empty folder.
func Secrets(ctx context.Context, dir string) (_ []contain.Figure, err error) {
	vault, err := broker.OpenVault(ctx, filepath.Join(dir, "secrets.db"), filepath.Join(dir, "secrets.key"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, vault.Close()) }()
	for name, v := range secrets() {
		if err := vault.Set(ctx, abi.SecretName(name), []byte(v)); err != nil {
			return nil, err
		}
	}
	net, err := newNetwork(vault)
	if err != nil {
		return nil, err
	}
	defer net.close()
	log, err := audit.Open(ctx, audit.Config{
		Path: filepath.Join(dir, "audit.db"), KeyPath: filepath.Join(dir, "audit.key"), Redactor: redactor{vault.Matcher},
	})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	sinks := append(net.sinks(), logSinks(vault.Matcher)...)
	sinks = append(sinks, auditSink(log))
	conversation, err := newTalk(vault.Matcher)
	if err != nil {
		return nil, err
	}
	sinks = append(sinks, conversation.sinks()...)
	figures, err := sight(ctx, sinks)
	if err != nil {
		return nil, err
	}
	passes, err := conversation.canary(ctx)
	return append(figures, net.placeholders(ctx), passes), err
}

// sight shows every form of every secret in every sink.
func sight(ctx context.Context, sinks []sink) ([]contain.Figure, error) {
	var figures []contain.Figure
	claimed, leaked, others, passed := 0, 0, 0, map[string]bool{}
	for _, s := range sinks {
		n, of, where := 0, 0, map[string]bool{}
		for _, name := range slices.Sorted(maps.Keys(secrets())) {
			for _, f := range forms() {
				text := f.spell(secrets()[name])
				seen, err := s.show(ctx, text)
				if err != nil {
					return nil, fmt.Errorf("sink %s, %s of %s: %w", s.name, f.name, name, err)
				}
				hit := strings.Contains(seen, text)
				switch {
				case f.claimed:
					of++
					if hit {
						n++
						where[f.name+" of "+name] = true
					}
				default:
					others++
					if hit {
						passed[f.name] = true
					}
				}
			}
		}
		figures = append(figures, contain.Share("C leak rate: "+s.name, n, of, strings.Join(slices.Sorted(maps.Keys(where)), ", ")))
		claimed, leaked = claimed+of, leaked+n
	}
	figures = append(figures, contain.Share("C leak rate: all sinks", leaked, claimed, "secrets × claimed forms × sinks"))
	return append(figures, contain.Amount("C forms that no sink claims to find and that pass", float64(len(passed)), "forms",
		strings.Join(slices.Sorted(maps.Keys(passed)), ", "))), nil
}

type redactor struct{ source redact.Source }

// Redact implements audit.Redactor.
func (r redactor) Redact(text string) string { return r.source().RedactString(text) }

func logSinks(source redact.Source) []sink {
	through := func(write func(l *slog.Logger, text string)) func(context.Context, string) (string, error) {
		return func(_ context.Context, text string) (string, error) {
			var out bytes.Buffer
			write(slog.New(redact.Handler(slog.NewJSONHandler(&out, nil), source)), text)
			var fields map[string]any
			if err := json.Unmarshal(out.Bytes(), &fields); err != nil {
				return "", err
			}
			return fmt.Sprint(fields), nil
		}
	}
	return []sink{
		{"log message", through(func(l *slog.Logger, text string) { l.Info("guest said " + text + " twice") })},
		{"log attribute", through(func(l *slog.Logger, text string) { l.Info("x", "header", []string{"a", text}) })},
		{"error chain in the log", through(func(l *slog.Logger, text string) {
			l.Info("x", "err", fmt.Errorf("call: %w", errors.New("dial "+text)))
		})},
	}
}

func auditSink(log *audit.Log) sink {
	return sink{"audit log", func(ctx context.Context, text string) (string, error) {
		rec, err := log.Append(ctx, audit.Entry{Event: "probe", Actor: "host", Outcome: text, Detail: map[string]string{"control.to": text}})
		return rec.Outcome + "\n" + rec.Detail["control.to"], err
	}}
}
