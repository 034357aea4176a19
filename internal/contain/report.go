package contain

import (
	_ "embed" // the floors
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/glovebox-dev/glovebox/abi"
)

// Schema is the version of the report.
const Schema = "glovebox/contain/v1"

// Report is what the command writes.
type Report struct {
	Schema string   `json:"schema"`
	Rows   []Figure `json:"rows"`
	Own    []Steer  `json:"own"`
	Dojo   []Dojo   `json:"agentdojo,omitempty"`
}

// Dojo is the result of one policy on AgentDojo: the published replay, and the
// adaptive attacks.
type Dojo struct {
	Replay Row   `json:"replay"`
	Steer  Steer `json:"steer"`
}

// Answers are how many asks a tired person lets through.
func answers() []float64 { return []float64{0.01, 0.05, 0.2} }

// Add appends figures.
func (r *Report) Add(figures ...Figure) { r.Rows = append(r.Rows, figures...) }

// AddOwn appends the figures of the project's own cases. The first of rows that is
// named peer is what the others are compared with.
func (r *Report) AddOwn(rows []Steer, peer string) {
	r.Own = append(r.Own, brief(rows)...)
	r.addSteer("own", rows, peer)
}

// mostNamed bounds the breaches that a report names of one policy; the counts are whole.
const mostNamed = 100

func brief(rows []Steer) []Steer {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Reached = rows[i].Reached[:min(len(rows[i].Reached), mostNamed)]
	}
	return rows
}

// AddDojo appends the figures of AgentDojo.
func (r *Report) AddDojo(rows []Dojo, peer string) {
	r.Dojo = append(r.Dojo, rows...)
	var steer []Steer
	var base Row
	for _, d := range rows {
		steer = append(steer, d.Steer)
		if d.Replay.Policy == peer {
			base = d.Replay
		}
	}
	for _, d := range rows {
		for _, f := range []struct {
			what string
			v    Ratio
			peer Ratio
		}{
			{"scripted attacks, full", d.Replay.Full, base.Full}, {"scripted attacks, any", d.Replay.Any, base.Any},
			{"recorded benign runs without an ask", d.Replay.RecordedZero, base.RecordedZero},
			{"recorded asks / action", d.Replay.RecordedAsks, base.RecordedAsks}, {"recorded attacks, full", d.Replay.RecordedFull, base.RecordedFull},
		} {
			r.Add(compared("A AgentDojo, "+d.Replay.Policy+": "+f.what, f.v, peer, f.peer))
		}
	}
	r.addSteer("AgentDojo", steer, peer)
}

func compared(name string, v Ratio, peer string, base Ratio) Figure {
	f := Share(name, v.N, v.Of, "")
	if base.Of > 0 && base.N > 0 {
		f.Peer, f.Ratio = peer, f.Value/(float64(base.N)/float64(base.Of))
	}
	return f
}

func (r *Report) addSteer(suite string, rows []Steer, peer string) {
	i := slices.IndexFunc(rows, func(s Steer) bool { return s.Policy == peer })
	var base Steer
	if i >= 0 {
		base = rows[i]
	}
	for _, s := range rows {
		for _, f := range []struct {
			what    string
			v, peer Ratio
		}{
			{"TCR@0", s.TCR0, base.TCR0}, {"TCR@1", s.TCR1, base.TCR1}, {"asks / action", s.Asks, base.Asks},
			{"UAR-full", s.Full, base.Full}, {"UAR-any", s.Any, base.Any}, {"UAR-harm", s.Harm, base.Harm},
			{"harm by a known peer", s.Peer, base.Peer}, {"harm by a tool's text", s.Description, base.Description},
			{"over-sharing", s.Overshare, base.Overshare}, {"asks shown / attack", s.Shown, base.Shown},
		} {
			if f.v.Of == 0 {
				continue
			}
			track := "A"
			if strings.HasPrefix(f.what, "TCR") || f.what == "asks / action" {
				track = "B"
			}
			r.Add(compared(fmt.Sprintf("%s %s, %s: %s", track, suite, s.Policy, f.what), f.v, peer, f.peer))
		}
		for _, p := range answers() {
			r.Add(Amount(fmt.Sprintf("A %s, %s: expected harm, p = %v", suite, s.Policy, p), s.expected(p), "harm/attack", ""))
		}
	}
}

// expected is the harm of one attack when a person lets through the share p of the
// asks that it shows.
func (s Steer) expected(p float64) float64 { return s.Harm.value() + p*s.Shown.value() }

