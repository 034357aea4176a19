package install

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Risk says how much a capability or a change can matter. The zero value is the most.
type Risk uint8

// The risks.
const (
	RiskHigh   Risk = iota // leaves the machine, uses a credential, or cannot be undone
	RiskMedium             // bounded by one host or one folder
	RiskLow                // stays with the skill
)

// String returns the word for people.
func (r Risk) String() string {
	switch r {
	case RiskMedium:
		return "medium"
	case RiskLow:
		return "low"
	case RiskHigh:
	}
	return "high"
}

// MarshalText implements encoding.TextMarshaler.
func (r Risk) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// Ask is one capability that a skill asks for, as a person is asked about it.
type Ask struct {
	ID   string `json:"id"`            // http:ORIGIN, http:argument:NAME, secret:NAME, files:MOUNT, flow:FROM…, kv, human
	Text string `json:"text"`          // in plain words
	Why  string `json:"why,omitempty"` // the author's words: not to be trusted
	Risk Risk   `json:"risk"`

	// bounded: what a grant gives of it is all in the grant. What it gives of another, such
	// as a secret, depends on what the manifest says as well.
	bounded bool
	add     func(from, to *abi.Grant) // copies what was asked into a grant
}

// Asks lists what a manifest asks for, one capability each.
func Asks(m *abi.Manifest) []Ask {
	var list []Ask
	for _, n := range m.Needs.HTTP {
		id := httpID(n.Origin, n.Argument)
		if i := slices.IndexFunc(list, func(a Ask) bool { return a.ID == id }); i >= 0 {
			list[i].Text += ", and " + requests(n)
			list[i].Risk = min(list[i].Risk, httpRisk(n))
			continue
		}
		list = append(list, Ask{ID: id, Text: requests(n) + " " + whereTo(n), Why: n.Why, Risk: httpRisk(n), bounded: true, add: func(from, to *abi.Grant) {
			for _, h := range from.Allow.HTTP {
				if httpID(h.Origin, h.Argument) == id {
					to.Allow.HTTP = append(to.Allow.HTTP, h)
				}
			}
		}})
	}
	for _, n := range m.Needs.Secrets {
		var only []string
		for _, o := range n.Only {
			only = append(only, string(o))
		}
		list = append(list, Ask{ID: "secret:" + string(n.Name), Why: n.Why, Risk: RiskHigh,
			Text: fmt.Sprintf("use your secret %q in requests to %s, %s; it never sees the value", n.Name, strings.Join(only, ", "), placed(n.Inject.Injection())),
			add: func(from, to *abi.Grant) {
				to.Allow.Secrets = appendIf(to.Allow.Secrets, from.Allow.Secrets, func(s abi.SecretGrant) bool { return s.Name == n.Name })
			}})
	}
	for _, n := range m.Needs.Files {
		verb, risk := "read the files in", RiskMedium
		if n.Access == abi.AccessWrite {
			verb, risk = "read, change and delete files in", RiskHigh
		}
		list = append(list, Ask{ID: "files:" + n.Mount, Why: n.Why, Risk: risk, bounded: true,
			Text: fmt.Sprintf("%s its folder %s of the agent's workspace", verb, n.Mount) + upTo(n.MaxBytes),
			add: func(from, to *abi.Grant) {
				to.Allow.Files = appendIf(to.Allow.Files, from.Allow.Files, func(f abi.FileGrant) bool { return f.Mount == n.Mount })
			}})
	}
	for _, n := range m.Needs.Flows {
		grant := abi.FlowGrant{From: n.From, To: n.To}
		list = append(list, Ask{ID: "flow:" + grant.String(), Why: n.Why, Risk: RiskHigh,
			Text: fmt.Sprintf("send what it reads in %s to %s", n.From, n.To),
			add: func(from, to *abi.Grant) {
				to.Allow.Flows = appendIf(to.Allow.Flows, from.Allow.Flows, func(f abi.FlowGrant) bool { return f == grant })
			}})
	}
	if n := m.Needs.KV; n != nil {
		list = append(list, Ask{ID: "kv", Why: n.Why, Risk: RiskLow, bounded: true, Text: "keep up to " + n.MaxBytes.String() + " of its own notes between calls",
			add: func(from, to *abi.Grant) { to.Allow.KV = from.Allow.KV }})
	}
	if n := m.Needs.Human; n != nil && n.Ask {
		list = append(list, Ask{ID: "human", Why: n.Why, Risk: RiskMedium, Text: "put questions to you",
			add: func(_, to *abi.Grant) { to.Allow.Human = true }})
	}
	return list
}

func appendIf[T any](to, from []T, want func(T) bool) []T {
	for _, v := range from {
		if want(v) {
			to = append(to, v)
		}
	}
	return to
}

func httpID(origin abi.OriginPattern, argument string) string {
	if argument != "" {
		return "http:argument:" + argument
	}
	return "http:" + string(origin)
}

// requests says in words what is sent.
func requests(n abi.HTTPNeed) string {
	verb := "send requests (" + strings.Join(n.Methods, ", ") + ")"
	if reads(n) {
		verb = "fetch pages (" + strings.Join(n.Methods, ", ") + ")"
	}
	if !slices.Contains(n.Paths, "/**") {
		verb += " below " + strings.Join(n.Paths, " ")
	}
	if n.Auth != "" {
		verb += fmt.Sprintf(" with your secret %q", n.Auth)
	}
	return verb + upTo(n.MaxResponse)
}

// upTo names a size that is asked for; the default needs no words.
func upTo(most abi.Size) string {
	if most == 0 {
		return ""
	}
	return ", up to " + most.String()
}

// placed says where in a request a secret is put.
func placed(i abi.Injection) string {
	switch i.Kind {
	case abi.InjectBearer:
		return "as a bearer token"
	case abi.InjectHeader:
		return fmt.Sprintf("in the header %s as %q", i.Name, cmp.Or(i.Format, "{}"))
	case abi.InjectQuery:
		return fmt.Sprintf("in the address, as its parameter %q", i.Name)
	case abi.InjectBasic:
		return fmt.Sprintf("as the password of %q", i.User)
	}
	return fmt.Sprintf("as %q", i.Kind)
}

func whereTo(n abi.HTTPNeed) string {
	if n.Argument != "" {
		return fmt.Sprintf("at any public address that a call names in its argument %q", n.Argument)
	}
	return "at " + string(n.Origin)
}

func reads(n abi.HTTPNeed) bool {
	return !slices.ContainsFunc(n.Methods, func(m string) bool { return m != "GET" && m != "HEAD" })
}

// httpRisk is high for requests that change something, carry a secret, or go wherever
// an argument or a wildcard says.
func httpRisk(n abi.HTTPNeed) Risk {
	if !reads(n) || n.Auth != "" || n.Argument != "" || strings.Contains(string(n.Origin), "*") {
		return RiskHigh
	}
	return RiskMedium
}

// granted reports whether g gives anything of the capability.
func (a Ask) granted(g *abi.Grant) bool {
	if g == nil {
		return false
	}
	var to abi.Grant
	a.add(g, &to)
	return len(to.Allow.HTTP)+len(to.Allow.Secrets)+len(to.Allow.Files)+len(to.Allow.Flows) > 0 || to.Allow.KV != nil || a.ID == "human" && g.Allow.Human
}
