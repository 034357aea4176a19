package gate

import (
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// A mandate lets private bytes flow to whom the owner named, and to nobody whom only
// the directory, a trusted result or a peer names.
func TestMandateIsForWhomTheOwnerNamed(t *testing.T) {
	t.Parallel()
	peer := label.Label{Integrity: label.Peer, Readers: label.ReadBy()}
	for _, tt := range []struct {
		name      string
		prompt    string
		directory string
		contacts  string // the owner's, read before the mail
		of        label.Label
		to        string
		want      Rule
	}{
		{name: "the address in the owner's words", prompt: "write to bob@corp.example", to: "bob@corp.example", want: RuleEndorsed},
		{name: "the address in the directory alone", prompt: "write to them", directory: "Bob Roe <bob@corp.example>", to: "bob@corp.example", want: RuleReaders},
		{name: "the address in contacts alone", prompt: "write to them", contacts: "- email: bob@corp.example\n  name: Bob Roe", of: ownData, to: "bob@corp.example", want: RuleReaders},
		{name: "a known peer by full name", prompt: "write to Bob Roe", directory: "Bob Roe <bob@corp.example>", to: "bob@corp.example", want: RuleEndorsed},
		{name: "a known peer by given name", prompt: "write to Bob", directory: "Bob Roe <bob@corp.example>", to: "bob@corp.example", want: RuleEndorsed},
		{name: "one of two peers of that name", prompt: "write to Bob", directory: "Bob Roe <bob@corp.example>, Bob Fox <bob@fox.example>", to: "bob@fox.example", want: RuleReaders},
		{name: "a peer whose name is part of another's", prompt: "write to Bob Roe", directory: "Bob Roe <bob@corp.example>, Bob Roe Smith <roe@smith.example>", to: "bob@corp.example", want: RuleReaders},
		{name: "a contact by full name", prompt: "write to Bob Roe", contacts: `[{"name":"Bob Roe","email":"bob@corp.example"}]`, of: ownData, to: "bob@corp.example", want: RuleEndorsed},
		{name: "a contact by given name: whoever is in a list is many", prompt: "write to Bob", contacts: `[{"name":"Bob Roe","email":"bob@corp.example"}]`, of: ownData, to: "bob@corp.example", want: RuleReaders},
		{name: "two contacts of that name", prompt: "write to Bob Roe", contacts: `[{"name":"Bob Roe","email":"bob@corp.example"},{"name":"Bob Roe","email":"bob@fox.example"}]`, of: ownData, to: "bob@corp.example", want: RuleReaders},
		{name: "a contact with two addresses", prompt: "write to Bob Roe", contacts: `[{"name":"Bob Roe","email":"bob@corp.example","other":"bob@fox.example"}]`, of: ownData, to: "bob@corp.example", want: RuleReaders},
		{name: "a name that a peer gave to an address", prompt: "write to Bob Roe", contacts: "Bob Roe <bob@corp.example>", of: peer, to: "bob@corp.example", want: RuleReaders},
		{name: "a contact against what a peer says", prompt: "write to Bob Roe", directory: "Bob Roe <bob@fox.example>", contacts: "Bob Roe <bob@corp.example>", of: peer, to: "bob@fox.example", want: RuleReaders},
		{name: "a contact that a stranger planted", prompt: "write to Bob Roe", contacts: "Bob Roe <bob@corp.example>", of: private, to: "bob@corp.example", want: RuleProvenance},
		{name: "a chat of many words", prompt: "write to them", directory: "the garden", to: "the garden", want: RuleReaders},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := owner(tt.prompt).mandate("mail.search", "mail.send", "contacts")
			if tt.directory != "" {
				s.Directory = []atom.Text{atom.Read(tt.directory)}
			}
			if tt.contacts != "" {
				s = s.Read(Source{Tool: tool("contacts"), Effect: abi.EffectRead, Label: tt.of, Text: tt.contacts})
			}
			s = s.saw("mail.search", private, "Bob Roe <mallory@evil.example>, Bob Roe <bob@corp.example>")
			if j := Judge(tool("mail.send"), "", descriptors()["mail.send"], map[string]any{"to": tt.to, "body": "x"}, s); j.Rule != tt.want {
				t.Errorf("%v by %s, want %s; %+v", j.Verdict, j.Rule, tt.want, j.Flows)
			}
		})
	}
}
