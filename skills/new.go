package skills

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/abi/guest"
)

//go:embed template
var templates embed.FS

// Languages returns the languages that New can start a skill in.
func Languages() []Language { return []Language{Go, C} }

// ErrExists is wrapped by the error of New when the folder is not empty.
var ErrExists = errors.New("the folder is not empty")

// New writes a skill that builds and passes its tests as it is: source, skill.yaml,
// tests, README, Makefile and .gitignore; for Go a copy of the SDK as well. dir must
// not exist or be empty. It returns the files below dir that a new author reads first.
func New(dir string, name abi.SkillName, lang Language) ([]string, error) {
	if err := name.Check(); err != nil {
		return nil, err
	}
	if lang == "" {
		lang = Go
	}
	root := path.Join("template", string(lang))
	if !slices.Contains(Languages(), lang) {
		return nil, &Error{
			What: fmt.Sprintf("there is no template for language %q: want go or c", lang),
			Hint: "examples/units is a skill in AssemblyScript and examples/textstat one in Rust to start from; \"glovebox skill build\" builds both languages",
		}
	}
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, &Error{Err: ErrExists, What: fmt.Sprintf("%s is not empty", dir), Hint: "choose another name, or remove the folder"}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("new skill: %w", err)
	}
	var made []string
	err := fs.WalkDir(templates, root, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := templates.ReadFile(p)
		if err != nil {
			return err
		}
		to := target(strings.TrimPrefix(p, root+"/"))
		if !strings.HasPrefix(to, "third_party/") {
			made = append(made, to)
		}
		return put(dir, to, strings.ReplaceAll(string(data), "SKILLNAME", string(name)))
	})
	if err == nil && lang == Go {
		err = putSDK(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("new skill %s: %w", name, err)
	}
	return made, nil
}

// sdk is where the copy of the SDK lies in a Go skill.
const sdk = "third_party/glovebox"

// target maps the name of a template to that of the file; the names differ so that
// the templates are no Go package and no module of this repository.
func target(name string) string {
	name = strings.TrimSuffix(name, ".txt")
	switch name {
	case "gitignore":
		return ".gitignore"
	case "sdk.mod":
		return sdk + "/go.mod"
	}
	return name
}

func putSDK(dir string) error {
	return fs.WalkDir(guest.Source, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := guest.Source.ReadFile(p)
		if err != nil {
			return err
		}
		return put(dir, path.Join(sdk, "abi/guest", p), string(data))
	})
}

func put(dir, name, text string) error {
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
