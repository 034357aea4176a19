//go:build linux

// Command probe tries the walls of the box in which it runs and prints one JSON
// line per row. Its argument is the JSON of walls.Expect. It is linked statically,
// so that it runs in every profile as it is.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/glovebox-dev/glovebox/sandbox/walls"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("the first argument must say what to expect; run this in a box")
	}
	if args[0] == walls.Hostile {
		return misbehave(args[1:])
	}
	var e walls.Expect
	if err := json.Unmarshal([]byte(args[0]), &e); err != nil {
		return fmt.Errorf("read what to expect: %w", err)
	}
	out := json.NewEncoder(os.Stdout)
	return walls.Run(e, func(r walls.Row) error { return out.Encode(r) })
}

// misbehave is the child of a row.
func misbehave(args []string) error {
	switch {
	case len(args) == 0:
		walls.OtherABI()
	case args[0] == "wait":
		_, _ = io.Copy(io.Discard, os.Stdin)
	}
	return nil
}
