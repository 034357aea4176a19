package main

// parts are the controls on what modules say that they were built from, and on what is taken
// over from other hosts.
func parts() []Control {
	const (
		module  = "skills/sbom/module.go"
		reads   = "skills/sbom.TestModulesAreRefused"
		doc     = "skills/sbom.TestDocumentsAreRefused"
		imports = "skills/importer/importer.go"
		formats = "skills/importer.TestFormats"
	)
	return []Control{
		{"two lists of one kind are refused", module, "twice := found[source]; twice {", "twice := found[source]; false && twice {", reads},
		{"a list of crates is inflated up to a bound", module, "if len(text) > maxInflated {", "if false {", reads},
		{"a dependency has a pinned version", "skills/sbom/sbom.go", "if !p.pinned() {", "if false {", doc},
		{"an empty list is not none", "skills/sbom/cyclonedx.go", "case !l.None && len(l.Packages) == 0:", "case false:", doc},
		{"components within components count", "skills/sbom/cyclonedx.go", "components(append(packages, p), c); err", "append(packages, p), (*Error)(nil); err", doc},
		{"module and list agree", "skills/sbom/agree.go", "theirs); d != \"\" {", "theirs); false && d != \"\" {", "skills/sbom.TestAgree"},
		{"a Go module's list names the standard library", "skills/sbom/agree.go", "if module.IsGo() && document", "if false && module.IsGo() && document", "skills/sbom.TestAgree"},
		{"a locked package has a digest", "skills/sbom/locks.go", "if e[\"integrity\"] == nil &&", "if false && e[\"integrity\"] == nil &&", "skills/sbom.TestLocksAreRefused"},
		{"one crate without a source", "skills/sbom/locks.go", "if len(own) != 1 {", "if false {", "skills/sbom.TestLocksAreRefused"},
		{"the list of dependencies is under a digest", "skills/build.go", "files = append(files, abi.File{Name: SBOMFile, Digest: abi.DigestOf(parts), Size: int64(len(parts))})", "_ = parts", "skills.TestOpenChecksEveryDigest"},
		{"the version of Go is the module's", "skills/dependencies.go", " || !bytes.Contains(raw, []byte(v))", "", "skills.TestBuildListsDependencies"},
		{"a second build is compared", "skills/verify.go", "d.Have != d.Built {", "false && d.Have != d.Built {", "skills.TestRebuildTellsWhatDiffers"},
		{"a second build compiles", "skills/verify.go", "case rel == \".\", slices.Contains(made, rel):", "case rel == \".\", slices.Contains(made[1:], rel):", "skills.TestRebuildTellsWhatDiffers"},
		{"an imported grant is a draft", imports, "s.Grant.Draft = true", "s.Grant.Draft = false", formats},
		{"values that look like secrets stay behind", imports, "case secretRE.MatchString(name):", "case false:", formats},
		{"an imported skill names public origins", imports, "case abi.Origin(origin).Special():", "case false:", formats},
		{"an imported module has the digest that was said", "skills/importer/files.go", "s.sha256 != \"\" && !strings", "false && !strings", formats},
		{"an imported module is one that may run", "skills/importer/files.go", "\tif err != nil {\n\t\ts.Manifest.ABI =", "\tif false {\n\t\ts.Manifest.ABI =", "skills/importer.TestModulesThatNoHostRunsStayBehind"},
		{"hidden prose is told", "skills/importer/skillmd.go", "marks != \"\" {", "false && marks != \"\" {", "skills/importer.TestAgentSkills"},
		{"only texts are carried over", "skills/importer/files.go", "case !(deeper && carried) && name", "case false && !(deeper && carried) && name", "skills/importer.TestFoldersCarryTextsAndNoScripts"},
	}
}
