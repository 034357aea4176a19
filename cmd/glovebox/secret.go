package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// maxSecret is one byte more than any value that the vault takes.
const maxSecret = 16<<10 + 1

func (a *app) secretCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "secret",
		Short: "Keep secrets that skills may use and never see",
		Long: `Keep secrets. A value is sealed on disk and leaves only inside a request to the
origins that a skill's manifest binds it to, when a grant allows that. No command
prints a value.`,
		Example: `  printf %s "$TOKEN" | glovebox secret set github`,
	}
	cmd.AddCommand(a.secretSet(), a.secretList(), a.secretRemove())
	return group(cmd)
}

func (a *app) vault(ctx context.Context, use func(*broker.Vault) error) error {
	state, err := a.openState()
	if err != nil {
		return err
	}
	vault, err := broker.OpenVault(ctx, state.Secrets(), state.Key("vault"))
	if err != nil {
		return err
	}
	return errors.Join(use(vault), vault.Close())
}

func (a *app) secretSet() *cobra.Command {
	return &cobra.Command{
		Use: "set NAME", Short: "Store a value, read from stdin or a prompt without echo",
		Long: `Store a value under NAME, replacing an older one. The value is read from a prompt
without echo, or from stdin without its last line end; it is never an argument,
since arguments are seen by every process.`,
		Example: `  printf %s "$TOKEN" | glovebox secret set github`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("a secret is never an argument: other processes can read it", "printf %s \"$VALUE\" | glovebox secret set "+args[0])
			}
			if len(args) == 0 {
				return usage("the name of the secret is missing", "glovebox secret set NAME")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			name := abi.SecretName(args[0])
			if err := name.Check(); err != nil {
				return usage(err.Error(), "")
			}
			value, err := a.readSecret(args[0], "glovebox secret set "+args[0])
			if err != nil {
				return err
			}
			defer clear(value)
			return a.vault(cmd.Context(), func(v *broker.Vault) error {
				if err := v.Set(cmd.Context(), name, value); err != nil {
					return err
				}
				return a.show(map[string]any{"name": name, "stored": true}, func() { a.say("stored %s", name) })
			})
		},
	}
}

// readSecret reads a value from a prompt without echo, or from stdin. verb is the
// command that it is for.
func (a *app) readSecret(name, verb string) ([]byte, error) {
	if f, ok := a.in.(*os.File); ok && terminal(f) {
		fmt.Fprintf(a.err, "value of %s (not shown): ", name)
		value, err := term.ReadPassword(int(f.Fd()))
		fmt.Fprintln(a.err)
		if err != nil {
			return nil, fmt.Errorf("read the value: %w", err)
		}
		return value, nil
	}
	value, err := io.ReadAll(io.LimitReader(a.in, maxSecret+1))
	if err != nil {
		return nil, fmt.Errorf("read the value: %w", err)
	}
	value = bytes.TrimSuffix(value, []byte("\n"))
	value = bytes.TrimSuffix(value, []byte("\r"))
	if len(value) == 0 {
		return nil, usage("the value on stdin is empty", "printf %s \"$VALUE\" | "+verb)
	}
	return value, nil
}

func (a *app) secretList() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: "List the names, never the values", Args: exactly(0),
		Example: "  glovebox secret list",
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.vault(cmd.Context(), func(v *broker.Vault) error {
				list, err := v.List(cmd.Context())
				if err != nil {
					return err
				}
				if list == nil {
					list = []broker.Info{}
				}
				return a.show(map[string]any{"secrets": list}, func() {
					for _, s := range list {
						fmt.Fprintf(a.out, "%s\t%s\n", s.Name, s.Updated.Format("2006-01-02 15:04"))
					}
				})
			})
		},
	}
}

func (a *app) secretRemove() *cobra.Command {
	return &cobra.Command{
		Use: "rm NAME", Short: "Delete a secret", Args: exactly(1),
		Example: "  glovebox secret rm github",
		RunE: func(cmd *cobra.Command, args []string) error {
			name := abi.SecretName(args[0])
			if err := name.Check(); err != nil {
				return usage(err.Error(), "")
			}
			return a.vault(cmd.Context(), func(v *broker.Vault) error {
				if err := v.Remove(cmd.Context(), name); err != nil {
					return err
				}
				return a.show(map[string]any{"name": name, "removed": true}, func() { a.say("removed %s", name) })
			})
		},
	}
}
