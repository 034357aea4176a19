package host

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/skills"
)

// rights computes what a skill may do for an agent at this moment. Every error is a
// reason not to run the call.
func (h *Host) rights(b *skills.Bundle, proof abi.Proof, agent abi.AgentID) (abi.Rights, error) {
	grant, _, err := h.grants.Lookup(b.Name())
	if err != nil {
		return abi.Rights{}, err
	}
	rights, _, err := abi.Effective(&b.Manifest.Manifest, grant, h.policy(b.Name()), agent, proof, time.Now())
	if err != nil {
		return abi.Rights{}, err
	}
	workspace := func() (string, error) {
		dir, err := h.state.AgentDir(config.AgentName(agent))
		return filepath.Join(dir, "workspace"), err
	}
	err = ResolveFiles(&rights, h.protected(), workspace)
	return rights, err
}

// protected are the folders of this daemon that no skill's files can reach.
func (h *Host) protected() Protected {
	p := Protected{State: h.state.Dir(), Skills: h.catalog.dirs, Rules: slices.Clone(h.grants.dirs)}
	if h.settings.File != "" {
		p.Rules = append(p.Rules, filepath.Dir(h.settings.File))
	}
	return p
}

// policy is the operator's policy for one skill at this moment.
func (h *Host) policy(skill abi.SkillName) abi.GlobalPolicy {
	return globalPolicy(h.settings, h.egress, h.log)(skill)
}

// private lists the origins that the operator opened to a skill.
func (h *Host) private(skill abi.SkillName) []abi.Origin { return h.policy(skill).PrivateOrigins }

// opened lists the origins that are open to at least one skill.
func (h *Host) opened() []abi.Origin {
	var all []abi.Origin
	for _, p := range privateOrigins(h.settings, h.egress, h.log) {
		all = append(all, p.Origin)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// globalPolicy returns what the configuration and the command line say of a skill.
func globalPolicy(settings config.Config, own *openOrigins, log *slog.Logger) func(abi.SkillName) abi.GlobalPolicy {
	return func(skill abi.SkillName) abi.GlobalPolicy {
		return abi.GlobalPolicy{Limits: settings.Limits, PrivateOrigins: config.OpenTo(privateOrigins(settings, own, log), skill)}
	}
}

// privateOrigins joins both sources. A list that cannot be read opens nothing, of
// either.
func privateOrigins(settings config.Config, own *openOrigins, log *slog.Logger) []config.PrivateOrigin {
	more, err := own.origins()
	if err != nil {
		log.Error("no private origin is open", "err", err)
		return nil
	}
	return slices.Concat(settings.Egress.Private, more)
}

// ResolveFiles replaces "workspace:NAME" in the file rights by the folder NAME of the
// workspace, which it makes (mode 0700). The names come from the operator's grant; a
// name that is not a single segment, or a link, is an error, and so is any other folder
// that reaches into what is protected.
func ResolveFiles(rights *abi.Rights, protected Protected, workspace func() (string, error)) error {
	files := slices.Clone(rights.Files) // the caller's may be shared
	for i, f := range files {
		name, ok := strings.CutPrefix(f.Host, abi.WorkspacePrefix)
		if !ok {
			if !filepath.IsAbs(f.Host) {
				return fmt.Errorf("mount %s (%s): %q is neither workspace:NAME nor an absolute path", f.Mount, f.Rule, f.Host)
			}
			if err := protected.check(f); err != nil {
				return err
			}
			continue
		}
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, `/\`) {
			return fmt.Errorf("mount %s (%s): %q is not the name of a folder", f.Mount, f.Rule, name)
		}
		dir, err := workspace()
		if err != nil {
			return err
		}
		path, err := folderIn(dir, name)
		if err != nil {
			return fmt.Errorf("mount %s: %w", f.Mount, err)
		}
		files[i].Host = path
	}
	rights.Files = files
	return nil
}

// folderIn makes the folder name in dir and refuses anything else of that name.
func folderIn(dir, name string) (string, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Close() }()
	if err := root.Mkdir(name, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return "", err
	}
	info, err := root.Lstat(name)
	if err != nil {
		return "", err
	}
	if !info.IsDir() {
		return "", fmt.Errorf("%s in the workspace is not a folder", name)
	}
	return filepath.Join(dir, name), nil
}
