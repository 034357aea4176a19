// Package gate holds the rules of provenance: what a session has seen and a call in, a
// judgement out.
//
// It is pure: no I/O, no clock, no global state. Zero values deny or ask: a zero State
// is tainted and knows no word of the owner, a zero Judgement denies.
package gate
