package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"time"
)

// RunToolchain runs argv in dir with exactly the environment env and copies what
// it prints to out. It is for the compiler of an author on the author's own
// machine, who could start it as well: nothing confines it, and nothing that a
// model or a guest says may reach it. argv[0] is looked up in the path of this
// process. When ctx ends, the process and its group are killed.
func RunToolchain(ctx context.Context, dir string, argv, env []string, out io.Writer) error {
	if len(argv) == 0 || argv[0] == "" {
		return errors.New("the build command is empty")
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	cmd.Env = append([]string{}, env...) // never nil, which would mean ours
	cmd.WaitDelay = 2 * time.Second
	ownGroup(cmd)
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return fmt.Errorf("%s: %w", argv[0], ctx.Err())
		}
		return fmt.Errorf("%s: %w", argv[0], err)
	}
	return nil
}
