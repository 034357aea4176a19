// Package registry reads and makes signed indexes of skills by The Update Framework
// (TUF, https://theupdateframework.github.io/specification/latest/).
//
// A registry is a folder of static files. Its root, signed by offline keys, is pinned
// by the operator and never taken from the network; below it stand the registry's own
// targets and one delegated role for each publisher:
//
//	root → targets: index.json, revocations.json, osv/*.zip, trust/*.json
//	     → targets → PUBLISHER: PUBLISHER/index.json, PUBLISHER/*
//	snapshot, timestamp: what is current, until when
//
// The index says what is current and allowed. Who built a skill is said by its own
// signature, which package skills/signature judges: what an index claims about
// identity and capabilities has to equal it and never replaces it.
//
// A Client keeps what it verified, with the highest version of each role, in a
// database of the daemon: a mirror that goes back is refused after the cache was wiped
// too. Everything that is refused is a *Refusal with one Reason.
package registry
