package advisory

import (
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills/sbom"
)

func npm(name string) sbom.Package {
	return sbom.Package{Ecosystem: sbom.NPM, Name: name, Version: "1.0.0"}
}

func TestSeverityBlocksFromTheThreshold(t *testing.T) {
	t.Parallel()
	x := fill(t)
	for name, tt := range map[string]struct {
		pkg       string
		threshold Level
		level     Level
		want      Verdict
	}{
		"high below critical":                         {"rated-high", Critical, High, Warn},
		"high at high":                                {"rated-high", High, High, Block},
		"low below medium":                            {"rated-low", Medium, Low, Warn},
		"low where everything blocks":                 {"rated-low", Unrated, Low, Block},
		"the higher of two vectors":                   {"rated-critical", Critical, Critical, Block},
		"a word":                                      {"rated-word", High, Medium, Warn},
		"a word at the threshold":                     {"rated-word", Medium, Medium, Block},
		"a vector that cannot be read":                {"rated-torn", Critical, Unrated, Block},
		"no severity":                                 {"unrated", Critical, Unrated, Block},
		"malicious, listed":                           {"evil-listed", Critical, Unrated, Block},
		"malicious, though its severity is low":       {"evil-always", Critical, Low, Block},
		"malicious by an alias, though a word is low": {"evil-alias", Critical, Low, Block},
		"a threshold that does not exist":             {"unrated", 9, Unrated, Block},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, err := check(x, Policy{MaxAge: DefaultPolicy().MaxAge, Severity: tt.threshold}, npm(tt.pkg))
			if err != nil || len(r.Findings) != 1 {
				t.Fatalf("%v, %v", r, err)
			}
			if f := r.Findings[0]; f.Severity != tt.level || f.Verdict != tt.want || r.Verdict != tt.want {
				t.Errorf("%s, %s; want %s, %s", f.Severity, f.Verdict, tt.level, tt.want)
			}
		})
	}
}

func TestWaiver(t *testing.T) {
	t.Parallel()
	x := fill(t)
	const mine, other = abi.Digest("sha256:aa"), abi.Digest("sha256:bb")
	good := Waiver{ID: "GHSA-0001-high-0001", Ecosystem: "npm", Package: "rated-high", Version: "1.0.0", Expires: today.Add(time.Hour), Why: "not reached"}
	evil := Waiver{ID: "MAL-2026-0002", Ecosystem: "npm", Package: "evil-always", Version: "1.0.0", Expires: today.Add(time.Hour), Why: "a test of the scanner"}
	with := func(w Waiver, change func(*Waiver)) Waiver { change(&w); return w }
	for name, tt := range map[string]struct {
		pkg  string
		w    Waiver
		want Verdict
	}{
		"it holds":                                {"rated-high", good, Warn},
		"another advisory":                        {"rated-high", with(good, func(w *Waiver) { w.ID = "GHSA-0002-low0-0002" }), Block},
		"another package":                         {"rated-high", with(good, func(w *Waiver) { w.Package = "rated-low" }), Block},
		"another version":                         {"rated-high", with(good, func(w *Waiver) { w.Version = "1.0.1" }), Block},
		"another ecosystem":                       {"rated-high", with(good, func(w *Waiver) { w.Ecosystem = "PyPI" }), Block},
		"another bundle":                          {"rated-high", with(good, func(w *Waiver) { w.Bundle = other }), Block},
		"this bundle":                             {"rated-high", with(good, func(w *Waiver) { w.Bundle = mine }), Warn},
		"it expires now":                          {"rated-high", with(good, func(w *Waiver) { w.Expires = today }), Block},
		"malicious code by package":               {"evil-always", evil, Block},
		"malicious code for another bundle":       {"evil-always", with(evil, func(w *Waiver) { w.Bundle = other }), Block},
		"malicious code for this bundle":          {"evil-always", with(evil, func(w *Waiver) { w.Bundle = mine }), Warn},
		"malicious code for this bundle, expired": {"evil-always", with(evil, func(w *Waiver) { w.Bundle, w.Expires = mine, today }), Block},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := Policy{MaxAge: DefaultPolicy().MaxAge, Waivers: []Waiver{tt.w}, Bundle: mine}
			r, err := check(x, p, npm(tt.pkg))
			if err != nil || r.Verdict != tt.want {
				t.Fatalf("%v, %v; want %v", r.Verdict, err, tt.want)
			}
			if waived := r.Findings[0].Waiver != nil; waived != (tt.want == Warn) {
				t.Errorf("waiver named: %v", waived)
			}
			if expired := len(r.Expired) == 1; expired != !today.Before(tt.w.Expires) {
				t.Errorf("reported as expired: %v", expired)
			}
			p.Bundle = ""
			if r, err := check(x, p, npm(tt.pkg)); tt.w.Bundle != "" && (err != nil || r.Verdict != Block) {
				t.Errorf("without a bundle: %v, %v", r.Verdict, err)
			}
		})
	}
}

func TestWaiverWithoutItsPartsIsRefused(t *testing.T) {
	t.Parallel()
	x := fill(t)
	for name, w := range map[string]Waiver{
		"nothing":         {},
		"no expiry":       {ID: "X", Ecosystem: "npm", Package: "a", Version: "1.0.0", Why: "because"},
		"no reason":       {ID: "X", Ecosystem: "npm", Package: "a", Version: "1.0.0", Expires: today, Why: " "},
		"no advisory":     {Ecosystem: "npm", Package: "a", Version: "1.0.0", Expires: today, Why: "because"},
		"any version":     {ID: "X", Ecosystem: "npm", Package: "a", Version: "*", Expires: today, Why: "because"},
		"any package":     {ID: "X", Ecosystem: "npm", Version: "1.0.0", Expires: today, Why: "because"},
		"every ecosystem": {ID: "X", Package: "a", Version: "1.0.0", Expires: today, Why: "because"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := check(x, Policy{MaxAge: DefaultPolicy().MaxAge, Waivers: []Waiver{w}}, npm("fine"))
			refused(t, err, ErrInvalid, "waiver")
		})
	}
}

func TestOneBlockIsEnough(t *testing.T) {
	t.Parallel()
	x := fill(t)
	r, err := check(x, Policy{MaxAge: DefaultPolicy().MaxAge, Severity: High}, npm("rated-low"), npm("rated-high"), npm("fine"))
	if err != nil || r.Verdict != Block || len(r.Findings) != 2 || r.Findings[0].Verdict != Warn {
		t.Errorf("%+v, %v", r, err)
	}
	if (Report{}).Verdict != Block || (Finding{}).Verdict != Block {
		t.Error("the zero value does not block")
	}
}

func TestLevelsAndTheirNames(t *testing.T) {
	t.Parallel()
	for l := Low; l <= Critical; l++ {
		if got, err := ParseLevel(l.String()); err != nil || got != l {
			t.Errorf("%s: %v, %v", l, got, err)
		}
	}
	if got, err := ParseLevel("any"); err != nil || got != Unrated {
		t.Errorf("any: %v, %v", got, err)
	}
	for _, s := range []string{"", "unrated", "HIGH", "none"} {
		if _, err := ParseLevel(s); err == nil {
			t.Errorf("%q was read as a level", s)
		}
	}
	for score, want := range map[float64]Level{0: Low, 3.9: Low, 4: Medium, 6.9: Medium, 7: High, 8.9: High, 9: Critical, 10: Critical} {
		if got := levelOf(score); got != want {
			t.Errorf("%.1f is %s, want %s", score, got, want)
		}
	}
}
