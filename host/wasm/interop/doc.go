// Package interop holds plugins in the shapes of other ecosystems (hyper-mcp v1 and
// v2, mcp.run, plain Extism), and the tests that they run here unmodified. It also
// checks that the committed modules of the example skills are what their sources
// compile to. It has no code of its own.
package interop
