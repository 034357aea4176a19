// Package probe attacks the parts of the daemon that stand behind the gate: secrets,
// network, files, guests and skills. Each attack drives the real part; what counts is
// what arrived at a canary, never what the part says about itself.
package probe
