package mcp_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/mcp"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/sandbox"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb { // a step on the way into a box
		cell, _, err := sandbox.Inside(os.Args[2:])
		if err == nil && cell.Probe {
			err = sandbox.Probe(cell, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(99)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func TestAChangedProgramIsNotStarted(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "server")
	if err := os.WriteFile(path, []byte("one"), 0o700); err != nil {
		t.Fatal(err)
	}
	digest, err := mcp.ProgramDigest(path)
	if err != nil {
		t.Fatal(err)
	}
	start := func(x *sandbox.Boxer) error {
		_, err := mcp.Boxed{Start: mcp.Program(x, path, digest)}.Spawn(t.Context())
		return err
	}
	wantReason(t, start(nil), reason.NoSandbox)
	wantReason(t, start(&sandbox.Boxer{}), reason.NoSandbox) // one that never tried its walls
	if err := os.WriteFile(path, []byte("two"), 0o700); err != nil {
		t.Fatal(err)
	}
	wantReason(t, start(&sandbox.Boxer{}), reason.Tree)
	_, err = mcp.Boxed{}.Spawn(t.Context())
	wantReason(t, err, reason.NoSandbox)
	if _, err := mcp.ProgramDigest(t.TempDir()); err == nil {
		t.Error("a folder has a digest")
	}
}

// A real server from npm, in its box: it lists its tools, sees no environment but what it
// was given, and reaches no network.
func TestServerEverythingInABox(t *testing.T) {
	dir := ""
	testenv.Need(t, "mcp-servers", func() error {
		if dir = os.Getenv("GLOVEBOX_MCP_SERVERS"); dir == "" {
			return errors.New("GLOVEBOX_MCP_SERVERS names no folder of npm with @modelcontextprotocol/server-everything@2026.8.31")
		}
		return testenv.Bwrap()
	})
	t.Setenv("GLOVEBOX_CANARY", "c4n4ry")
	profile, err := sandbox.FindProfile(sandbox.MCPNode)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t, mcp.Local(mcp.Boxed{
		Start: sandbox.NewBoxer(t.Context()).Start,
		Box: sandbox.Box{
			Profile: profile, Limits: profile.Limits, Scratch: profile.Size, Dir: "/app",
			Argv:   []string{"/usr/bin/node", "/app/node_modules/@modelcontextprotocol/server-everything/dist/index.js"},
			Mounts: []sandbox.Mount{{Host: filepath.Join(dir, "node_modules"), Box: "/app/node_modules"}},
		},
	}), nil)
	b.approve(t)
	out, err := b.Call(t.Context(), "get-env", b.Digest("get-env"), json.RawMessage(`{}`))
	if err != nil {
		t.Fatal(err)
	}
	if text := out.Content[0].Text; strings.Contains(text, "c4n4ry") || !strings.Contains(text, "NODE_ENV") {
		t.Errorf("its environment: %s", text)
	}
	if out, err = b.Call(t.Context(), "echo", b.Digest("echo"), json.RawMessage(`{"message":"hi"}`)); err != nil || !strings.Contains(out.Content[0].Text, "hi") {
		t.Errorf("got %+v, %v", out, err)
	}
	out, err = b.Call(t.Context(), "gzip-file-as-resource", b.Digest("gzip-file-as-resource"), json.RawMessage(`{"name":"a.gz","data":"https://example.com/"}`))
	if text, _ := json.Marshal(out); err == nil && !out.IsError {
		t.Errorf("it reached the network: %s", text)
	}
}
