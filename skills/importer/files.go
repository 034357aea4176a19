package importer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
	"github.com/glovebox-dev/glovebox/skills"
)

// GrantFile is the draft of the grant in the folder of an imported skill. It is no part of the
// bundle.
const GrantFile = "grant.draft.yaml"

// Bounds of the references and assets of a folder.
const (
	maxFiles = 1000
	maxBytes = 32 * abi.MiB // together
)

// Open reads the configuration at name, a folder for SkillMD, and the modules that lie beside
// it. Nothing is written and nothing is fetched; links out of the folder are not followed.
func Open(f Format, name string) ([]*Skill, error) {
	list, err := open(f, name)
	if err != nil {
		return nil, fmt.Errorf("import %s %s: %w", f, name, err)
	}
	return list, nil
}

func open(f Format, name string) (list []*Skill, err error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	dir, file := filepath.Split(abs)
	if f == SkillMD {
		dir, file = abs, skillText
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	data, err := read(root, file, abi.MaxYAML)
	if err != nil {
		return nil, err
	}
	if f != SkillMD {
		if list, err = parse(f, strings.TrimSuffix(file, filepath.Ext(file)), data); err != nil {
			return nil, err
		}
	} else {
		s, err := agentSkill(filepath.Base(abs), data)
		if err != nil {
			return nil, err
		}
		s.files = map[string][]byte{skillText: data}
		if err := s.folder(root); err != nil {
			return nil, err
		}
		list = []*Skill{s}
	}
	for _, s := range list {
		s.attach(root)
		if err := s.finish(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// folder takes references and assets, and the module if there is one. Scripts are left.
func (s *Skill) folder(root *os.Root) error {
	var total int64
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		top, _, deeper := strings.Cut(name, "/")
		carried := top == "references" || top == "assets"
		switch {
		case name == "." || name == skillText, d.IsDir() && carried:
			return nil
		case d.IsDir():
			s.leave(name, "what is in this folder is not carried over: only a module runs here")
			return fs.SkipDir
		case name == skills.ModuleFile:
			s.module = name
			return nil
		case !d.Type().IsRegular():
			s.leave(name, "it is neither a file nor a folder")
			return nil
		case !(deeper && carried) && name != "LICENSE" && name != "NOTICE":
			s.leave(name, "only SKILL.md, LICENSE, NOTICE, references and assets are carried over")
			return nil
		case len(s.files) == maxFiles:
			return fmt.Errorf("more than %d files", maxFiles)
		}
		data, err := read(root, name, skills.MaxFile)
		if err != nil {
			return err
		}
		if total += int64(len(data)); total > maxBytes {
			return fmt.Errorf("references and assets have more than %d bytes", maxBytes)
		}
		s.files[name] = data
		return nil
	})
}

// attach reads the module beside the configuration, if it names one, and takes its profile. A
// module that no host should run stays where it is.
func (s *Skill) attach(root *os.Root) {
	if s.module == "" {
		return
	}
	name := path.Clean(strings.ReplaceAll(s.module, `\`, "/"))
	if !filepath.IsLocal(name) {
		s.leave("module", "%.200q lies outside of the folder of the configuration: copy it yourself", s.module)
		return
	}
	raw, err := read(root, name, skills.MaxModule)
	if err != nil {
		s.leave("module", "%.200q cannot be read: %.200s", s.module, err.Error())
		return
	}
	if sum := sha256.Sum256(raw); s.sha256 != "" && !strings.EqualFold(s.sha256, hex.EncodeToString(sum[:])) {
		s.leave("module", "%.200q does not have the digest that the configuration says: do not use it", s.module)
		return
	}
	report, err := module.Scan(raw, module.DefaultLimits())
	if err == nil {
		s.Manifest.ABI, err = report.Profile()
	}
	if err != nil {
		s.Manifest.ABI = abi.ProfileMCPv2
		s.leave("module", "%.200q is refused: %.200s", s.module, err.Error())
		return
	}
	if s.Manifest.ABI == abi.ProfileRaw { // its functions are named one by one, each as strict as can be
		for _, e := range report.Exports {
			tool := abi.Descriptor{Name: abi.ToolName(e.Name)}
			if report.Callable(e.Name) == nil && !strings.HasPrefix(e.Name, "_") && tool.Check() == nil && len(s.Manifest.Tools) < 256 {
				s.Manifest.Tools = append(s.Manifest.Tools, tool)
			}
		}
	}
	s.wasm = raw
	s.Left = slices.DeleteFunc(s.Left, func(l Left) bool { return l.Key == "module" }) // that there was none
}

// Write makes the folder of the skill, which must not exist or be empty: skill.yaml, the draft of
// the grant, and what came along.
func (s *Skill) Write(dir string) (err error) {
	if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return &skills.Error{Err: skills.ErrExists, What: dir + " is not empty", Hint: "choose another folder with --dir, or remove it"}
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("write skill: %w", err)
	}
	manifest, err := abi.EncodeManifest(s.Manifest)
	if err != nil {
		return err
	}
	grant, err := abi.EncodeGrant(s.Grant)
	if err != nil {
		return err
	}
	files := map[string][]byte{skills.SourceFile: manifest, GrantFile: grant}
	for name, data := range s.files {
		files[name] = data
	}
	if s.wasm != nil {
		files[skills.ModuleFile] = s.wasm
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("write skill: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("write skill: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	for name, data := range files {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return fmt.Errorf("write skill: %w", err)
		}
		if err := root.WriteFile(name, data, 0o644); err != nil {
			return fmt.Errorf("write skill: %w", err)
		}
	}
	return nil
}

// read reads a regular file below root, at most limit bytes.
func read(root *os.Root, name string, limit int64) (data []byte, err error) {
	info, err := root.Stat(name) // before the open: opening a FIFO blocks
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if data, err = io.ReadAll(io.LimitReader(f, limit+1)); err != nil {
		return nil, err
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return data, nil
}
