package main

// packages are the controls between the registry of npm and a server in its box.
func packages() []Control {
	const (
		registry   = "mcp/packages/registry.go"
		resolve    = "mcp/packages/resolve.go"
		unpack     = "mcp/packages/unpack.go"
		known      = "mcp/packages/known.go"
		provenance = "mcp/packages/provenance.go"
		store      = "mcp/packages/store.go"
		start      = "mcp/packages/start.go"
		pkg        = "mcp/packages."
		hostile    = pkg + "TestHostileRegistryIsRefused"
		touched    = pkg + "TestTouchedFilesAreNotStarted"
		advised    = pkg + "TestAdvisoriesAreAskedAboutEverything"
		built      = pkg + "TestProvenance"
		regress    = pkg + "TestProvenanceDoesNotRegress"
	)
	return []Control{
		{"an archive has its integrity", registry, "!found || subtle.ConstantTimeCompare(got[:], want[:]) != 1 {", "!found || subtle.ConstantTimeCompare(got[:], want[:]) > 1 {", hostile},
		{"packages come from one registry", registry, "u.Origin != r.origin || !strings.HasPrefix(url, r.base+\"/\")", "u.Origin == \"\"", hostile},
		{"a registry's answer is bounded", registry, "case n > limit:", "case n > 1<<40:", hostile},
		{"a registry's answer is about what was asked", registry, "err == nil && p.Name != name {", "false {", hostile},
		{"a manifest is of its version", registry, "m.Name != p.Name || m.Version != version {", "false {", hostile},
		{"an error is no missing provenance", registry, "case http.StatusNotFound:", "case http.StatusNotFound, http.StatusServiceUnavailable:", hostile},
		{"a tag stands for no version", resolve, "if validVersion(versions) { // no tag", "if t := p.Tags[versions]; t != \"\" {\n\t\treturn t == v\n\t}\n\tif validVersion(versions) { // no tag", hostile},
		{"dependencies come from the registry", resolve, "strings.ContainsAny(n.versions, \":/#@\\\\\") {", "false {", hostile},
		{"names of packages are names", resolve, "if !validName(name) || !validName(n.of) {", "if false {", hostile},
		{"no package brings others along", resolve, "strings.ContainsAny(bundled, `\"t`)", "false && strings.ContainsAny(bundled, `\"t`)", hostile},
		{"a name in an archive stays in its folder", unpack, "first == \"..\" || first == \".\", !fs.ValidPath(name), name == \".\",", "name == \".\",", hostile},
		{"an archive holds plain files", unpack, "case h.Typeflag != tar.TypeReg || h.Linkname != \"\":", "case false:", hostile},
		{"a file is in an archive once", unpack, "case seen[name]:", "case false:", hostile},
		{"no package within a package", unpack, "case strings.Contains(\"/\"+name+\"/\", \"/node_modules/\"):", "case false:", hostile},
		{"what is unpacked is bounded", unpack, "h.Size > maxFile ||", "h.Size < 0 ||", hostile},
		{"an archive is of its package", unpack, "if is.Name != p.Name ||", "if false && is.Name != p.Name ||", hostile},
		{"a program is within its package", unpack, "!ok || !fs.ValidPath(file) || file == \".\" {", "!ok {", hostile},
		{"a version keeps its content", known, "ok && was != p.Integrity {", "false && ok && was != p.Integrity {", pkg + "TestVersionKeepsItsContent"},
		{"a provenance does not go", known, "case now == nil:\n", "case now == nil:\n\t\treturn nil\n\tcase false:\n", regress},
		{"a provenance does not move", known, "now != nil && *now == was:", "now != nil:", regress},
		{"what was seen is read or nothing is installed", known, "case k.Schema != schemaKnown:", "case false:", regress},
		{"every provenance holds", provenance, "\t\tif err != nil {\n\t\t\treturn nil, &reason.Refusal{Reason: reason.Provenance", "\t\tif err != nil {\n\t\t\tcontinue\n\t\t}\n\t\tif false {\n\t\t\treturn nil, &reason.Refusal{Reason: reason.Provenance", built},
		{"an attestation that was announced is there", provenance, "origin == nil && claimed != \"\"", "false && claimed != \"\"", built},
		{"advisories are asked before the seal is placed", store, "if in.Findings, err = s.advised(ctx, in.Pin, seal, app); err != nil {", "if false {", advised},
		{"advisories are asked at each start", start, "\tfindings, err := s.advised(ctx, pin, seal, app)\n", "\tvar findings []advisory.Finding\n\terr = nil\n", advised},
		{"a known advisory blocks a server", start, "if f.Verdict != advisory.Block {", "if true {", advised},
		{"files are held against the seal", start, "err == nil && seen.digest != seal.Tree {", "false {", touched},
		{"a seal is held against the pin", start, "if abi.DigestOf(text) != pin {", "if false {", touched},
		{"a server that is killed halfway is not there", store, "stage, err := os.MkdirTemp(s.cfg.Dir, stagePrefix)", "stage, err := os.MkdirTemp(s.cfg.Dir, \"now-\")", pkg + "TestKilledInstallation"},
		{"what was sealed is not written", store, "err = protect(app)", "err = nil", pkg + "TestTreeIsPinned"},
		{"an exchange at the start ends the server", start, "l.seen.held(l.Mount.Host); err != nil || !same {", "l.seen.held(l.Mount.Host); false && (err != nil || !same) {", pkg + "TestExchangeAtTheStartIsSeen"},
		{"no box, no server", start, "x == nil || ok && boxer == nil {", "ok && boxer == nil {\n\t\treturn nil, sandbox.ErrNoSandbox\n\t}\n\tif false {", pkg + "TestNoSandboxNoServer"},
		{"modules of a program are asked about", start, "return sbom.FromBuildInfo(info)", "_ = info\n\treturn &sbom.List{}, nil", pkg + "TestProgramOfGo"},
	}
}
