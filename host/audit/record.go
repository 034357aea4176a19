package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// encode returns the canonical JSON of r and its SHA-256 in hex.
func encode(r Record) (body []byte, hash string, err error) {
	body, err = canon.Marshal(r)
	if err != nil {
		return nil, "", fmt.Errorf("audit record: %w", err)
	}
	return body, hashOf(body), nil
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
