//go:build linux

package proxy

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// The box of package sandbox, filter, limits and all, has this way out.
func TestProgramInASandboxGoesOut(t *testing.T) {
	t.Parallel()
	relay := needBox(t, "curl")
	boxer := sandbox.NewBoxer(t.Context())
	testenv.Need(t, "bwrap", func() error {
		if r := boxer.Report(); !r.Ready {
			return fmt.Errorf("%s (%s)", r.Why, r.Fix)
		}
		return nil
	})
	w := newWorld(t)
	api := w.serve("api.example", echo)
	dir := shortDir(t)
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // so that the user of the box comes to its own directory
		t.Fatal(err)
	}
	uid := os.Geteuid()
	if uid == 0 {
		uid = 65534
	}
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}, Secrets: []abi.SecretRight{bearer(api)}}, func(c *Config) {
		c.Dir, c.UID = filepath.Join(dir, "e"), uid
	})
	app := filepath.Join(dir, "app")
	bin, err := os.ReadFile(relay)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"relay": bin, "ca.pem": b.CA()} {
		if err := os.MkdirAll(app, 0o755); err != nil { //nolint:gosec // see above
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(app, name), data, 0o755); err != nil { //nolint:gosec // see above
			t.Fatal(err)
		}
	}
	profile, err := sandbox.FindProfile(sandbox.Exec)
	if err != nil {
		t.Fatal(err)
	}
	p, err := boxer.Start(t.Context(), sandbox.Box{
		Profile: profile, Scratch: 8 << 20, Limits: profile.Limits,
		Argv: []string{"/app/relay", "--socket", "/egress/sock", "--", "/usr/bin/curl", "-sS", "-H", "Authorization: Bearer {{secret:gh}}", string(api) + "/v1/me"},
		Env:  Environment("/app/ca.pem"), Mounts: []sandbox.Mount{{Host: app, Box: "/app"}}, Sockets: []sandbox.Mount{{Host: b.Socket(), Box: "/egress/sock"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	exit, err := p.Wait()
	if out := string(exit.Stdout); err != nil || exit.Code != 0 || !strings.Contains(out, "Bearer [secret:gh]") || strings.Contains(out, planted) {
		t.Errorf("%d, %s%s, %v", exit.Code, out, exit.Stderr, err)
	}
}
