package main

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/glovebox-dev/glovebox/host/config"
)

// TestTokenGoesToARunningDaemonOnly: after a daemon was killed, somebody else listens
// at the address that it left.
func TestTokenGoesToARunningDaemonOnly(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	thief := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.WriteHeader(http.StatusUnauthorized)
	}))
	defer thief.Close()
	state, err := config.OpenState(filepath.Join(t.TempDir(), "state"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := state.Token(); err != nil {
		t.Fatal(err)
	}
	release, err := state.Lock()
	if err != nil {
		t.Fatal(err)
	}
	if err := state.Publish(config.Info{Address: thief.URL}); err != nil {
		t.Fatal(err)
	}
	status := func() int {
		var errs bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &errs}
		return a.run(t.Context(), []string{"status", "--state", state.Dir()})
	}
	if code := status(); code != exitFailed || asked.Load() == 0 {
		t.Fatalf("while a daemon runs: exit code %d, %d requests", code, asked.Load())
	}
	if err := release(); err != nil { // the kernel does as much when a process is killed
		t.Fatal(err)
	}
	asked.Store(0)
	if code := status(); code != exitUnreachable || asked.Load() != 0 {
		t.Errorf("after it was killed: exit code %d, %d requests with the token", code, asked.Load())
	}
}
