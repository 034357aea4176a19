// Package host is the composition root: it wires the vault, the broker, the chamber,
// the audit log, the gate and the agents of one daemon, and owns their lifecycle.
//
// New opens everything and touches no module; Run serves until its context ends;
// Close flushes and releases, in the reverse order. Nothing below this package
// knows more than one of the others.
package host
