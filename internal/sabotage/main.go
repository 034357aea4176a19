// Command sabotage disables each control in turn, in memory, and runs the test that
// claims to guard it: a test that stays green guards nothing.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Control is one line of defence, the edit that removes it, and its test.
type Control struct {
	Name string
	File string // below the root of the tree
	Old  string // occurs exactly once
	New  string
	Test string // package/dir.TestName, as THREAT_MODEL.md writes it
}

func main() {
	only := flag.String("run", "", "only controls whose name or file matches this regular expression")
	flag.Parse()
	if err := run(*only); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(only string) error {
	pick, err := regexp.Compile(only)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "glovebox-sabotage-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	green, total := 0, 0
	for _, c := range controls() {
		if !pick.MatchString(c.Name) && !pick.MatchString(c.File) {
			continue
		}
		total++
		start := time.Now()
		verdict, err := try(c, dir)
		if err != nil { // an edit that no longer fits shows nothing: it counts as one that stays green
			verdict = "STALE"
			fmt.Fprintf(os.Stderr, "%s: %v\n", c.Name, err)
		}
		if verdict != "red" {
			green++
		}
		fmt.Printf("%-6s %-62s %-58s %.1f s\n", verdict, c.Name, c.Test, time.Since(start).Seconds())
	}
	fmt.Printf("%d controls removed one at a time, %d of their tests went red\n", total, total-green)
	if green > 0 {
		return fmt.Errorf("%d tests stay green without the control that they name, or could not be tried", green)
	}
	if total == 0 {
		return errors.New("no control has that name")
	}
	return nil
}

// try runs the control's test over a tree in which the control is gone: the compiler
// is given the edited file in place of the real one.
func try(c Control, dir string) (string, error) {
	src, err := os.ReadFile(c.File)
	if err != nil {
		return "", err
	}
	if n := bytes.Count(src, []byte(c.Old)); n != 1 {
		return "", fmt.Errorf("%s holds the text to remove %d times, want once: %q", c.File, n, c.Old)
	}
	abs, err := filepath.Abs(c.File)
	if err != nil {
		return "", err
	}
	edited := filepath.Join(dir, "edited.go")
	if err := os.WriteFile(edited, bytes.Replace(src, []byte(c.Old), []byte(c.New), 1), 0o600); err != nil {
		return "", err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{abs: edited}})
	if err != nil {
		return "", err
	}
	list := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(list, overlay, 0o600); err != nil {
		return "", err
	}
	pkg, test, ok := strings.Cut(c.Test, ".")
	if !ok {
		return "", fmt.Errorf("test %q: want package/dir.TestName", c.Test)
	}
	cmd := exec.Command("go", "test", "-v", "-count=1", "-overlay", list, "-run", "^"+test+"$", "./"+pkg)
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil && bytes.Contains(out, []byte("no tests to run")):
		return "", fmt.Errorf("%s does not exist", c.Test)
	case err == nil && bytes.Contains(out, []byte("--- SKIP: "+test)):
		return "", fmt.Errorf("%s is skipped here: run this with make, as root, with what it needs installed", c.Test)
	case err == nil:
		return "GREEN", nil
	case !bytes.Contains(out, []byte("--- FAIL: "+test)) && !bytes.Contains(out, []byte("panic:")) && !bytes.Contains(out, []byte("fatal error:")):
		return "", fmt.Errorf("the edit does not build, or the test did not run:\n%s", out)
	}
	return "red", nil
}
