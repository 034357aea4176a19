package install

import (
	"errors"
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
	"github.com/glovebox-dev/glovebox/skills/advisory"
	"github.com/glovebox-dev/glovebox/skills/artifact"
	"github.com/glovebox-dev/glovebox/skills/sbom"
	"github.com/glovebox-dev/glovebox/skills/signature"
)

// Reason is the stable code of a refusal. Those of the parts are passed on as they are:
// sig.*, bundle.*, key.*, tlog.*, time.*, cert.* and identity.* of skills/signature,
// oci.* of skills/artifact, deps.* of skills/sbom, osv.nodb, osv.stale and osv.invalid
// of skills/advisory.
type Reason string

// The reasons of this package.
const (
	ReasonModule      Reason = "module.digest"      // the module is not the one that the manifest names
	ReasonFile        Reason = "manifest.digest"    // the manifest, or a file that it lists, has changed
	ReasonBuilt       Reason = "manifest.missing"   // there is no built skill
	ReasonFailed      Reason = "gate.failed"        // something could not be read: no judgement
	ReasonBlocked     Reason = "osv.blocked"        // a known vulnerability that the policy does not admit
	ReasonMalicious   Reason = "osv.malicious"      // a dependency is known to be malicious
	ReasonRevoked     Reason = "skill.revoked"      // withdrawn by a registry, or denied by the operator
	ReasonRevocations Reason = "skill.revocations"  // it cannot be known what was withdrawn
	ReasonLock        Reason = "install.lock"       // not what the lock file names, or no lock file that can be read
	ReasonDowngrade   Reason = "install.downgrade"  // older than a version that was installed
	ReasonMutated     Reason = "install.mutated"    // a version that was installed before, with other content
	ReasonPinned      Reason = "install.pinned"     // the operator pinned the version that is there
	ReasonPublisher   Reason = "install.publisher"  // signed by another publisher than the version that is there
	ReasonRequested   Reason = "install.requested"  // not the name, version or digest that was asked for
	ReasonConsent     Reason = "install.consent"    // nobody consented
	ReasonYanked      Reason = "install.yanked"     // its registry withdrew the version
	ReasonFolder      Reason = "install.folder"     // a skill of that name lies in a folder of the configuration
	ReasonInterrupted Reason = "install.incomplete" // something is missing in the store
)

// Refusal says why a skill is not loaded or not installed.
type Refusal struct {
	Reason Reason
	Skill  abi.SkillName
	What   string // what happened and why
	Fix    string // a command that helps; may be empty
	Err    error  // the cause, or nil
}

// Error implements error.
func (r *Refusal) Error() string { return r.What + " (" + string(r.Reason) + ")" }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(reason Reason, skill abi.SkillName, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, Skill: skill, What: fmt.Sprintf("skill %q is refused: ", skill) + fmt.Sprintf(format, args...)}
}

func (r *Refusal) because(err error) *Refusal {
	r.Err = err
	return r
}

func (r *Refusal) fix(format string, args ...any) *Refusal {
	r.Fix = fmt.Sprintf(format, args...)
	return r
}

// ReasonOf returns the code of a refusal of any part, "" for another error.
func ReasonOf(err error) Reason {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

// refusal turns an error of a part into one refusal. dir, as one word of a shell, is
// named by commands that help.
func refusal(name abi.SkillName, dir string, err error) *Refusal {
	var (
		own  *Refusal
		sig  *signature.Refusal
		art  *artifact.Refusal
		deps *sbom.Error
		osv  *advisory.Refusal
		file *skills.Error
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.As(err, &sig):
		sig = sig.In(dir)
		return refuse(Reason(sig.Reason), name, "%s", sig.Why).fix("%s", sig.Fix).because(err)
	case errors.As(err, &art) && !errors.Is(err, skills.ErrDigest):
		return refuse(Reason(art.Reason), name, "%s", art.What).fix("%s", art.Fix).because(err)
	case errors.As(err, &deps):
		return refuse(Reason(deps.Reason), name, "%s", deps.What).fix("%s", strings.ReplaceAll(deps.Fix, "DIR", dir)).because(err)
	case errors.As(err, &osv):
		return refuse(Reason(osv.Reason), name, "%s", osv.What).fix("%s", osv.Fix).because(err)
	case errors.Is(err, skills.ErrDigest):
		return refuse(ReasonFile, name, "its files were changed after it was built").fix("glovebox skill build %s", dir).because(err)
	case errors.As(err, &file):
		return refuse(ReasonBuilt, name, "%s", file.What).fix("%s", file.Hint).because(err)
	}
	return refuse(ReasonFailed, name, "nothing can be said about it: %v", err).because(err)
}
