package install

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"golang.org/x/mod/semver"
)

// Offer is a skill as it was fetched, before anything about it is believed.
type Offer struct {
	Artifact   *artifact.Artifact
	Signatures [][]byte // candidates: one that is good is enough
	Source     string   // as it was asked for
}

// Options are what the operator may insist on.
type Options struct {
	Name       abi.SkillName // what was asked for; "" is any
	Version    string        // "" is any
	Digest     abi.Digest    // of the artifact; "" is any
	Signer     abi.Signer    // that an index names; zero is any that is trusted
	Downgrade  bool          // an older version may replace a newer one
	OtherOwner bool          // another publisher may take the skill over
}

// Plan is what an installation would come to. Nothing is in use before Commit.
type Plan struct {
	Admission *Admission     `json:"admission"`
	Bundle    *skills.Bundle `json:"-"`
	Asks      []Ask          `json:"asks"`
	Granted   []string       `json:"granted"` // ids that are granted, and asked for as before
	Was       *Entry         `json:"was,omitempty"`
	Changes   []Change       `json:"changes"`
	Dropped   []string       `json:"dropped"` // entries of the old grant that match nothing any more

	entry   Entry
	opt     Options
	old     *abi.Grant // nil: none
	kept    *abi.Grant // old, where it was given to a version of this publisher that is there; else nil
	release func()
}

// Prepare stages an offer, lets the gate judge it and compares it with what is there.
// grant is the skill's present grant, nil for none. The caller releases the plan.
func (s *Store) Prepare(ctx context.Context, g *Gate, o Offer, grant *abi.Grant, k Known, opt Options) (_ *Plan, err error) {
	lock, err := s.Lock()
	if err != nil {
		return nil, err
	}
	name, version := o.Artifact.Name, o.Artifact.Version
	switch {
	case opt.Name != "" && name != opt.Name, opt.Version != "" && version != opt.Version, opt.Digest != "" && o.Artifact.Digest != opt.Digest:
		return nil, refuse(ReasonRequested, name, "%s holds %s %s, %s, which is not what was asked for", o.Source, name, version, o.Artifact.Digest)
	}
	sig, err := g.choose(o)
	if err != nil {
		return nil, err
	}
	b, release, err := s.Stage(o.Artifact, sig)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			release()
		}
	}()
	_, a, err := g.Load(ctx, b, o.Artifact.Digest, k)
	if err != nil {
		return nil, err
	}
	if opt.Signer != (abi.Signer{}) && opt.Signer != a.Signer {
		return nil, refuse(ReasonRequested, name, "%s signed it, and the index names %s", a.Signer, opt.Signer)
	}
	was := lock.Find(name)
	if err := allowed(a, was, opt); err != nil {
		return nil, err
	}
	p := &Plan{Admission: a, Bundle: b, Asks: Asks(&b.Manifest.Manifest), Granted: []string{}, Changes: []Change{}, Dropped: []string{}, opt: opt, old: grant, release: release}
	p.entry = Entry{
		Name: name, Version: version, Artifact: a.Artifact, Manifest: a.Manifest, Publisher: a.Publisher, Signer: a.Signer,
		Signed: a.Signed, Source: o.Source, Installed: k.Now.UTC().Truncate(time.Second),
	}
	if !was.installed() {
		return p, nil
	}
	p.Was, p.entry.Pinned = was, was.Pinned
	if was.Publisher == a.Publisher {
		p.kept = grant
	}
	old, err := skills.Open(s.Dir(was))
	if err != nil { // damaged: there is nothing to compare with, so everything is new
		p.Changes = append(p.Changes, Change{"the installed version cannot be read, so that nothing can be compared", RiskHigh})
		return p, nil
	}
	before := Asks(&old.Manifest.Manifest)
	for _, ask := range p.Asks {
		same := slices.ContainsFunc(before, func(b Ask) bool { return b.ID == ask.ID && b.Text == ask.Text })
		if same && ask.granted(p.kept) {
			p.Granted = append(p.Granted, ask.ID)
		}
	}
	p.Changes = append(p.Changes, Changes(old.Manifest, b.Manifest)...)
	if was.Publisher != a.Publisher || was.Signer != a.Signer {
		p.Changes = append([]Change{{fmt.Sprintf("signed by %s, %s; before, by %s, %s", a.Publisher, a.Signer, was.Publisher, was.Signer), RiskHigh}}, p.Changes...)
	}
	return p, nil
}

// allowed refuses what history speaks against.
func allowed(a *Admission, was *Entry, opt Options) error {
	if was == nil {
		return nil
	}
	c := semver.Compare("v"+a.Version, "v"+was.Highest)
	switch {
	case was.Pinned && was.Artifact != a.Artifact:
		return refuse(ReasonPinned, a.Skill, "it is pinned to version %s", was.Version).fix("glovebox skill unpin %s", a.Skill)
	case was.Publisher != a.Publisher && !opt.OtherOwner:
		return refuse(ReasonPublisher, a.Skill, "%s signed it, and it was installed from %s", a.Publisher, was.Publisher).
			fix("glovebox skill install … --allow-publisher %s", a.Publisher)
	case c < 0 && !opt.Downgrade:
		return refuse(ReasonDowngrade, a.Skill, "version %s is older than %s, which was installed here", a.Version, was.Highest).
			fix("glovebox skill install … --allow-downgrade")
	case c == 0 && was.Content != a.Artifact && was.Publisher != config.LocalPublisher && !opt.Downgrade:
		return refuse(ReasonMutated, a.Skill, "version %s was installed with other content (%s)", a.Version, was.Content).
			fix("glovebox skill install … --allow-downgrade")
	}
	return nil
}

