package audit

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/canon"
)

// TestFastEncodingIsTheCanonicalOne compares the two ways to write a record: a chain
// that one of them wrote is read by the other.
func TestFastEncodingIsTheCanonicalOne(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.StringMatching(`[ -~\n\t\x{7f}-\x{9f}\x{2028}<>&"\\]{0,20}`))
		zone := rapid.SampledFrom([]*time.Location{time.UTC, time.FixedZone("x", 3600)}).Draw(t, "zone")
		r := Record{
			Seq: rapid.OneOf(rapid.Uint64Range(0, 1<<53), rapid.Uint64()).Draw(t, "seq"), Prev: text.Draw(t, "prev"), Event: Event(text.Draw(t, "event")),
			Time:  time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).In(zone),
			Actor: text.Draw(t, "actor"), Agent: abi.AgentID(text.Draw(t, "agent")), Session: abi.SessionID(text.Draw(t, "session")),
			Call: abi.CallID(text.Draw(t, "call")), Tool: text.Draw(t, "tool"), ToolDigest: abi.Digest(text.Draw(t, "digest")),
			ArgsMAC: text.Draw(t, "mac"), ArgsLen: rapid.IntRange(0, 1<<20).Draw(t, "len"), Verdict: text.Draw(t, "verdict"), Rule: text.Draw(t, "rule"),
			Approval: text.Draw(t, "approval"), Outcome: text.Draw(t, "outcome"), Micros: rapid.OneOf(rapid.Int64Range(-1, 1<<40), rapid.Int64()).Draw(t, "micros"),
			Detail: rapid.MapOfN(text, text, 0, 4).Draw(t, "detail"),
		}
		got, ok := appendRecord(nil, r)
		if !ok {
			return
		}
		want, err := canon.Marshal(r)
		if err != nil || string(got) != string(want) {
			t.Fatalf("%s\n%s\n%v", got, want, err)
		}
	})
	if _, ok := appendRecord(nil, Record{Seq: 7, Time: time.Now().UTC(), Event: EventIntent, Prev: "ab", Detail: map[string]string{"class": "read"}}); !ok {
		t.Error("an ordinary record takes the slow way")
	}
}
