package advisory

import (
	"bytes"
	"compress/flate"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/ossf/osv-schema/bindings/go/osvschema"
	"google.golang.org/protobuf/encoding/protojson"
)

// ScannerResults is a report in the JSON of osv-scanner v2 (models.VulnerabilityResults),
// so that what reads its output reads ours.
type ScannerResults struct {
	Results []ScannerSource `json:"results"`
	Config  struct {
		Licenses struct {
			Summary   bool     `json:"summary"`
			Allowlist []string `json:"allowlist"`
		} `json:"licenses"`
	} `json:"experimental_config"`
}

// ScannerSource are the packages with advisories of one source.
type ScannerSource struct {
	Source struct {
		Path string `json:"path"`
		Type string `json:"type"` // sbom, lockfile, artifact or unknown
	} `json:"source"`
	Packages []ScannerPackage `json:"packages"`
}

// ScannerPackage is one package with what is known against it.
type ScannerPackage struct {
	Package struct {
		Name      string         `json:"name"`
		Version   string         `json:"version"`
		Ecosystem sbom.Ecosystem `json:"ecosystem"`
	} `json:"package"`
	Vulnerabilities []json.RawMessage `json:"vulnerabilities,omitempty"` // OSV records
	Groups          []ScannerGroup    `json:"groups,omitempty"`
}

// ScannerGroup are advisories that are aliases of each other.
type ScannerGroup struct {
	IDs         []string `json:"ids"`
	Aliases     []string `json:"aliases"` // with the ids
	MaxSeverity string   `json:"max_severity"`
}

// OSVScanner returns the findings of r, waived ones too, as osv-scanner would print them
// for the file at path. kind is its word for where the packages come from.
func (x *Index) OSVScanner(ctx context.Context, r Report, path, kind string) (ScannerResults, error) {
	out := ScannerResults{Results: []ScannerSource{}}
	source := ScannerSource{}
	source.Source.Path, source.Source.Type = path, kind
	records := shelf{x, map[string]printed{}}
	for rest := r.Findings; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Package == rest[0].Package {
			n++
		}
		p, err := records.pack(ctx, rest[:n])
		if err != nil {
			return out, err
		}
		source.Packages, rest = append(source.Packages, p), rest[n:]
	}
	if len(source.Packages) > 0 {
		out.Results = append(out.Results, source)
	}
	return out, nil
}

// printed is a record as it is printed.
type printed struct {
	text  json.RawMessage
	score float64 // -1: none
}

// shelf reads each record once, however many packages it is about.
type shelf struct {
	x    *Index
	read map[string]printed // by ecosystem and id
}

func (s shelf) record(ctx context.Context, f Finding) (printed, error) {
	key := string(f.Package.Ecosystem) + " " + f.ID
	if r, ok := s.read[key]; ok {
		return r, nil
	}
	v, err := s.x.record(ctx, f)
	if err != nil {
		return printed{}, err
	}
	// Readers of the model decode strictly: a field that the schema does not have stays out.
	text, err := protojson.Marshal(v)
	if err != nil {
		return printed{}, fmt.Errorf("stored record %.80q: %w", f.ID, err)
	}
	r := printed{text: text}
	r.score, _ = score(v.GetSeverity())
	s.read[key] = r
	return r, nil
}

func (s shelf) pack(ctx context.Context, findings []Finding) (ScannerPackage, error) {
	var p ScannerPackage
	p.Package.Name, p.Package.Version, p.Package.Ecosystem = findings[0].Package.Name, findings[0].Package.Version, findings[0].Package.Ecosystem
	scores := map[string]float64{}
	for _, f := range findings {
		r, err := s.record(ctx, f)
		if err != nil {
			return p, err
		}
		p.Vulnerabilities = append(p.Vulnerabilities, r.text)
		scores[f.ID] = r.score
	}
	for _, group := range groups(findings) {
		g, worst := ScannerGroup{}, -1.0
		for _, f := range group {
			g.IDs = append(g.IDs, f.ID)
			g.Aliases = append(append(g.Aliases, f.ID), f.Aliases...)
			worst = max(worst, scores[f.ID])
		}
		if worst >= 0 {
			g.MaxSeverity = fmt.Sprintf("%.1f", worst)
		}
		slices.SortFunc(g.IDs, scannerOrder)
		slices.Sort(g.Aliases)
		g.Aliases = slices.Compact(g.Aliases)
		p.Groups = append(p.Groups, g)
	}
	return p, nil
}

// record reads the whole record of a finding.
func (x *Index) record(ctx context.Context, f Finding) (*osvschema.Vulnerability, error) {
	var body []byte
	err := x.view(ctx, func(tx *sql.Tx) error {
		return tx.QueryRowContext(ctx, `SELECT body FROM rec WHERE eco = ? AND osv = ?`, f.Package.Ecosystem, f.ID).Scan(&body)
	})
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(body)), maxRecord))
	if err != nil {
		return nil, damaged(x.db.Path, err)
	}
	v := &osvschema.Vulnerability{}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(text, v); err != nil {
		return nil, damaged(x.db.Path, err)
	}
	return v, nil
}

// groups joins findings that share an alias, directly or through others.
func groups(findings []Finding) [][]Finding {
	var out [][]Finding
	for _, f := range findings {
		joined, apart := []Finding{f}, [][]Finding(nil)
		for _, g := range out {
			if slices.ContainsFunc(g, func(o Finding) bool { return same(o, f) }) {
				joined = append(g, joined...)
			} else {
				apart = append(apart, g)
			}
		}
		out = append(apart, joined)
	}
	return out
}

func same(a, b Finding) bool {
	return slices.Contains(a.Aliases, b.ID) || slices.Contains(b.Aliases, a.ID) ||
		slices.ContainsFunc(a.Aliases, func(s string) bool { return slices.Contains(b.Aliases, s) })
}

// scannerOrder puts CVE first and GHSA last, as osv-scanner does.
func scannerOrder(a, b string) int {
	rank := func(id string) int {
		switch prefix, _, _ := strings.Cut(id, "-"); prefix {
		case "DSA", "USN":
			return 0
		case "CVE":
			return 1
		case "GHSA":
			return 3
		}
		return 2
	}
	if d := rank(a) - rank(b); d != 0 {
		return d
	}
	return strings.Compare(a, b)
}
