//go:build !race

package module_test

// underRace shortens what takes a minute when the race detector watches.
const underRace = false
