// Package abi is the contract across the WebAssembly boundary: the types of the
// manifest, the grant, the effective rights and the messages, with their codecs.
//
// It decides nothing and performs no I/O. Everything above it, and every other
// host that wants to run the same skills, shares these types. Stable from 1.0.
package abi
