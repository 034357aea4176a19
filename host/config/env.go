package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Environment is what the environment variables say; nothing else reads them.
type Environment struct {
	State  string // GLOVEBOX_STATE, else XDG_STATE_HOME/glovebox, else ~/.local/state/glovebox
	Config string // GLOVEBOX_CONFIG, may be empty
}

// FromEnvironment reads the variables of the process.
func FromEnvironment() (Environment, error) { return environment(os.Getenv) }

func environment(getenv func(string) string) (Environment, error) {
	env := Environment{State: getenv("GLOVEBOX_STATE"), Config: getenv("GLOVEBOX_CONFIG")}
	if env.State != "" {
		return env, nil
	}
	// The XDG specification has relative values ignored.
	if xdg := getenv("XDG_STATE_HOME"); filepath.IsAbs(xdg) {
		env.State = filepath.Join(xdg, "glovebox")
		return env, nil
	}
	home := getenv("HOME")
	if !filepath.IsAbs(home) {
		return env, fmt.Errorf("find state folder: %w", errors.New("neither GLOVEBOX_STATE nor HOME is set; pass --state DIR"))
	}
	env.State = filepath.Join(home, ".local", "state", "glovebox")
	return env, nil
}
