//go:build !race

package compile

// slowdown is 1 but for tests that run under the race detector.
const slowdown = 1
