package artifact

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/skills"
)

const (
	crashExtract = "artifact-crash-extract"
	crashPublish = "artifact-crash-publish"
)

// TestMain lets the test binary be the process that is killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && (os.Args[1] == crashExtract || os.Args[1] == crashPublish) {
		fmt.Println("failed:", crashChild(os.Args[1], os.Args[2], os.Args[3]))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// crashChild writes the artifact in file below dir until it is killed.
func crashChild(verb, file, dir string) error {
	p, err := Fetch(context.Background(), Ref{Kind: File, Place: file}, Options{})
	if err != nil {
		return err
	}
	for i := 0; ; i++ {
		if verb == crashExtract {
			err = p.Extract(filepath.Join(dir, fmt.Sprint(i)), p.Signatures[0])
		} else {
			_, err = Publish(context.Background(), Ref{Kind: Folder, Place: dir, Tag: fmt.Sprint(i)}, p.Artifact, p.Signatures, Options{})
		}
		if err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// TestKilledWriterLeavesNothingHalf kills a process that extracts, and one that
// publishes, in the middle of it, and looks at what is there.
func TestKilledWriterLeavesNothingHalf(t *testing.T) {
	t.Parallel()
	a := hello(t)
	file := filepath.Join(t.TempDir(), a.FileName())
	if err := WriteFile(file, a, []byte(bundleText)); err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{crashExtract, crashPublish} {
		for round := range 6 {
			dir := t.TempDir()
			killAfter(t, round, verb, file, dir)
			if verb == crashPublish {
				for i := range round + 1 {
					p, err := Fetch(t.Context(), Ref{Kind: Folder, Place: dir, Tag: fmt.Sprint(i)}, Options{})
					if err != nil {
						t.Fatalf("round %d: tag %d: %v", round, i, err)
					}
					same(t, p, a)
				}
				continue
			}
			whole(t, dir, a)
		}
	}
}

// killAfter kills the child after it has written lines+1 times.
func killAfter(t *testing.T, lines int, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	said := bufio.NewScanner(out)
	for i := range lines + 1 {
		if !said.Scan() || said.Text() != fmt.Sprint(i) {
			t.Errorf("the child says %q", said.Text())
			break
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = cmd.Wait() // killed
}

// whole wants every folder below dir that has a name to be the whole artifact.
func whole(t *testing.T, dir string, a *Artifact) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list {
		if strings.HasPrefix(d.Name(), ".") {
			continue
		}
		b, err := skills.Open(filepath.Join(dir, d.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if again, err := Manifest(b); err != nil || again.Digest != a.Digest {
			t.Errorf("%s is not whole: %v", d.Name(), err)
		}
		if text, err := os.ReadFile(filepath.Join(b.Dir, SignatureFile)); err != nil || string(text) != bundleText {
			t.Errorf("%s: its signature: %v", d.Name(), err)
		}
	}
}
