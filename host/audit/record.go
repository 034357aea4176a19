package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// encode returns the canonical JSON of r and its SHA-256 in hex.
func encode(r Record) (body []byte, hash string, err error) {
	body, ok := appendRecord(make([]byte, 0, 512), r)
	if !ok {
		if body, err = canon.Marshal(r); err != nil {
			return nil, "", fmt.Errorf("audit record: %w", err)
		}
	}
	return body, hashOf(body), nil
}

// appendRecord writes what canon.Marshal writes for an ordinary record, at a tenth of
// its cost: two records accompany each call. It reports false for a record that needs
// the general way: broken UTF-8, a name that does not sort by bytes, a huge number.
func appendRecord(b []byte, r Record) ([]byte, bool) {
	const exact = 1 << 53 // RFC 8785: beyond it a number may not survive a reader
	if r.Seq >= exact || r.Micros >= exact || r.Micros <= -exact || r.Time.Year() < 0 || r.Time.Year() > 9999 || r.Time.Location() != time.UTC {
		return nil, false
	}
	b = append(b, '{')
	text := func(name, value string) {
		if value == "" {
			return
		}
		b = append(b, '"')
		b = append(b, name...)
		b = append(b, `":`...)
		b = append(canon.AppendString(b, value), ',')
	}
	number := func(name string, value int64) {
		if value != 0 {
			b = append(b, '"')
			b = append(b, name...)
			b = append(b, `":`...)
			b = append(strconv.AppendInt(b, value, 10), ',')
		}
	}
	text("actor", r.Actor)
	text("agent", string(r.Agent))
	text("approval", r.Approval)
	number("argsLen", int64(r.ArgsLen))
	text("argsMAC", r.ArgsMAC)
	text("call", string(r.Call))
	if len(r.Detail) > 0 {
		b = append(b, `"detail":{`...)
		for _, name := range slices.Sorted(maps.Keys(r.Detail)) {
			if strings.IndexFunc(name, func(c rune) bool { return c >= utf8.RuneSelf }) >= 0 {
				return nil, false // the standard sorts by UTF-16
			}
			b = append(canon.AppendString(b, name), ':')
			b = append(canon.AppendString(b, r.Detail[name]), ',')
		}
		b[len(b)-1] = '}'
		b = append(b, ',')
	}
	b = append(canon.AppendString(append(b, `"event":`...), string(r.Event)), ',')
	number("micros", r.Micros)
	text("outcome", r.Outcome)
	b = append(canon.AppendString(append(b, `"prev":`...), r.Prev), ',')
	text("rule", r.Rule)
	b = append(strconv.AppendUint(append(b, `"seq":`...), r.Seq, 10), ',')
	text("session", string(r.Session))
	b = append(r.Time.AppendFormat(append(b, `"time":"`...), time.RFC3339Nano), `",`...)
	text("tool", r.Tool)
	text("toolDigest", string(r.ToolDigest))
	text("verdict", r.Verdict)
	b[len(b)-1] = '}'
	return b, utf8.Valid(b)
}

func hashOf(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// record turns e, which redact has been over, into a record without its place in the
// chain.
func (e Entry) record(k *keyFile) Record {
	r := Record{
		Event: e.Event, Actor: e.Actor, Agent: e.Agent, Session: e.Session, Call: e.Call,
		Tool: e.Tool, ToolDigest: e.ToolDigest, Verdict: e.Verdict, Rule: e.Rule,
		Approval: e.Approval, Outcome: e.Outcome, Micros: e.Duration.Microseconds(), Detail: e.Detail,
	}
	if e.Args != nil {
		r.ArgsMAC, r.ArgsLen = k.mac(e.Args), len(e.Args)
	}
	return r
}

// redact makes every text of e what may be stored: redacted, then cut, then valid
// UTF-8. It redacts the whole text before it cuts, so that a cut cannot leave half a
// secret that no longer matches.
func redact(e Entry, r Redactor) Entry {
	text := func(s string) string {
		if r != nil {
			s = r.Redact(s)
		}
		if len(s) > MaxField {
			end := MaxField
			for end > 0 && !utf8.RuneStart(s[end]) {
				end--
			}
			s = s[:end] + "…"
		}
		return strings.ToValidUTF8(s, "\ufffd")
	}
	e.Event = Event(text(string(e.Event)))
	e.Agent, e.Session, e.Call = abi.AgentID(text(string(e.Agent))), abi.SessionID(text(string(e.Session))), abi.CallID(text(string(e.Call)))
	e.ToolDigest = abi.Digest(text(string(e.ToolDigest)))
	for _, field := range []*string{&e.Actor, &e.Tool, &e.Verdict, &e.Rule, &e.Approval, &e.Outcome} {
		*field = text(*field)
	}
	detail := make(map[string]string, len(e.Detail))
	for i, name := range slices.Sorted(maps.Keys(e.Detail)) {
		if i == MaxDetail {
			detail["detail.dropped"] = fmt.Sprint(len(e.Detail) - MaxDetail)
			break
		}
		detail[text(name)] = text(e.Detail[name])
	}
	e.Detail = detail
	return e
}

func withDetail(e Entry, name, value string) Entry {
	e.Detail = maps.Clone(e.Detail)
	if e.Detail == nil {
		e.Detail = map[string]string{}
	}
	e.Detail[name] = value
	return e
}
