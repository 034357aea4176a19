package signature

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/sigstore/sigstore-go/pkg/fulcio/certificate"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// Publisher is somebody whose skills the operator trusts. It has exactly one of Key
// and Identity.
type Publisher struct {
	Name        string    // of the operator's choosing, shown as the signer
	Skills      []string  // what it may sign: a name, a name's beginning as "acme-*", or "*"; empty is nothing
	Key         *Key      // pinned
	Identity    *Identity // certified under TrustedRoot
	TrustedRoot string    // key of Config.Roots; "" is the public good. A key without a window needs none
}

// Identity is who a certificate must name. Issuer and exactly one of SAN and
// SANPattern are required.
type Identity struct {
	Issuer            string // OIDC issuer, exact
	SAN               string // subject alternative name, exact: an address, or the URI of a workflow
	SANPattern        string // regular expression (RE2) for the whole name, where it ends in a ref
	SourceRepository  string // for CI, exact: https://github.com/acme/weather
	RunnerEnvironment string // for CI, exact: github-hosted
}

// allows reports whether the publisher may sign a skill of that name.
func (p *Publisher) allows(skill abi.SkillName) bool {
	for _, s := range p.Skills {
		start, all := strings.CutSuffix(s, "*")
		if s == string(skill) || all && strings.HasPrefix(string(skill), start) {
			return true
		}
	}
	return false
}

// check reports what of a publisher is malformed.
func (p *Publisher) check() error {
	if p.Name == "" {
		return errors.New("a publisher without a name")
	}
	if (p.Key == nil) == (p.Identity == nil) {
		return fmt.Errorf("publisher %q: want exactly one of key and identity", p.Name)
	}
	for _, s := range p.Skills {
		if s == "*" {
			continue
		}
		if err := abi.SkillName(strings.TrimSuffix(s, "-*")).Check(); err != nil {
			return fmt.Errorf("publisher %q: skills: %q is neither a name, nor the beginning of names as \"acme-*\", nor \"*\"", p.Name, s)
		}
	}
	return nil
}

// matcher returns the identity as the library checks it.
func (id *Identity) matcher() (verify.CertificateIdentity, error) {
	var none verify.CertificateIdentity
	if id.Issuer == "" {
		return none, errors.New("identity: the issuer is missing")
	}
	if (id.SAN == "") == (id.SANPattern == "") {
		return none, errors.New("identity: want exactly one of san and san_pattern")
	}
	pattern := ""
	if id.SANPattern != "" {
		// Alone first: "a)|(b" compiles inside of the group and escapes it.
		if _, err := regexp.Compile(id.SANPattern); err != nil {
			return none, fmt.Errorf("identity: san_pattern: %w", err)
		}
		pattern = `^(?:` + id.SANPattern + `)$`
	}
	san, err := verify.NewSANMatcher(id.SAN, pattern)
	if err != nil {
		return none, fmt.Errorf("identity: %w", err)
	}
	issuer, err := verify.NewIssuerMatcher(id.Issuer, "")
	if err != nil {
		return none, fmt.Errorf("identity: %w", err)
	}
	return verify.NewCertificateIdentity(san, issuer, certificate.Extensions{
		SourceRepositoryURI: id.SourceRepository, RunnerEnvironment: id.RunnerEnvironment,
	})
}
