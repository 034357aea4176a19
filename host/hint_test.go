package host

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/host/admin"
	"github.com/glovebox-dev/glovebox/host/audit"
	"github.com/glovebox-dev/glovebox/internal/leaks"
)

// TestUnknownSecretIsHintedAtAndDecidesNothing holds in builds with and without rules.
func TestUnknownSecretIsHintedAtAndDecidesNothing(t *testing.T) {
	t.Parallel()
	var log lines
	f := newFixture(t, func(c *Config) { c.Log = log.handler(slog.LevelDebug) })
	f.plant()
	unknown := "ghp" + "_" + "q8WnE3rTy5UiO1pAs7DfG4hJk6LzX2cVb9Nm"
	say := func(words string) admin.ChatReply {
		f.model.call("calc.evaluate", `{"expression":"1+1"}`)
		reply, err := f.Chat(t.Context(), admin.ChatRequest{Message: words + ": what is 1+1?", Session: "s"}, nil)
		if err != nil || len(reply.Calls) != 1 || reply.Calls[0].Outcome != "ok" {
			t.Fatalf("%+v, error %v", reply, err)
		}
		return reply
	}
	for name, words := range map[string]string{"nothing": "good morning", "a stored secret": "my key is " + planted} {
		if notes := say(words).Notes; notes != nil {
			t.Errorf("%s: notes %q", name, notes)
		}
	}
	notes := strings.Join(say("my key is "+unknown).Notes, "\n")
	f.log.Warn("failed with "+unknown, "url", "https://example.org/?k="+unknown)
	if _, err := f.ledger.Append(t.Context(), audit.Entry{Event: "host.test", Actor: "host", Durable: true, Detail: map[string]string{"text": unknown}}); err != nil {
		t.Fatal(err)
	}
	if err := f.Start(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.server.Shutdown(t.Context()) }()
	status, err := f.Status(t.Context())
	if err != nil || status.Hints != leaks.Available() {
		t.Errorf("status says %v, error %v", status.Hints, err)
	}
	if len(f.Warnings()) != 0 && strings.Contains(strings.Join(f.Warnings(), "\n"), "approval clear") {
		t.Errorf("a guess marked the conversation: %q", f.Warnings())
	}
	if !leaks.Available() {
		if notes != "" || f.events("guard.hint") != 0 {
			t.Errorf("hints without rules: %q", notes)
		}
		return
	}
	if !strings.Contains(notes, "github-pat") || !strings.Contains(notes, hintFix) {
		t.Errorf("notes %q", notes)
	}
	if f.events("guard.hint", "github-pat", hintFix) != 1 || f.events("guard.hint") != 1 {
		t.Error("want one record of the hint")
	}
	if strings.Contains(notes+log.String(), unknown) || f.events(unknown) != 0 || f.events("host.test", "[hidden: github-pat]") != 1 || strings.Count(log.String(), "[hidden: github-pat]") != 2 {
		t.Errorf("the value in %d records, hidden in %d, or in:\n%s\n%s", f.events(unknown), f.events("host.test", "[hidden: github-pat]"), notes, log.String())
	}
	f.verify()
}
