// Package source says how an MCP server is reached, and reads that from the files in
// which others write it: server.json of the MCP registry, and the mcpServers object of
// other clients. A field that cannot be kept is an error, and none is passed over.
//
// Nothing here runs a command. A command line is read as the name of a package with an
// exact version, which is installed, verified and started by file; no shell and no
// launcher ever sees it.
package source

import (
	"encoding/base64"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"unicode"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// Registry is where a package comes from.
type Registry string

// The registries.
const (
	NPM  Registry = "npm"
	PyPI Registry = "pypi"
)

// Server is one configured server: exactly one of Package, Binary and Remote is set.
type Server struct {
	Name    abi.SkillName `json:"name"` // that we call it by; its tools are NAME.TOOL
	Package *Package      `json:"package,omitempty"`
	Binary  string        `json:"binary,omitempty"` // absolute path of a program
	Args    []string      `json:"args,omitempty"`   // of the program, as they are
	Env     []Variable    `json:"env,omitempty"`    // all that it is told; nothing of the daemon's
	Remote  *Remote       `json:"remote,omitempty"`
}

// Package is one exact version in a registry.
type Package struct {
	Registry  Registry `json:"registry"`
	Name      string   `json:"name"`
	Version   string   `json:"version"`
	Bin       string   `json:"bin,omitempty"`       // of its programs, where it is not the only one or named like the package
	Integrity string   `json:"integrity,omitempty"` // sha512-BASE64 of the archive, where the configuration says so
}

// PURL returns the package URL.
func (p Package) PURL() string {
	return "pkg:" + string(p.Registry) + "/" + strings.Replace(p.Name, "@", "%40", 1) + "@" + p.Version
}

// Variable is a name and its value. A value may hold {{secret:NAME}}: the server gets the
// placeholder, and the broker puts the value into requests to where it belongs.
type Variable struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Remote is a server on the network, over streamable HTTP.
type Remote struct {
	URL     string     `json:"url"`
	Headers []Variable `json:"headers,omitempty"`
}

// Bounds of one configuration.
const (
	maxArgs  = 64
	maxArg   = 4 << 10
	maxEnv   = 64
	maxValue = 4 << 10
)

var (
	npmNameRE  = regexp.MustCompile(`^(@[a-z0-9~-][a-z0-9._~-]*/)?[a-z0-9~-][a-z0-9._~-]*$`)
	pypiNameRE = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$`)
	semverRE   = regexp.MustCompile(`^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	pep440RE   = regexp.MustCompile(`^([0-9]+!)?[0-9]+(\.[0-9]+)*((a|b|rc)[0-9]+)?(\.post[0-9]+)?(\.dev[0-9]+)?(\+[a-z0-9.]+)?$`)
	envRE      = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,127}$`)
	headerRE   = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	binRE      = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	steersRE   = regexp.MustCompile(`(?i)^(LD_|DYLD_|NODE_|NPM_|PYTHON|PIP_|UV_|RUBY|PERL|JAVA_|_JAVA|GCONV|GLIBC|MALLOC_|BASH|ENV$|IFS$|PATH$|HOME$|SHELL|TMPDIR$|SSL_|OPENSSL_|CURL_|GIT_|[A-Z]+_PROXY$)`)
	privateRE  = regexp.MustCompile(`(?i)(token|secret|passw|api_?key|apikey|private_?key|credential|authorization|cookie)`)
	holderRE   = regexp.MustCompile(`\{\{secret:[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}\}\}`)
)

func refuse(why reason.Reason, fix, format string, args ...any) error {
	return &reason.Refusal{Reason: why, What: fmt.Sprintf(format, args...), Fix: fix}
}

// Check reports why the configuration cannot be used.
func (s Server) Check() error {
	if err := s.Name.Check(); err != nil {
		return &reason.Refusal{Reason: reason.Config, What: "the name of an MCP server is like that of a skill", Err: err}
	}
	kinds := 0
	for _, set := range []bool{s.Package != nil, s.Binary != "", s.Remote != nil} {
		if set {
			kinds++
		}
	}
	if kinds != 1 {
		return refuse(reason.Config, "", "MCP server %q needs one of a package, a program and an address", s.Name)
	}
	if s.Remote != nil && len(s.Args)+len(s.Env) > 0 {
		return refuse(reason.Config, "", "MCP server %q is remote and takes neither arguments nor environment", s.Name)
	}
	if len(s.Args) > maxArgs || len(s.Env) > maxEnv {
		return refuse(reason.Config, "", "MCP server %q has more than %d arguments or %d variables", s.Name, maxArgs, maxEnv)
	}
	var err error
	switch {
	case s.Package != nil:
		err = s.Package.check()
	case s.Remote != nil:
		err = s.Remote.check()
	case !filepath.IsAbs(s.Binary) || filepath.Clean(s.Binary) != s.Binary:
		err = refuse(reason.Launcher, "", "%.200q is no absolute path of a program", s.Binary)
	}
	for _, a := range s.Args {
		if len(a) > maxArg || !plain(a) {
			err = errors.Join(err, refuse(reason.Config, "", "argument %.80q of MCP server %q has characters that do not show", a, s.Name))
		}
	}
	return errors.Join(err, checkEnv(s.Env))
}

func (p Package) check() error {
	name, version := npmNameRE, semverRE
	switch p.Registry {
	case NPM:
	case PyPI:
		name, version = pypiNameRE, pep440RE
	default:
		return refuse(reason.Launcher, "", "packages come from npm or pypi, not from %.40q", p.Registry)
	}
	switch {
	case len(p.Name) > 214 || !name.MatchString(p.Name) || strings.Contains(p.Name, ".."):
		return refuse(reason.Config, "", "%.80q is no name of a package in %s", p.Name, p.Registry)
	case len(p.Version) > 128 || !version.MatchString(p.Version):
		return refuse(reason.Unpinned, fmt.Sprintf("name an exact version: %s@1.2.3", p.Name), "version %.80q of package %s is not one exact version", p.Version, p.Name)
	case p.Bin != "" && !binRE.MatchString(p.Bin):
		return refuse(reason.Config, "", "%.80q is no name of a program", p.Bin)
	}
	if p.Integrity == "" {
		return nil
	}
	sum, ok := strings.CutPrefix(p.Integrity, "sha512-")
	if b, err := base64.StdEncoding.DecodeString(sum); !ok || err != nil || len(b) != 64 {
		return refuse(reason.Config, "", "integrity %.120q is not sha512-BASE64", p.Integrity)
	}
	return nil
}

func (r Remote) check() error {
	u, err := abi.ParseURL(r.URL)
	if err != nil {
		return &reason.Refusal{Reason: reason.Config, What: fmt.Sprintf("%.200q is no address of an MCP server", r.URL), Err: err}
	}
	if u.Scheme != "https" && u.Host != "127.0.0.1" && u.Host != "::1" {
		return refuse(reason.Config, "use https", "%.200q is neither https nor on this machine", r.URL)
	}
	if len(r.Headers) > maxEnv {
		return refuse(reason.Config, "", "more than %d headers", maxEnv)
	}
	for _, h := range r.Headers {
		switch strings.ToLower(h.Name) {
		case "host", "content-length", "content-type", "accept", "connection", "transfer-encoding", "te", "upgrade", "cookie", "origin", "expect", "proxy-authorization":
			return refuse(reason.Config, "", "header %q is not the configuration's to set", h.Name)
		}
		if !headerRE.MatchString(h.Name) || strings.HasPrefix(strings.ToLower(h.Name), "mcp-") || !plain(h.Value) || len(h.Value) > maxValue {
			return refuse(reason.Config, "", "header %.80q cannot be sent", h.Name)
		}
		if err := private(h); err != nil {
			return err
		}
	}
	return nil
}

func checkEnv(env []Variable) error {
	seen := map[string]bool{}
	for _, v := range env {
		switch {
		case !envRE.MatchString(v.Name) || seen[v.Name]:
			return refuse(reason.Config, "", "variable %.80q is no name, or is there twice", v.Name)
		case steersRE.MatchString(v.Name):
			return refuse(reason.Config, "", "variable %q steers the runtime and not the server", v.Name)
		case len(v.Value) > maxValue || !plain(v.Value):
			return refuse(reason.Config, "", "the value of variable %q is too long, or has characters that do not show", v.Name)
		}
		seen[v.Name] = true
		if err := private(v); err != nil {
			return err
		}
	}
	return nil
}

// private refuses a secret that stands in the configuration itself.
func private(v Variable) error {
	if privateRE.MatchString(v.Name) && v.Value != "" && !holderRE.MatchString(v.Value) {
		return refuse(reason.Config, "glovebox secret set "+strings.ToLower(strings.ReplaceAll(v.Name, "_", "-"))+", and write {{secret:"+strings.ToLower(strings.ReplaceAll(v.Name, "_", "-"))+"}} here",
			"%q looks like a secret, and a configuration holds none", v.Name)
	}
	if strings.Contains(holderRE.ReplaceAllString(v.Value, ""), "${") {
		return refuse(reason.Config, "", "the value of %q is to be filled in by another program", v.Name)
	}
	return nil
}

func plain(text string) bool {
	for _, r := range text {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || r == unicode.ReplacementChar {
			return false
		}
	}
	return true
}
