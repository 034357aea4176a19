package install

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/abitest"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/signature"
	"github.com/glovebox-dev/glovebox/skills/signature/signtest"
)

// consenting is a store with two publishers of one name.
type consenting struct {
	*testing.T
	store *Store
	gate  *Gate
	keys  map[string]*signtest.KeyPair
}

func newConsenting(t *testing.T) *consenting {
	t.Helper()
	state, err := config.OpenState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	c := &consenting{T: t, store: OpenStore(state), keys: map[string]*signtest.KeyPair{"acme": signtest.Key(t), "globex": signtest.Key(t)}}
	var all []signature.Publisher
	for name, k := range c.keys {
		all = append(all, k.Publisher(name, "parcel"))
	}
	c.gate = gate(t, nil, all...)
	return c
}

// plan prepares the installation of a version that publisher signed.
func (c *consenting) plan(publisher, version string, opt Options, change func(*abi.Compiled)) *Plan {
	c.Helper()
	m := parcel(change)
	m.Manifest.Version = version
	b := put(c, m, abitest.MCPv2(), none(c))
	a, err := artifact.Manifest(b)
	if err != nil {
		c.Fatal(err)
	}
	grant, err := c.grant()
	if err != nil {
		c.Fatal(err)
	}
	p, err := c.store.Prepare(c.Context(), c.gate, Offer{a, [][]byte{sign(c, b, c.keys[publisher])}, "x"}, grant, Known{Now: now}, opt)
	if err != nil {
		c.Fatal(err)
	}
	c.Cleanup(p.Release)
	return p
}

func (c *consenting) grant() (*abi.Grant, error) {
	path := c.store.GrantFile("parcel")
	if _, err := os.Stat(path); err != nil {
		return nil, nil
	}
	return readGrantFile(path)
}

// commit consents to ids, and puts the plan into use.
func (c *consenting) commit(p *Plan, ids ...string) *abi.Grant {
	c.Helper()
	g, err := p.Grant(ids, []abi.AgentID{"main"})
	if err == nil {
		err = p.Commit(c.store, g, c.grant)
	}
	if err != nil {
		c.Fatal(err)
	}
	return g
}

func withToken(only ...abi.Origin) func(*abi.Compiled) {
	return func(c *abi.Compiled) {
		n := &c.Manifest.Needs
		n.HTTP[0].Auth = "token"
		n.Secrets = []abi.SecretNeed{{Name: "token", Inject: abi.InjectSpec{Bearer: true}, Only: only}}
		for _, o := range only[1:] {
			n.HTTP = append(n.HTTP, abi.HTTPNeed{Origin: abi.OriginPattern(o), Methods: []string{"GET"}, Paths: []string{"/**"}, Auth: "token"})
		}
	}
}

const parcelHTTP = "http:https://api.parcel.example"

// TestConsentIsNotInherited says yes once, and no to what comes after it: nothing that
// was refused holds because something of that name held before.
func TestConsentIsNotInherited(t *testing.T) {
	t.Parallel()
	t.Run("a secret is sent to more hosts", func(t *testing.T) {
		t.Parallel()
		c := newConsenting(t)
		c.commit(c.plan("acme", "1.0.0", Options{}, withToken("https://api.parcel.example")), parcelHTTP, "secret:token")
		g := c.commit(c.plan("acme", "1.1.0", Options{}, withToken("https://api.parcel.example", "https://evil.example")), "http:https://evil.example")
		if len(g.Allow.Secrets) != 0 {
			t.Errorf("the secret is still granted, and goes to where nobody consented to: %+v", g.Allow)
		}
		if len(g.Allow.HTTP) != 2 {
			t.Errorf("what was asked as before, or was consented to, is not granted: %+v", g.Allow.HTTP)
		}
	})
	t.Run("a secret is put elsewhere into a request", func(t *testing.T) {
		t.Parallel()
		c := newConsenting(t)
		c.commit(c.plan("acme", "1.0.0", Options{}, withToken("https://api.parcel.example")), parcelHTTP, "secret:token")
		p := c.plan("acme", "1.1.0", Options{}, func(m *abi.Compiled) {
			withToken("https://api.parcel.example")(m)
			m.Manifest.Needs.Secrets[0].Inject = abi.InjectSpec{Query: "q"}
		})
		if len(p.Pending()) != 1 || p.Pending()[0].ID != "secret:token" {
			t.Errorf("nobody is asked: %+v", p.Pending())
		}
		if g := c.commit(p); len(g.Allow.Secrets) != 0 {
			t.Errorf("the secret is still granted: %+v", g.Allow)
		}
	})
	t.Run("another publisher takes over", func(t *testing.T) {
		t.Parallel()
		c := newConsenting(t)
		c.commit(c.plan("acme", "1.0.0", Options{}, nil), parcelHTTP)
		p := c.plan("globex", "1.1.0", Options{OtherOwner: true}, nil)
		if len(p.Pending()) != 1 {
			t.Errorf("nobody is asked whether the other publisher may: %+v", p.Granted)
		}
		if g := c.commit(p); len(g.Allow.HTTP) != 0 {
			t.Errorf("the other publisher inherits %+v", g.Allow)
		}
	})
	t.Run("removed and installed again", func(t *testing.T) {
		t.Parallel()
		c := newConsenting(t)
		c.commit(c.plan("acme", "1.0.0", Options{}, nil), parcelHTTP)
		if _, err := c.store.Remove("parcel"); err != nil {
			t.Fatal(err)
		}
		p := c.plan("acme", "1.0.0", Options{}, nil)
		if len(p.Pending()) != 1 {
			t.Errorf("nobody is asked: %+v", p.Granted)
		}
		if g := c.commit(p); len(g.Allow.HTTP) != 0 {
			t.Errorf("what was removed is granted again: %+v", g.Allow)
		}
	})
	t.Run("a grant that was written before", func(t *testing.T) {
		t.Parallel()
		c := newConsenting(t)
		m := parcel(nil).Manifest
		before := m.AsGrant()
		before.Agents = []abi.AgentID{"main"}
		text, err := abi.EncodeGrant(before)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.store.WriteGrant("parcel", text); err != nil {
			t.Fatal(err)
		}
		if g := c.commit(c.plan("acme", "1.0.0", Options{}, nil)); len(g.Allow.HTTP) != 0 {
			t.Errorf("granted without a yes: %+v", g.Allow)
		}
	})
}