// Pending lists what a person has to be asked about: what is not granted yet.
func (p *Plan) Pending() []Ask {
	return slices.DeleteFunc(slices.Clone(p.Asks), func(a Ask) bool { return slices.Contains(p.Granted, a.ID) })
}

// Grant makes the grant of the new version: the consented capabilities, and what the
// old one gave to this publisher's version that is there, as far as the new one asks for
// it. It pins the version and its signer.
func (p *Plan) Grant(consented []string, agents []abi.AgentID) (*abi.Grant, error) {
	m := &p.Bundle.Manifest.Manifest
	asked := m.AsGrant()
	g := &abi.Grant{Schema: abi.SchemaGrant, Skill: m.Name, Agents: agents}
	if p.kept != nil {
		kept := *p.kept
		g = &kept
		g.Allow, g.Draft, g.Config = abi.Allow{}, false, maps.Clone(kept.Config)
		if len(agents) > 0 {
			g.Agents = agents
		}
	} else if p.Was != nil && p.old != nil && len(agents) == 0 {
		g.Agents = p.old.Agents
	}
	g.Pin = &abi.Pin{SHA256: p.Admission.Manifest.Hex()}
	g.Publisher = p.Admission.Signer.Only()
	for _, a := range p.Asks {
		switch {
		case slices.Contains(consented, a.ID):
			a.add(asked, g)
		case (a.bounded || slices.Contains(p.Granted, a.ID)) && a.granted(p.kept): // what was given once is kept, and nothing beyond it
			a.add(p.kept, g)
		}
	}
	p.dropStale(g)
	for _, id := range consented {
		if !slices.ContainsFunc(p.Asks, func(a Ask) bool { return a.ID == id }) {
			return nil, refuse(ReasonConsent, m.Name, "it does not ask for %q", id)
		}
	}
	return g, nil
}

// dropStale takes out what the new version does not ask for any more, one entry after
// the other: such an entry would void the whole grant.
func (p *Plan) dropStale(g *abi.Grant) {
	m := &p.Bundle.Manifest.Manifest
	stale := func(one *abi.Grant) bool {
		one.Schema, one.Skill, one.Agents = abi.SchemaGrant, m.Name, []abi.AgentID{"x"}
		_, _, err := abi.Effective(m, one, abi.GlobalPolicy{}, "x", abi.Proof{}, p.Admission.Time)
		return errors.Is(err, abi.ErrStaleGrant)
	}
	drop := func(what string) bool {
		p.Dropped = append(p.Dropped, what)
		return true
	}
	g.Allow.HTTP = slices.DeleteFunc(slices.Clone(g.Allow.HTTP), func(h abi.HTTPGrant) bool {
		return stale(&abi.Grant{Allow: abi.Allow{HTTP: []abi.HTTPGrant{h}}}) && drop(httpID(h.Origin, h.Argument)+" "+strings.Join(h.Paths, " "))
	})
	for key := range g.Config {
		if !slices.ContainsFunc(m.Needs.Config, func(c abi.ConfigNeed) bool { return c.Key == key }) && drop("config "+key) {
			delete(g.Config, key)
		}
	}
}

// Commit puts the version into use, with its grant, if what the plan rests on still
// holds: present returns the skill's grant as it is now.
func (p *Plan) Commit(s *Store, g *abi.Grant, present func() (*abi.Grant, error)) error {
	text, err := abi.EncodeGrant(g)
	if err != nil {
		return err
	}
	if g.Pin == nil || g.Pin.SHA256 != p.entry.Manifest.Hex() {
		return fmt.Errorf("install skill %q: the grant is not pinned to it", p.entry.Name)
	}
	return s.commit(p.Bundle, p.entry, text, func(lock *Lock) error {
		if err := allowed(p.Admission, lock.Find(p.entry.Name), p.opt); err != nil {
			return err
		}
		now, err := present()
		if err != nil {
			return err
		}
		if !sameGrant(now, p.old) {
			return refuse(ReasonConsent, p.entry.Name, "its grant was changed meanwhile, so that what was shown is no longer what would hold").fix("glovebox skill install %s", config.ShellQuote(p.entry.Source))
		}
		return nil
	})
}

// sameGrant compares two grants as they are written; nil is none.
func sameGrant(a, b *abi.Grant) bool {
	if a == nil || b == nil {
		return a == nil && b == nil
	}
	left, errA := abi.EncodeGrant(a)
	right, errB := abi.EncodeGrant(b)
	return errA == nil && errB == nil && bytes.Equal(left, right)
}

// Release removes what was staged and not committed.
func (p *Plan) Release() { p.release() }
