//go:build race

package compile

// slowdown is how much longer everything takes when the race detector watches, in
// tests only.
const slowdown = 20
