// Package audit keeps a hash-chained, append-only log of what the agent asked for,
// what the gate said and what happened, and verifies it.
//
// A record is canonical JSON (RFC 8785) that holds the SHA-256 of the record before
// it. Text is redacted first and hashed second, so the chain covers exactly what is
// stored; arguments enter only as an HMAC under a key of the log, which shows
// equality and nothing else. Every 1,000 records, every 60 s with activity and at
// Close an Ed25519 checkpoint signs the head of the chain. The signing key and a copy
// of the last checkpoint, the anchor, lie outside the database: putting back an old
// database, or cutting its tail, does not go unseen.
//
// What the chain cannot show is a record that was never written, and the work of
// somebody who holds the key file and rewrites everything; for that, keep a
// checkpoint elsewhere and verify from it.
package audit
