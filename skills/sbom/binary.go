package sbom

import (
	"runtime/debug"
	"strings"
)

// FromBuildInfo reads what the go command writes into a program: the modules that it was
// built from, the main one where it has a version, and the standard library.
func FromBuildInfo(info *debug.BuildInfo) (*List, error) {
	packages, err := modules(info)
	if err != nil {
		return nil, err
	}
	release, _, _ := strings.Cut(info.GoVersion, " ") // experiments follow
	std, refused := stdlibVersion(release)
	if refused != nil {
		return nil, refused
	}
	packages = append(packages, Package{Go, Stdlib, std})
	if v := info.Main.Version; info.Main.Path != "" && v != "" && v != "(devel)" {
		packages = append(packages, Package{Go, info.Main.Path, strings.TrimPrefix(v, "v")})
	}
	return newList(SourceGo, packages)
}
