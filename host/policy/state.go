package policy

import (
	"slices"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// State is what one session has seen: the facts that the gate judges by. It is set
// by the host at each source and only falls. The zero State is tainted and knows no
// word of the owner.
type State struct {
	Context   label.Label       // join of all labels that have entered the model's context
	Owner     []atom.Text       // the owner's own turns and identities
	Before    []atom.Text       // results of reads while the context was not tainted
	Vouched   []atom.Text       // results of reads labelled Peer or better, whenever read
	Directory []atom.Text       // the operator's known peers
	Minted    []atom.Seq        // identifiers that the host made for objects of this session
	URLs      []string          // URLs that occur verbatim in one earlier result that anybody may see, canonical
	Sources   []abi.ToolRef     // private sources whose bytes are in the context
	Heard     []Heard           // tainted results, to tell people where a value came from; decides nothing
	Mandate   *Mandate          // nil: none was fixed
	Endorsed  []Endorsement     // by a person
	Self      []label.Principal // the owner's own identities, as recipients
	Confirm   Confirm           // zero: every irreversible call asks
	Readers   Readers           // zero: private bytes need a mandate to flow
}

// Mandate is the set of tools, and with them private sources, that a session was
// opened for. It is fixed while the context is clean and frozen from then on.
type Mandate struct {
	Tools []abi.ToolRef
}

// Endorsement is a person's word for one value of one argument.
type Endorsement struct {
	Tool     abi.ToolRef
	Digest   abi.Digest
	Argument string
	Value    atom.Seq
}

// Confirm says whether irreversible calls that the rules admit ask all the same.
type Confirm uint8

// The settings of confirm.
const (
	ConfirmDestructive Confirm = iota // the default
	ConfirmByRules                    // an endorsed irreversible call runs
)

// Readers says when private bytes may flow to a recipient who was named but is not
// known as a reader.
type Readers uint8

// The settings of readers.
const (
	ReadersMandated Readers = iota // only what the mandate holds; the default
	ReadersNamed                   // to whoever a trusted source named
)

// Source is one thing that entered the context.
type Source struct {
	Tool   abi.ToolRef
	Effect abi.Effect
	Label  label.Label
	Text   string
	Minted []string // identifiers in the result that the host itself made
}

// Heard is a tainted result: whoever wrote it may have chosen what the model does.
type Heard struct {
	Tool  abi.ToolRef
	Label label.Label
	Text  atom.Text
}

// MaxHeard is how many tainted results a session remembers, the latest ones.
const MaxHeard = 32

// MaxURLs bounds the addresses that one tainted result can offer: whoever chooses
// among n of them learns log2 n bits.
const MaxURLs = 32

// Hear adds one of the owner's own turns: quoted, forwarded and attached parts are
// not the owner's words and must not be passed.
func (s State) Hear(l label.Label, words string) State {
	s.Context = s.Context.Join(l)
	if l.Integrity == label.Owner {
		s.Owner = append(s.Owner[:len(s.Owner):len(s.Owner)], atom.Read(words))
	}
	return s
}

// Read adds the result of a tool. Only reads vouch: the result of a call with an
// effect echoes its arguments, so a value could launder itself.
func (s State) Read(src Source) State {
	text := atom.Read(src.Text)
	if src.Effect == abi.EffectRead && src.Label.Integrity >= label.Peer {
		s.Vouched = append(s.Vouched[:len(s.Vouched):len(s.Vouched)], text)
		if s.Context.Integrity >= label.Peer {
			s.Before = append(s.Before[:len(s.Before):len(s.Before)], text)
		}
	}
	s.Context = s.Context.Join(src.Label)
	if src.Label.Readers.IsPublic() { // what is private may be our own words, written down and read back
		s.URLs = append(s.URLs[:len(s.URLs):len(s.URLs)], addresses(text)...)
	}
	if src.Label.Integrity < label.Peer {
		s.Heard = append(slices.Clone(s.Heard[max(0, len(s.Heard)-MaxHeard+1):]), Heard{src.Tool, src.Label, text})
	}
	for _, id := range src.Minted {
		s.Minted = append(s.Minted[:len(s.Minted):len(s.Minted)], atom.Read(id).Atoms())
	}
	if !src.Label.Readers.IsPublic() {
		s.Sources = append(s.Sources[:len(s.Sources):len(s.Sources)], src.Tool)
	}
	return s
}

// addresses returns the URLs that occur verbatim in text, canonical, at most MaxURLs.
func addresses(text atom.Text) []string {
	var out []string
	for _, a := range text.Atoms() {
		if a.Kind == atom.URL && len(out) < MaxURLs && !slices.Contains(out, a.Value) {
			out = append(out, a.Value)
		}
	}
	return out
}
