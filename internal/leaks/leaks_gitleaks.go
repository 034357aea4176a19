//go:build gitleaks

package leaks

import (
	"fmt"
	"strings"
	"sync"

	"github.com/spf13/viper"
	"github.com/zricethezav/gitleaks/v8/config"
	"github.com/zricethezav/gitleaks/v8/detect"
	"github.com/zricethezav/gitleaks/v8/report"
)

const available = true

// decodeDepth is how many layers of base64, hex and percent are taken off.
const decodeDepth = 3

// engine is a detector with the default rules of gitleaks.
type engine struct {
	once     sync.Once
	detector *detect.Detector
	err      error
}

// scan returns what looks like a secret in text, false if it could not be looked at.
func (e *engine) scan(text string) (hints []Hint, ok bool) {
	defer func() {
		if recover() != nil { // of a library that reads hostile text
			hints, ok = nil, false
		}
	}()
	e.once.Do(func() { e.detector, e.err = newDetector() })
	if e.err != nil {
		return nil, false
	}
	for _, f := range e.detector.DetectString(text) {
		hints = append(hints, place(text, f)...)
	}
	return hints, true
}

// newDetector is detect.NewDetectorDefaultConfig without the viper of the whole process.
func newDetector() (*detect.Detector, error) {
	v := viper.New()
	v.SetConfigType("toml")
	if err := v.ReadConfig(strings.NewReader(config.DefaultConfig)); err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	var raw config.ViperConfig
	if err := v.Unmarshal(&raw); err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	cfg, err := raw.Translate()
	if err != nil {
		return nil, fmt.Errorf("read the rules: %w", err)
	}
	d := detect.NewDetector(cfg)
	d.MaxDecodeDepth = decodeDepth
	d.IgnoreGitleaksAllow = true // or the text says that it is not to be looked at
	return d, nil
}

// place returns where f stands: each spelling of the secret in text, or, of one that was
// decoded, the code.
func place(text string, f report.Finding) []Hint {
	var hints []Hint
	for at := 0; f.Secret != ""; {
		i := strings.Index(text[at:], f.Secret)
		if i < 0 {
			break
		}
		hints = append(hints, Hint{Rule: f.RuleID, Start: at + i, End: at + i + len(f.Secret)})
		at += i + len(f.Secret)
	}
	if hints != nil {
		return hints
	}
	start := lineStart(text, f.StartLine) + f.StartColumn - 1
	end := lineStart(text, f.EndLine) + f.EndColumn
	if start < 0 || start >= len(text) {
		start = 0
	}
	if end <= start || end > len(text) { // gitleaks does not say where it ends
		end = len(text)
	}
	return []Hint{{Rule: f.RuleID, Start: start, End: end}}
}

// lineStart returns what gitleaks counts the columns of the line n from: the line break
// before it.
func lineStart(text string, n int) int {
	at := -1
	for range n {
		i := strings.IndexByte(text[at+1:], '\n')
		if i < 0 {
			break
		}
		at += 1 + i
	}
	return max(at, 0)
}
