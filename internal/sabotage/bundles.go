package main

// bundles are controls of the gate that the containment benchmark must miss as well.
func bundles() []Control {
	const (
		gate = "skills/install/gate.go"
		test = "internal/contain/probe.TestBundlesThatMustNotLoad"
	)
	return []Control{
		{"the benchmark sees packages that nobody asked about", gate, "if err := g.advised(ctx, a, k); err != nil {", "if err := g.advised(ctx, a, k); false && err != nil {", test},
		{"the benchmark sees bundles that were withdrawn", gate, "if err := g.revoked(a, k); err != nil {", "if err := g.revoked(a, k); false && err != nil {", test},
	}
}
