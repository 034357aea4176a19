package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills/importer"
	"github.com/spf13/cobra"
)

func (a *app) skillImport() *cobra.Command {
	var dir string
	formats := make([]string, 0, len(importer.Formats()))
	for _, f := range importer.Formats() {
		formats = append(formats, string(f))
	}
	cmd := &cobra.Command{
		Use: "import FORMAT PATH", Short: "Make skills out of the configuration of another host", Args: exactly(2),
		Long: `Make skills out of the configuration of another host: each gets a folder with a
skill.yaml and the draft of a grant, which grants nothing. What has no counterpart
here is listed with the reason. Nothing is fetched, and no secret is copied.

FORMAT is one of ` + strings.Join(formats, ", ") + `; for skill-md PATH is a folder.`,
		Example: `  glovebox skill import extism plugin.json
  glovebox skill import hyper-mcp config.yaml --dir skills`,
		ValidArgs: formats,
		RunE: func(_ *cobra.Command, args []string) error {
			format, known := importer.Format(args[0]), false
			for _, f := range importer.Formats() {
				known = known || f == format
			}
			if !known {
				return usage("there is no format "+quote(args[0]), "want one of "+strings.Join(formats, ", "))
			}
			list, err := importer.Open(format, args[1])
			if err != nil {
				return err
			}
			made := make([]imported, 0, len(list))
			for _, s := range list {
				folder := filepath.Join(dir, string(s.Manifest.Name))
				if err := s.Write(folder); err != nil {
					return err
				}
				made = append(made, imported{s.Manifest.Name, folder, s.HasModule(), s.Manifest.Needs, notNil(s.Left)})
			}
			return a.show(map[string]any{"skills": made}, func() { a.showImported(made) })
		},
	}
	cmd.Flags().StringVar(&dir, "dir", ".", "`FOLDER` to make the skills in, one folder each")
	return cmd
}

type imported struct {
	Name   abi.SkillName   `json:"name"`
	Dir    string          `json:"dir"`
	Module bool            `json:"module"` // it came along
	Needs  abi.Needs       `json:"needs"`
	Left   []importer.Left `json:"left"`
}

func (a *app) showImported(made []imported) {
	for _, s := range made {
		fmt.Fprintf(a.out, "%s: %s\n", s.Name, s.Dir)
		for _, l := range s.Left {
			fmt.Fprintf(a.out, "  left: %s\n", oneLine(l.String()))
		}
		if s.Module {
			a.say("next: glovebox skill build %s --prebuilt", config.ShellQuote(s.Dir))
		}
	}
}
