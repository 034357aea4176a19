//go:build linux && !amd64

package walls

// Hostile is the argument with which the probe becomes a child that breaks a rule
// and should not survive it.
const Hostile = "hostile"

func oldKernel() []attempt { return nil }

// OtherABI does nothing: this architecture has no second ABI.
func OtherABI() {}
