//go:build race

package wasm

// raceDetector holds memory of its own, which the kernel counts as ours.
const raceDetector = true
