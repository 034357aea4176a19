// Package packages installs MCP servers out of npm and from programs of Go, and verifies
// everything that was installed before each start.
//
// The tree of a package is resolved and fetched here, over the broker: no package
// manager runs, so none of its scripts does, none of its archives is unpacked by it, and
// none of its registries is asked beside the one that the operator named. Each archive
// must have the SHA-512 that the registry gave and an earlier installation saw. The files
// lie read-only in a folder that is named by the digest of a seal over all of them; that
// digest, the pin, is what a configuration keeps.
//
// A start reads every file again, asks the advisories about every package again, and runs
// one file, by name, in a box. There is no other way to run what was installed.
package packages
