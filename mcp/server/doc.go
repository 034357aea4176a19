// Package server is our own MCP server (Model Context Protocol, 2026-07-28 and
// 2025-11-25): it offers tools of this host to programs of the operator's.
//
// It offers nothing by itself. What a client sees and calls is asked of a Gate at each
// request, which the host implements with the dispatcher that agents use: the same
// grants, the same approvals, the same audit log. A client is who authenticated as it,
// and has sessions of its own; a tool that is not exported to it does not exist. Results
// carry their label.
package server
