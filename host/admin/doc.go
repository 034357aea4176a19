// Package admin is the HTTP API of the daemon: loopback only, one bearer token,
// strict JSON in, application/problem+json (RFC 9457) for every error.
//
// It holds no logic of its own: what a route does is asked of a Backend.
package admin