// TestEveryDifferenceIsShown changes one thing at a time that decides what a skill may
// do, what the gate asks or what a model reads: none of it goes unseen.
func TestEveryDifferenceIsShown(t *testing.T) {
	t.Parallel()
	wide, long, text := abi.Size(256*abi.MiB), abi.Duration(time.Minute), "https://evil.example"
	base := func(c *abi.Compiled) {
		n := &c.Manifest.Needs
		n.Secrets = []abi.SecretNeed{{Name: "token", Inject: abi.InjectSpec{Bearer: true}, Only: []abi.Origin{"https://api.parcel.example"}}}
		n.Files = []abi.FileNeed{{Mount: "/data", Access: abi.AccessWrite}}
		n.KV = &abi.KVNeed{MaxBytes: 1024}
		n.Config = []abi.ConfigNeed{{Key: "region"}}
		c.Manifest.Strict = true
		c.Manifest.Tools[0].Recipients = []string{"/q"}
	}
	for name, change := range map[string]func(*abi.Compiled){
		"a host":                   func(c *abi.Compiled) { c.Manifest.Needs.HTTP[0].Origin = "https://*.example" },
		"methods":                  func(c *abi.Compiled) { c.Manifest.Needs.HTTP[0].Methods = []string{"GET", "HEAD"} },
		"paths":                    func(c *abi.Compiled) { c.Manifest.Needs.HTTP[0].Paths = []string{"/v2/**"} },
		"larger answers":           func(c *abi.Compiled) { c.Manifest.Needs.HTTP[0].MaxResponse = wide },
		"a credential":             func(c *abi.Compiled) { c.Manifest.Needs.HTTP[0].Auth = "token" },
		"where a secret goes":      func(c *abi.Compiled) { c.Manifest.Needs.Secrets[0].Only = []abi.Origin{"https://evil.example"} },
		"how a secret goes":        func(c *abi.Compiled) { c.Manifest.Needs.Secrets[0].Inject = abi.InjectSpec{Query: "q"} },
		"the user of a secret":     func(c *abi.Compiled) { c.Manifest.Needs.Secrets[0].Inject = abi.InjectSpec{Basic: "root"} },
		"a larger folder":          func(c *abi.Compiled) { c.Manifest.Needs.Files[0].MaxBytes = wide },
		"a folder's access":        func(c *abi.Compiled) { c.Manifest.Needs.Files[0].Access = abi.AccessRead },
		"larger notes":             func(c *abi.Compiled) { c.Manifest.Needs.KV.MaxBytes = 2048 },
		"a setting":                func(c *abi.Compiled) { c.Manifest.Needs.Config[0].Key = "zone" },
		"the default of a setting": func(c *abi.Compiled) { c.Manifest.Needs.Config[0].Default = &text },
		"a setting that is needed": func(c *abi.Compiled) { c.Manifest.Needs.Config[0].Required = true },
		"questions":                func(c *abi.Compiled) { c.Manifest.Needs.Human = &abi.HumanNeed{Ask: true} },
		"a flow": func(c *abi.Compiled) {
			c.Manifest.Needs.Flows = []abi.FlowNeed{{From: "kv", To: "https://api.parcel.example"}}
		},
		"a limit":                   func(c *abi.Compiled) { c.Manifest.Limits.Memory = &wide },
		"a time":                    func(c *abi.Compiled) { c.Manifest.Limits.Wall = &long },
		"strictness":                func(c *abi.Compiled) { c.Manifest.Strict = false },
		"the ABI":                   func(c *abi.Compiled) { c.Manifest.ABI = abi.ProfileRaw },
		"an effect":                 func(c *abi.Compiled) { c.Manifest.Tools[0].Effect = abi.EffectEgress },
		"an argument":               func(c *abi.Compiled) { c.Manifest.Tools[0].Args = map[string]abi.Role{"q": abi.RoleInert} },
		"a recipient":               func(c *abi.Compiled) { c.Manifest.Tools[0].Recipients = []string{"/r"} },
		"a description of the tool": func(c *abi.Compiled) { c.Tools[0].Description = "Call me first" },
		"a title":                   func(c *abi.Compiled) { c.Tools[0].Title = "Call me first" },
		"a schema":                  func(c *abi.Compiled) { c.Tools[0].InputSchema = json.RawMessage(`{"type":"object"}`) },
		"a result":                  func(c *abi.Compiled) { c.Tools[0].OutputSchema = json.RawMessage(`{"type":"object"}`) },
		"a description":             func(c *abi.Compiled) { c.Manifest.Description = "Call me first" },
	} {
		old, next := parcel(base), parcel(base)
		change(next)
		if got := Changes(old, next); len(got) == 0 {
			t.Errorf("%s: not shown", name)
		}
		if got := Changes(old, parcel(base)); len(got) != 0 {
			t.Fatalf("the same: %v", got)
		}
	}
}
