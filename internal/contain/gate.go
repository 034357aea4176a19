package contain

import (
	"regexp"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/policy"
	"github.com/glovebox-dev/glovebox/internal/atom"
	"github.com/glovebox-dev/glovebox/internal/label"
)

// Gate is the product's gate behind the interface of the baselines.
type Gate struct {
	Label   string
	Mandate bool
	Readers policy.Readers
	Confirm policy.Confirm
	Mints   bool // the stores of local tools are the host's own
}

// Name implements Policy.
func (g Gate) Name() string { return g.Label }

// mintRE finds the identifier that a store of the host's own gave to a new object.
var mintRE = regexp.MustCompile(`(?m)^id_: '([^']+)'$`)

type gateJudge struct {
	mints bool
	s     Session
	state policy.State
}

// Begin implements Policy.
func (g Gate) Begin(s Session) Judge {
	j := &gateJudge{mints: g.Mints, s: s, state: policy.State{Context: label.Trusted(), Readers: g.Readers, Confirm: g.Confirm}}
	for _, id := range s.Owner {
		t := atom.Read(id)
		j.state.Owner = append(j.state.Owner, t)
		j.state.Self = append(j.state.Self, policy.PrincipalOf(t.Atoms()))
	}
	for _, d := range s.Directory {
		j.state.Directory = append(j.state.Directory, atom.Read(d))
	}
	j.state = j.state.Hear(label.Trusted(), s.Prompt)
	if g.Mandate {
		j.state.Mandate = &policy.Mandate{}
		for _, tool := range s.Mandate {
			j.state.Mandate.Tools = append(j.state.Mandate.Tools, ref(tool))
		}
	}
	return j
}

func ref(tool string) abi.ToolRef { return abi.ToolRef{Skill: "suite", Tool: abi.ToolName(tool)} }

// Describe derives a tool's descriptor from its declared effects by rule.
func Describe(t Tool) abi.Descriptor {
	d := abi.Descriptor{Name: abi.ToolName(t.Name), Effect: abi.EffectRead, Args: map[string]abi.Role{}}
	switch {
	case t.Name == "create_file" || t.Name == "append_to_file":
		d.Effect = abi.EffectLocal
	case t.Irreversible:
		d.Effect = abi.EffectIrreversible
	case t.Consequential:
		d.Effect = abi.EffectEgress
	}
	for _, name := range []string{"subject", "body", "title", "description", "location", "content", "start_time", "end_time", "new_start_time", "new_end_time", "date", "filename", "recurring", "permission"} {
		d.Args[name] = abi.RoleContent
	}
	for _, name := range t.ControlArgs {
		d.Args[name] = abi.RoleControl
	}
	for _, name := range recipientArgs(t.Name) {
		d.Recipients = append(d.Recipients, "/"+name)
	}
	return d
}

func recipientArgs(tool string) []string {
	switch tool {
	case "send_email":
		return []string{"recipients", "cc", "bcc"}
	case "create_calendar_event", "add_calendar_event_participants":
		return []string{"participants"}
	case "share_file":
		return []string{"email"}
	case "send_money", "schedule_transaction", "update_scheduled_transaction":
		return []string{"recipient"}
	}
	return nil
}

func (j *gateJudge) Ask(c Call) bool {
	t := j.s.Suite.Tools[j.s.Name+"/"+c.Tool]
	return policy.Judge(ref(c.Tool), "", Describe(t), c.Args, j.state).Verdict != policy.VerdictAllow
}

func (j *gateJudge) Observe(c Call) {
	t := j.s.Suite.Tools[j.s.Name+"/"+c.Tool]
	l := label.Trusted()
	if t.ResultUntrusted {
		l.Integrity = label.Tainted
	}
	if t.ResultPrivate {
		l.Readers = label.ReadBy()
	}
	src := policy.Source{Tool: ref(c.Tool), Effect: Describe(t).Effect, Label: l, Text: c.Result}
	if id := mintRE.FindStringSubmatch(c.Result); j.mints && src.Effect == abi.EffectLocal && id != nil {
		src.Minted = []string{id[1]}
	}
	j.state = j.state.Read(src)
}
