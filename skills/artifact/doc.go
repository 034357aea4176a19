// Package artifact turns a built skill into an OCI artifact and back, and moves it to
// and from registries, folders, single files and static web servers.
//
// The artifact's name is the digest of its image manifest, which follows from the files
// of the skill and from nothing else: no time, no order of a directory, no machine. Who
// holds the folder can make the manifest again, so the signature that names its digest
// holds for the folder, the single file and the copy in a registry alike. Anything that
// does not give exactly the same manifest when it is made again is refused, which leaves
// a hostile registry nothing to say that is not in the files.
//
// Nothing here verifies a signature. Fetch and ReadTar return what claims to be one, and
// the caller decides (skills/signature).
package artifact
