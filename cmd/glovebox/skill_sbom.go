package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/spf13/cobra"
)

func (a *app) skillSBOM() *cobra.Command {
	return &cobra.Command{
		Use: "sbom DIR|FILE.wasm|NAME", Short: "List the packages that a skill was built from", Args: exactly(1),
		Long: `List the packages that a skill was built from: what the module says itself, and what
sbom.cdx.json beside it says. Both are the author's word. A list that is missing,
that can be read in two ways or that disagrees with the other is refused (exit 3).`,
		Example: `  glovebox skill sbom hello
  glovebox skill sbom plugin.wasm --json`,
		RunE: func(_ *cobra.Command, args []string) error {
			t, err := a.find(args[0])
			if err != nil {
				return err
			}
			var module, document *sbom.List
			if t.bundle != nil {
				module, document, err = t.bundle.Dependencies()
			} else if module, err = sbom.FromModule(t.module); err == nil && module == nil {
				err = sbom.Agree(nil, nil)
			}
			if err != nil && a.json { // one document, which is the refusal
				return err
			}
			return errors.Join(a.showPackages(module, document), err)
		},
	}
}

// showPackages prints each package once, with the lists that name it.
func (a *app) showPackages(module, document *sbom.List) error {
	type row struct {
		sbom.Package
		Sources []string `json:"sources"`
	}
	rows, at, lists := []row{}, map[sbom.Package]int{}, []*sbom.List{}
	for _, l := range []*sbom.List{module, document} {
		if l == nil {
			continue
		}
		lists = append(lists, l)
		for _, p := range l.Packages {
			i, seen := at[p]
			if !seen {
				i = len(rows)
				at[p], rows = i, append(rows, row{Package: p})
			}
			rows[i].Sources = append(rows[i].Sources, l.Source)
		}
	}
	return a.show(map[string]any{"packages": rows, "lists": lists}, func() {
		for _, r := range rows {
			fmt.Fprintf(a.out, "%-10s %-50s %-24s %s\n", r.Ecosystem, r.Name, r.Version, strings.Join(r.Sources, ", "))
		}
		if document != nil && document.None {
			fmt.Fprintln(a.out, "the author declares that there are no dependencies")
		}
	})
}
