package sandbox

import (
	"fmt"
	"slices"
	"time"
)

// ProfileName names a profile.
type ProfileName string

// The profiles: what a program of a kind needs of the system, and no more.
const (
	Exec      ProfileName = "exec"       // commands of an agent: all of the system's programs
	MCPNode   ProfileName = "mcp-node"   // a server for node: the interpreter and its libraries
	MCPPython ProfileName = "mcp-python" // a server for Python: the interpreter and its standard library
	MCPBinary ProfileName = "mcp-binary" // a server that is a program: its libraries
)

// Profile is what a box shows of the system. It says nothing about network, name
// spaces, capabilities or system calls: those are the same in every box.
type Profile struct {
	Name ProfileName
	// System are files and directories of the host that are shown read-only where
	// they are; missing ones are left out. Besides, the program itself, its loader
	// and its libraries are shown.
	System []string
	Python bool     // show the standard library of the interpreter
	Shm    int64    // bytes of /dev/shm; 0 = none
	Runs   bool     // what the program writes may be executed
	Env    []string // NAME=VALUE
	Limits Limits   // to start from
	Size   int64    // of /tmp, to start from
}

// Profiles returns all profiles.
func Profiles() []Profile {
	server := Limits{
		Wall: Unlimited, CPU: Unlimited, Memory: 1 << 30, Procs: 128, Files: 256, FileSize: 64 << 20, Output: Unlimited,
	}
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/tmp", "TMPDIR=/tmp", "LANG=C.UTF-8"}
	return []Profile{
		{
			Name: Exec,
			System: []string{
				"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32",
				"/etc/alternatives", "/etc/ld.so.cache", "/etc/localtime", "/etc/mime.types", "/etc/ssl/certs", "/etc/ssl/openssl.cnf",
			},
			Runs: true, Shm: 64 << 20, Env: env, Size: 256 << 20,
			Limits: Limits{
				Wall: 2 * time.Minute, CPU: 60 * time.Second, Memory: 2 << 30, Procs: 256, Files: 1024, FileSize: 256 << 20, Output: 1 << 20,
			},
		},
		{Name: MCPNode, Env: slices.Concat(env, []string{"NODE_ENV=production"}), Limits: server, Size: 64 << 20},
		{
			Name: MCPPython, Python: true, Shm: 16 << 20, Limits: server, Size: 64 << 20,
			Env: slices.Concat(env, []string{"PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1"}),
		},
		{Name: MCPBinary, Env: env, Limits: server, Size: 64 << 20},
	}
}

// FindProfile returns the profile with a name.
func FindProfile(name ProfileName) (Profile, error) {
	all := Profiles()
	i := slices.IndexFunc(all, func(p Profile) bool { return p.Name == name })
	if i < 0 {
		return Profile{}, fmt.Errorf("%w: there is no profile %q", ErrBox, name)
	}
	return all[i], nil
}
