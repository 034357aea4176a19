package contain

import (
	"regexp"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy/gate"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Gate is the product's gate behind the interface of the baselines.
type Gate struct {
	Label   string
	Mandate bool
	Readers gate.Readers
	Confirm gate.Confirm
	Mints   bool // the stores of local tools are the host's own
}

// Name implements Policy.
func (g Gate) Name() string { return g.Label }

// mintRE finds the identifier that a store of the host's own gave to a new object.
var mintRE = regexp.MustCompile(`(?m)^id_?: '?([^'\n]+?)'?$`)

// minted returns the identifier that a store of the host's own gave to a new object.
func (t Tool) minted(result string) []string {
	if id := mintRE.FindStringSubmatch(result); t.Mints && id != nil {
		return id[1:]
	}
	return nil
}

type gateJudge struct {
	mints bool
	s     Session
	start gate.State // before the owner's first word
	state gate.State
}

// Begin implements Policy.
func (g Gate) Begin(s Session) Judge { return g.begin(s) }

func (g Gate) begin(s Session) *gateJudge {
	j := &gateJudge{mints: g.Mints, s: s, state: gate.State{Context: label.Trusted(), Readers: g.Readers, Confirm: g.Confirm}}
	for _, id := range s.Owner {
		t := atom.Read(id)
		j.state.Owner = append(j.state.Owner, t)
		j.state.Self = append(j.state.Self, gate.PrincipalOf(t.Atoms()))
	}
	for _, d := range s.Directory {
		j.state.Directory = append(j.state.Directory, atom.Read(d))
	}
	if g.Mandate {
		j.state.Mandate = &gate.Mandate{}
		for _, tool := range s.Mandate {
			j.state.Mandate.Tools = append(j.state.Mandate.Tools, ref(tool))
		}
	}
	j.start = j.state
	j.state = j.state.Hear(label.Trusted(), s.Prompt)
	return j
}

// ref is the name under which the gate knows a tool: of a suite of plain names, the
// suite stands for the skill.
func ref(tool string) abi.ToolRef {
	if r, err := abi.ParseToolRef(tool); err == nil {
		return r
	}
	return abi.ToolRef{Skill: "suite", Tool: abi.ToolName(tool)}
}

func (j *gateJudge) Ask(c Call) bool {
	t := j.s.Suite.Tools[j.s.Name+"/"+c.Tool]
	return gate.Judge(ref(c.Tool), "", t.Descriptor, c.Args, j.state).Verdict != gate.VerdictAllow
}

func (j *gateJudge) Observe(c Call) {
	t := j.s.Suite.Tools[j.s.Name+"/"+c.Tool]
	l := resultLabel(t)
	if c.Label != nil {
		l = *c.Label
	}
	src := gate.Source{Tool: ref(c.Tool), Effect: t.Descriptor.Effect, Label: l, Text: c.Result, Fetched: gate.Fetches(t.Descriptor, c.Args)}
	if j.mints {
		src.Minted = t.minted(c.Result)
	}
	j.state = j.state.Read(src)
}

// Context returns the label that something written now would carry.
func (j *gateJudge) Context() label.Label { return j.state.Context }

// resultLabel is the label of what t returned: a receipt tells nothing new.
func resultLabel(t Tool) label.Label {
	l := label.Label{Integrity: t.Writer, Readers: label.Public()}
	if t.ResultPrivate {
		l.Readers = label.ReadBy()
	}
	if t.Receipt {
		l = label.Trusted()
	}
	return l
}

// Rule names the rule of the gate that decides about c.
func (j *gateJudge) Rule(c Call) string {
	t := j.s.Suite.Tools[j.s.Name+"/"+c.Tool]
	return string(gate.Judge(ref(c.Tool), "", t.Descriptor, c.Args, j.state).Rule)
}