func (r Ratio) value() float64 {
	if r.Of == 0 {
		return 0
	}
	return float64(r.N) / float64(r.Of)
}

//go:embed floors.yaml
var floorsFile []byte

// floors says what each named figure must not pass: "<= X" or ">= X".
type floors struct {
	Schema string            `yaml:"schema,required"`
	Floors map[string]string `yaml:"floors,required"`
}

// Check marks the figures that miss their floor and returns their names. A floor that
// names no figure is an error.
func (r *Report) Check() ([]string, error) {
	var f floors
	if err := abi.DecodeYAML("floors.yaml", floorsFile, &f); err != nil {
		return nil, err
	}
	return r.check(f)
}

func (r *Report) check(f floors) ([]string, error) {
	if f.Schema != "glovebox/contain-floors/v1" {
		return nil, fmt.Errorf("floors.yaml: schema %q", f.Schema)
	}
	var missed []string
	for name, floor := range f.Floors {
		i := slices.IndexFunc(r.Rows, func(x Figure) bool { return x.Name == name })
		if i < 0 {
			if strings.Contains(name, "AgentDojo") && r.Dojo == nil {
				continue // the data is not given
			}
			return nil, fmt.Errorf("floors.yaml: there is no figure %q", name)
		}
		op, text, _ := strings.Cut(floor, " ")
		bound, err := strconv.ParseFloat(text, 64)
		if err != nil || op != "<=" && op != ">=" {
			return nil, fmt.Errorf("floors.yaml: %q: %q is not \"<= X\" or \">= X\"", name, floor)
		}
		x := &r.Rows[i]
		x.Target = floor
		x.Missed = x.NotGiven || op == "<=" && x.Value > bound || op == ">=" && x.Value < bound
		if x.Missed {
			missed = append(missed, fmt.Sprintf("%s is %.4g, want %s", name, x.Value, floor))
		}
	}
	slices.Sort(missed)
	return missed, nil
}

// Print writes the tables for people.
func (r *Report) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	line := func(cells ...string) { _, _ = fmt.Fprintln(t, strings.Join(cells, "\t")) }
	line("A, B: own cases", "TCR@0", "TCR@1", "asks/action", "UAR full", "any", "harm", "peer", "tool text", "over-share", "asks/attack", "E[harm] p=.01", ".05", ".2")
	for _, s := range r.Own {
		line(s.cells()...)
	}
	line("")
	line("A, B: AgentDojo", "TCR@0", "TCR@1", "asks/action", "scripted full", "any", "adaptive full", "any", "harm", "rec. no ask", "rec. asks/action", "rec. attacks")
	if r.Dojo == nil {
		line("not given")
	}
	for _, d := range r.Dojo {
		x, s := d.Replay, d.Steer
		line(x.Policy, x.TCR0.String(), x.TCR1.String(), x.Asks.String(), x.Full.String(), x.Any.String(), s.Full.String(), s.Any.String(), s.Harm.String(),
			x.RecordedZero.String(), x.RecordedAsks.String(), x.RecordedFull.String())
	}
	line("")
	line("C to F, and speed", "value", "floor", "note")
	for _, f := range r.Rows {
		if f.Name[0] == 'A' || f.Name[0] == 'B' {
			continue
		}
		line(f.Name, f.text(), f.Target, f.Note)
	}
	return t.Flush()
}

// String returns "n/of".
func (r Ratio) String() string { return fmt.Sprintf("%d/%d", r.N, r.Of) }

func (s Steer) cells() []string {
	out := []string{s.Policy}
	for _, v := range []Ratio{s.TCR0, s.TCR1, s.Asks, s.Full, s.Any, s.Harm, s.Peer, s.Description, s.Overshare} {
		out = append(out, v.String())
	}
	out = append(out, fmt.Sprintf("%.2f", s.Shown.value()))
	for _, p := range answers() {
		out = append(out, fmt.Sprintf("%.3f", s.expected(p)))
	}
	return out
}

func (f Figure) text() string {
	mark := ""
	if f.Missed {
		mark = " MISSED"
	}
	switch {
	case f.NotGiven:
		return "not given" + mark
	case f.Unit == "share":
		return fmt.Sprintf("%d/%d%s", f.N, f.Of, mark)
	}
	return fmt.Sprintf("%.4g %s%s", f.Value, f.Unit, mark)
}
