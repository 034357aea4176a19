package source

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// Command reads a command line as other clients write it: what is to be installed, and
// the arguments of its program.
//
//	npx [-y] NAME@1.2.3 [ARG]...
//	npx [-y] --package=NAME@1.2.3 PROGRAM [ARG]...
//	uvx NAME==1.2.3 [ARG]...          uvx --from NAME==1.2.3 PROGRAM [ARG]...
//	/path/of/a/program [ARG]...
//
// Everything else is refused with a reason of its own: a shell, a launcher that is not
// known, a version that floats.
func Command(argv []string) (p *Package, binary string, args []string, err error) {
	if len(argv) == 0 || argv[0] == "" {
		return nil, "", nil, refuse(reason.Launcher, "", "there is no command")
	}
	if len(argv) == 1 && strings.ContainsAny(argv[0], " \t\n;|&$`<>") {
		return nil, "", nil, refuse(reason.Shell, "write the program and each argument as an item of its own", "%.80q is a line for a shell", argv[0])
	}
	name := strings.TrimSuffix(strings.ToLower(filepath.Base(strings.ReplaceAll(argv[0], `\`, "/"))), ".exe")
	switch name = strings.TrimSuffix(name, ".cmd"); name {
	case "sh", "bash", "dash", "zsh", "fish", "ksh", "ash", "busybox", "cmd", "powershell", "pwsh", "env", "sudo", "xargs", "nohup", "eval", "exec", "osascript":
		return nil, "", nil, refuse(reason.Shell, "name the package itself, as in: npx NAME@1.2.3", "%q runs what its arguments say", name)
	case "npx":
		p, args, err = npx(argv[1:])
		return p, "", args, err
	case "uvx":
		p, args, err = uvx(argv[1:])
		return p, "", args, err
	case "npm", "pnpm", "pnpx", "yarn", "bun", "bunx", "deno", "uv", "pip", "pipx", "python", "python3", "node", "go", "docker", "podman", "java", "ruby", "perl", "php", "dotnet", "dnx":
		return nil, "", nil, refuse(reason.Launcher, "name the package itself, as in: npx NAME@1.2.3", "what %q would run is not known here", name)
	}
	if !filepath.IsAbs(argv[0]) || filepath.Clean(argv[0]) != argv[0] {
		return nil, "", nil, refuse(reason.Launcher, "write its absolute path", "program %.80q would be searched for", argv[0])
	}
	return nil, argv[0], slices.Clone(argv[1:]), nil
}

func npx(args []string) (*Package, []string, error) {
	spec, named := "", false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") && args[0] != "--" {
		flag, value, inline := strings.Cut(args[0], "=")
		args = args[1:]
		switch flag {
		case "-y", "--yes", "-q", "--quiet":
			if inline {
				return nil, nil, refuse(reason.Launcher, "", "npx %s takes no value", flag)
			}
		case "-p", "--package":
			if !inline && len(args) > 0 {
				value, args = args[0], args[1:]
			}
			if named {
				return nil, nil, refuse(reason.Launcher, "", "npx with two packages runs a program of which one is not known")
			}
			spec, named = value, true
		case "-c", "--call":
			return nil, nil, refuse(reason.Shell, "", "npx %s runs a line in a shell", flag)
		default:
			return nil, nil, refuse(reason.Launcher, "", "npx with the option %.40q is not known here", flag)
		}
	}
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return nil, nil, refuse(reason.Launcher, "name the package, as in: npx NAME@1.2.3", "npx without a program runs a shell")
	}
	bin := ""
	if named {
		bin = args[0]
	} else {
		spec = args[0]
	}
	p, err := npmSpec(spec)
	if err != nil {
		return nil, nil, err
	}
	p.Bin = bin
	return p, slices.Clone(args[1:]), p.check()
}

// npmSpec reads NAME@VERSION. Aliases, tags, ranges, git and tarballs are no version.
func npmSpec(spec string) (*Package, error) {
	at := strings.LastIndex(spec, "@")
	if at <= 0 || strings.ContainsAny(spec[at:], ":/") || strings.Contains(spec[:at], ":") {
		return nil, refuse(reason.Unpinned, "name an exact version: NAME@1.2.3", "%.120q is not a package of the registry with one exact version", spec)
	}
	p := &Package{Registry: NPM, Name: spec[:at], Version: spec[at+1:]}
	return p, p.check()
}

var pypiSpecRE = regexp.MustCompile(`^([^=@\[\] ]+)(==|@)([^=@ ]+)$`)

func uvx(args []string) (*Package, []string, error) {
	spec, named := "", false
	for len(args) > 0 && strings.HasPrefix(args[0], "-") {
		flag, value, inline := strings.Cut(args[0], "=")
		args = args[1:]
		if flag != "--from" || named {
			return nil, nil, refuse(reason.Launcher, "", "uvx with the option %.40q is not known here", flag)
		}
		if !inline && len(args) > 0 {
			value, args = args[0], args[1:]
		}
		spec, named = value, true
	}
	if len(args) == 0 {
		return nil, nil, refuse(reason.Launcher, "name the package, as in: uvx NAME==1.2.3", "uvx without a program")
	}
	bin := ""
	if named {
		bin = args[0]
	} else {
		spec = args[0]
	}
	m := pypiSpecRE.FindStringSubmatch(spec)
	if m == nil {
		return nil, nil, refuse(reason.Unpinned, "name an exact version: NAME==1.2.3", "%.120q is not a package of the registry with one exact version", spec)
	}
	p := &Package{Registry: PyPI, Name: m[1], Version: m[3], Bin: bin}
	return p, slices.Clone(args[1:]), p.check()
}
