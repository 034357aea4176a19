// Package importer turns the configuration of other hosts into skills of this one: Extism
// manifests, hyper-mcp configurations, mcp.run installations, wassette policies and folders in
// the Agent Skills format.
//
// What it reads was written by others for hosts that trust more. It becomes a request and the
// draft of a grant, which grants nothing; what has no counterpart here is listed with the
// reason, and values that look like secrets are neither copied nor shown. Nothing is fetched.
// Prose is copied as data: no host of this tree gives it to a model as instructions.
package importer
