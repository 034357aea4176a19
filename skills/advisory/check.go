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
		return find(ctx, tx, &r)
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
		if age := s.Age(now); age > maxAge || age < -clockSkew {
			return &Refusal{Reason: ErrStale, Fix: fix, What: fmt.Sprintf("the advisories for %s are as of %s, %d days old; the policy admits %d days",
				s.Ecosystem, s.Newest.Format(time.DateOnly), int(age.Hours()/24), int(maxAge.Hours()/24))}
		}
		if err := x.intact(ctx, tx, s); err != nil {
			return err
		}
		r.Data = append(r.Data, s)
	}
	return nil
}

// find fills in the findings of r's packages.
func find(ctx context.Context, tx *sql.Tx, r *Report) error {
	byName, err := tx.PrepareContext(ctx, `SELECT aff.rec, rec.facts FROM aff LEFT JOIN rec ON rec.id = aff.rec WHERE aff.eco = ? AND aff.name = ?`)
	if err != nil {
		return err
	}
	body, err := tx.PrepareContext(ctx, `SELECT body FROM rec WHERE id = ?`)
	if err != nil {
		return err
	}
	for _, p := range r.Packages {
		candidates, ids, err := candidates(ctx, byName, p)
		if err != nil {
			return err
		}
		at := len(r.Findings)
		for _, v := range affecting(candidates, p) {
			f := Finding{Package: p, ID: v.GetId(), Aliases: v.GetAliases(), Summary: v.GetSummary(),
				Severity: severity(v, p.Name), Malicious: malicious(v.GetId(), v.GetAliases())}
			if err := body.QueryRowContext(ctx, ids[f.ID]).Scan(&f.body); err != nil {
				return err
			}
			r.Findings = append(r.Findings, f)
		}
		slices.SortFunc(r.Findings[at:], func(a, b Finding) int { return strings.Compare(a.ID, b.ID) })
	}
	return nil
}

// candidates are the records about p in any version.
func candidates(ctx context.Context, byName *sql.Stmt, p sbom.Package) ([]*osvschema.Vulnerability, map[string]int64, error) {
	rows, err := byName.QueryContext(ctx, p.Ecosystem, p.Name)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []*osvschema.Vulnerability
	ids := map[string]int64{}
	for rows.Next() {
		var id int64
		var facts sql.RawBytes
		if err := rows.Scan(&id, &facts); err != nil {
			return nil, nil, err
		}
		if facts == nil {
			return nil, nil, errors.New("a record is missing")
		}
		v := &osvschema.Vulnerability{}
		if err := proto.Unmarshal(facts, v); err != nil {
			return nil, nil, err
		}
		// A record may be about hundreds of packages, and the matcher reads the name of each.
		v.Affected = slices.DeleteFunc(v.Affected, func(a *osvschema.Affected) bool { return a.GetPackage().GetName() != p.Name })
		list, ids[v.GetId()] = append(list, v), id
	}
	return list, ids, rows.Err()
}

// affecting asks the matcher, about each spelling of the version.
func affecting(candidates []*osvschema.Vulnerability, p sbom.Package) []*osvschema.Vulnerability {
	reg, _ := registryOf(p.Ecosystem)
	hits := osvlocal.VulnerabilitiesAffectingPackage(candidates, &extractor.Package{Name: p.Name, Version: p.Version, PURLType: reg.purl})
	if c := canonical(p.Ecosystem, p.Version); c != p.Version {
		for _, v := range osvlocal.VulnerabilitiesAffectingPackage(candidates, &extractor.Package{Name: p.Name, Version: c, PURLType: reg.purl}) {
			if !slices.Contains(hits, v) {
				hits = append(hits, v)
			}
		}
	}
	return hits
}
