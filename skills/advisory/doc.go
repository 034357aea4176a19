// Package advisory answers whether packages have known advisories, from an index of OSV records that
// lies on this machine (https://ossf.github.io/osv-schema/): without data, with data that is too old
// or damaged, and for a package that has no pinned version, the answer is a refusal.
//
// Which versions an advisory is about is decided by osv-scalibr's matcher. Where that would skip
// what it cannot evaluate, the import rewrites the record so that it counts as affected.
package advisory
