// Package mcp is the client of MCP servers (Model Context Protocol, 2026-07-28 and
// 2025-11-25): programs of strangers that offer tools.
//
// A server is the operator's choice and stays a stranger. Its tools are what a person
// approved, entry by entry, and a model is told nothing else: a listing that differs puts
// the server into quarantine before its next call, until a person has seen the
// difference. A local server runs in a box or not at all; a remote one is reached through
// the broker, and no answer leads anywhere else. Every frame is bounded and looked at
// before it is parsed. Results, errors, questions and instructions are text of a
// stranger; their label is the zero one, tainted and for the owner alone. Servers get no
// roots and no model, and their questions go to a person.
//
// The package starts no process, dials nothing and asks nobody: it declares what it needs
// as Spawner, Link and Human.
package mcp
