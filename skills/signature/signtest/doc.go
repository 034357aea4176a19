// Package signtest is a Sigstore authority for tests: it issues certificates, log entries and
// timestamps that verify, and those that must not.
package signtest
