// Package skills is the author's and the daemon's view of a skill's folder: opening a
// built bundle with its digests checked, starting a new skill, building it, running
// its tests on a real chamber and telling what it asks for.
//
// It owns the files skill.yaml, skill.wasm, skill.manifest.json and tests/*.yaml. It
// runs no guest itself: what needs a chamber goes through [Lister] and [Runner].
package skills
