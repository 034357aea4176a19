package arch

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// maxGate bounds the lines of code of the gate: what decides is read in one sitting.
const maxGate = 599

func TestGateStaysSmall(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../host/policy/gate/*.go")
	if err != nil {
		t.Fatal(err)
	}
	lines := 0
	for _, f := range files {
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		src, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(src)) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
				lines++
			}
		}
	}
	if lines == 0 || lines > maxGate {
		t.Errorf("host/policy/gate has %d lines of code, want 1 to %d", lines, maxGate)
	}
}
