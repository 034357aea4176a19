package advisory

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/google/osv-scalibr/enricher/vulnmatch/osvlocal"
	"github.com/google/osv-scalibr/extractor"
	"github.com/ossf/osv-schema/bindings/go/osvschema"
	"google.golang.org/protobuf/proto"
)

// Check says what is known against packages at now. It answers only about packages that
// are pinned, from data that is whole and young enough: anything else is a *Refusal with
// ErrNoDB, ErrStale or ErrInvalid. No packages pass.
func (x *Index) Check(ctx context.Context, packages []sbom.Package, p Policy, now time.Time) (Report, error) {
	r := Report{Verdict: Pass, Findings: []Finding{}, Data: []Source{}, Packages: []sbom.Package{}}
	for _, w := range p.Waivers {
		if err := w.check(); err != nil {
			return Report{}, err
		}
		if !now.Before(w.Expires) {
			r.Expired = append(r.Expired, w)
		}
	}
	for _, one := range packages {
		one, _, err := normal(one)
		if err != nil {
			return Report{}, err
		}
		r.Packages = append(r.Packages, one)
	}
	err := x.view(ctx, func(tx *sql.Tx) error {
		if err := x.data(ctx, tx, &r, p.MaxAge, now); err != nil {
			return err
		}
		return x.find(ctx, tx, &r)
	})
	if err != nil {
		return Report{}, err
	}
	for i := range r.Findings {
		f := &r.Findings[i]
		p.judge(f, now)
		r.Verdict = min(r.Verdict, f.Verdict)
	}
	return r, nil
}

// data checks what the answer will rest on.
func (x *Index) data(ctx context.Context, tx *sql.Tx, r *Report, maxAge time.Duration, now time.Time) error {
	all, err := sources(ctx, tx)
	if err != nil {
		return err
	}
	for _, p := range r.Packages {
		if slices.ContainsFunc(r.Data, func(s Source) bool { return s.Ecosystem == p.Ecosystem }) {
			continue
		}
		i := slices.IndexFunc(all, func(s Source) bool { return s.Ecosystem == p.Ecosystem })
		fix := "glovebox osv update --ecosystem " + string(p.Ecosystem) + " --from FILE"
		if i < 0 {
			return &Refusal{Reason: ErrNoDB, What: "there are no advisories for " + string(p.Ecosystem) + " here", Fix: fix}
		}
		s := all[i]
		if !s.Fresh(now, maxAge) {
			return &Refusal{Reason: ErrStale, Fix: fix, What: fmt.Sprintf("the advisories for %s are as of %s, %d days old; the policy admits %d days",
				s.Ecosystem, s.Newest.Format(time.DateOnly), int(s.Age(now).Hours()/24), int(maxAge.Hours()/24))}
		}
		if err := x.intact(ctx, tx, s); err != nil {
			return err
		}
		r.Data = append(r.Data, s)
	}
	return nil
}

// find fills in the findings of r's packages. Every load asks about the same ones: an
// answer holds as long as the data that gave it.
func (x *Index) find(ctx context.Context, tx *sql.Tx, r *Report) error {
	byName, err := tx.PrepareContext(ctx, `SELECT rec.facts FROM aff LEFT JOIN rec ON rec.id = aff.rec WHERE aff.eco = ? AND aff.name = ?`)
	if err != nil {
		return err
	}
	for _, p := range r.Packages {
		i := slices.IndexFunc(r.Data, func(s Source) bool { return s.Ecosystem == p.Ecosystem })
		findings, ok := x.remembered(r.Data[i], p)
		if !ok {
			if findings, err = findingsOf(ctx, byName, p); err != nil {
				return err
			}
			x.remember(r.Data[i], p, findings)
		}
		r.Findings = append(r.Findings, findings...)
	}
	return nil
}

func (x *Index) remembered(s Source, p sbom.Package) ([]Finding, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := x.whole[s.Ecosystem]
	if k.seal != s.seal { // another import was read meanwhile
		return nil, false
	}
	findings, ok := k.findings[p]
	return findings, ok
}

func (x *Index) remember(s Source, p sbom.Package, findings []Finding) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k := x.whole[s.Ecosystem]
	if k.seal != s.seal {
		return
	}
	if len(k.findings) >= maxKnown {
		clear(k.findings)
	}
	k.findings[p] = findings
}

// findingsOf asks the matcher about p, in each spelling of its version.
func findingsOf(ctx context.Context, byName *sql.Stmt, p sbom.Package) ([]Finding, error) {
	about, err := candidates(ctx, byName, p)
	if err != nil {
		return nil, err
	}
	reg, _ := registryOf(p.Ecosystem)
	var out []Finding
	for _, version := range slices.Compact([]string{p.Version, canonical(p.Ecosystem, p.Version)}) {
		for _, v := range osvlocal.VulnerabilitiesAffectingPackage(about, &extractor.Package{Name: p.Name, Version: version, PURLType: reg.purl}) {
			if slices.ContainsFunc(out, func(f Finding) bool { return f.ID == v.GetId() }) {
				continue
			}
			out = append(out, Finding{Package: p, ID: v.GetId(), Aliases: v.GetAliases(), Summary: v.GetSummary(),
				Severity: severity(v, p.Name), Malicious: malicious(v.GetId(), v.GetAliases())})
		}
	}
	slices.SortFunc(out, func(a, b Finding) int { return strings.Compare(a.ID, b.ID) })
	return out, nil
}

// candidates are the records about p in any version.
func candidates(ctx context.Context, byName *sql.Stmt, p sbom.Package) ([]*osvschema.Vulnerability, error) {
	rows, err := byName.QueryContext(ctx, p.Ecosystem, p.Name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []*osvschema.Vulnerability
	for rows.Next() {
		var facts sql.RawBytes
		if err := rows.Scan(&facts); err != nil {
			return nil, err
		}
		if facts == nil {
			return nil, errors.New("a record is missing")
		}
		v := &osvschema.Vulnerability{}
		if err := proto.Unmarshal(facts, v); err != nil {
			return nil, err
		}
		// A record may be about hundreds of packages, and the matcher reads the name of each.
		v.Affected = slices.DeleteFunc(v.Affected, func(a *osvschema.Affected) bool { return a.GetPackage().GetName() != p.Name })
		list = append(list, v)
	}
	return list, rows.Err()
}
