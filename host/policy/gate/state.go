package gate

import (
	"slices"
	"strings"

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
	Own       []atom.Text       // … labelled Owner: the owner's own records
	Directory []atom.Text       // the operator's known peers
	Minted    []Minted          // identifiers that the host made for objects of this session
	URLs      []string          // URLs that occur verbatim in one earlier result that their host may see, canonical
	Heard     []Heard           // tainted results, to tell people where a value came from; decides nothing
	Sources   []Content         // private ones, whose bytes are in the context
	Carried   []Content         // what this call alone takes along by handle
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

// Content is what a tool returned, by its label alone. What a call takes along by
// handle counts for the rules about readers and links, and for what is written.
type Content struct {
	Tool  abi.ToolRef
	Label label.Label
}

// Minted is an identifier that a store of the host's own made for an object of this
// session. It names that object to the store's own tools and nothing to others.
type Minted struct {
	Skill abi.SkillName
	ID    atom.Seq
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

	// Fetched says that nothing of ours went into the text: see Fetches. Any other
	// result may repeat what the model told the tool.
	Fetched bool
}

// Heard is a tainted result: whoever wrote it may have chosen what the model does.
type Heard struct {
	Tool   abi.ToolRef
	Label  label.Label
	Values []atom.Atom // that have a form of their own, such as addresses and amounts
}

// Bounds of what tainted results leave behind. Whoever chooses among n addresses of
// one result learns log2 n bits; what is dropped is asked about.
const (
	MaxURLs  = 32   // addresses of one result
	maxURLs  = 1024 // addresses of a session, the latest
	MaxHeard = 32   // results, the latest
	maxTyped = 256  // values of one result
)

// Hear adds one of the owner's own turns: quoted, forwarded and attached parts are
// not the owner's words and must not be passed.
func (s State) Hear(l label.Label, words string) State {
	s.Context = s.Context.Join(l)
	if l.Integrity == label.Owner {
		s.Owner = plus(s.Owner, atom.Read(words))
	}
	return s
}

// Read adds the result of a tool. Only reads vouch: the result of a call with an
// effect echoes its arguments, so a value could launder itself.
func (s State) Read(src Source) State {
	text := atom.Read(src.Text)
	if src.Effect == abi.EffectRead && src.Label.Integrity >= label.Peer {
		s.Vouched = plus(s.Vouched, text)
		if src.Label.Integrity == label.Owner {
			s.Own = plus(s.Own, text)
		}
		if s.Context.Integrity >= label.Peer {
			s.Before = plus(s.Before, text)
		}
	}
	s.Context = s.Context.Join(src.Label)
	values := typed(text)
	readers := src.Label.Readers
	if !src.Fetched {
		readers = s.Context.Readers
	}
	for _, a := range values {
		// What its host may not see may be our own words, written down or repeated, and
		// read back.
		if a.Kind == atom.URL && readers.Contains(PrincipalOf(atom.Seq{a})) {
			s.URLs = plus(s.URLs, a.Value)
		}
	}
	s.URLs = s.URLs[max(0, len(s.URLs)-maxURLs):]
	if src.Label.Integrity < label.Peer {
		s.Heard = plus(s.Heard[max(0, len(s.Heard)-MaxHeard+1):], Heard{src.Tool, src.Label, values})
	}
	for _, id := range src.Minted {
		s.Minted = plus(s.Minted, Minted{src.Tool.Skill, atom.Read(id).Atoms()})
	}
	if c := (Content{src.Tool, src.Label}); !src.Label.Readers.IsPublic() && !slices.Contains(s.Sources, c) {
		s.Sources = plus(s.Sources, c)
	}
	return s
}

// Kept returns src with no more of its text than State.Read makes use of: the form in
// which a source is stored. Reading it has the same effect.
func (src Source) Kept() Source {
	if src.Label.Integrity >= label.Peer {
		return src // it may vouch: each word counts
	}
	var lines []string
	for _, a := range typed(atom.Read(src.Text)) {
		lines = append(lines, a.Value)
	}
	src.Text = strings.Join(lines, "\n")
	return src
}

// plus appends without touching what others share.
func plus[T any](list []T, v T) []T { return append(list[:len(list):len(list)], v) }

// typed returns the distinct values in text that have a form of their own, canonical,
// among them at most MaxURLs addresses.
func typed(text atom.Text) []atom.Atom {
	var out []atom.Atom
	urls := 0
	for _, a := range text.Atoms() {
		switch a.Kind {
		case atom.None, atom.Separator, atom.Word, atom.Quoted, atom.Date:
			continue
		case atom.URL:
			if urls == MaxURLs || slices.Contains(out, a) {
				continue
			}
			urls++
		default:
			if len(out)-urls == maxTyped || slices.Contains(out, a) {
				continue
			}
		}
		out = append(out, a)
	}
	return out
}
