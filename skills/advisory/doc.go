// Package advisory answers whether packages have known advisories, from an index of OSV records that
// lies on this machine: without data, or with data that is too old, the answer is a refusal.
package advisory
