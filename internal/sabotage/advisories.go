package main

// advisories are the controls between a package and what is known against it.
func advisories() []Control {
	const (
		check  = "skills/advisory/check.go"
		record = "skills/advisory/record.go"
		load   = "skills/advisory/import.go"
		feed   = "skills/advisory/archive.go"
		policy = "skills/advisory/policy.go"
		names  = "skills/advisory/names.go"
		pkg    = "skills/advisory."
	)
	return []Control{
		{"no data is no answer", check, "if i < 0 {", "if i < 0 {\n\t\t\tr.Data = append(r.Data, Source{Ecosystem: p.Ecosystem})\n\t\t\tx.whole[p.Ecosystem] = &known{findings: map[sbom.Package][]Finding{}}\n\t\t\tcontinue", pkg + "TestWithoutDataOrWithOldDataNothingPasses"},
		{"old data is no answer", check, "if !s.Fresh(now, maxAge) {", "if false {", pkg + "TestWithoutDataOrWithOldDataNothingPasses"},
		{"data from the future is no answer", "skills/advisory/index.go", "age <= maxAge && age >= -clockSkew", "age <= maxAge", pkg + "TestWithoutDataOrWithOldDataNothingPasses"},
		{"damaged data is no answer", "skills/advisory/seal.go", "if have != s.seal {", "if false && have != s.seal {", pkg + "TestRowsThatAreMissingOrChangedAreNoticed"},
		{"a missing record is no answer", check, "if facts == nil {\n\t\t\treturn nil, errors.New(\"a record is missing\")", "if facts == nil && errors.New(\"\") != nil {\n\t\t\tcontinue", pkg + "TestRecordThatVanishesBesideAReaderIsNoticed"},
		{"a package has one version", names, "len(p.Version) > maxVersion || !reg.pinned.MatchString(p.Version)", "len(p.Version) > maxVersion", pkg + "TestPackagesThatCannotBeJudged"},
		{"names have one spelling", record, "name := reg.name(a.GetPackage().GetName())", "name := a.GetPackage().GetName()\n\t_ = reg", pkg + "TestWhatIsKnownAgainstAPackage"},
		{"versions have one spelling", check, "slices.Compact([]string{p.Version, canonical(p.Ecosystem, p.Version)})", "[]string{p.Version}", pkg + "TestWhatIsKnownAgainstAPackage"},
		{"commits do not hide versions", record, "case osvschema.Range_GIT:\n\t\t\tcontinue\n\t\tcase osvschema", "case osvschema.Range_GIT, osvschema", pkg + "TestWhatTheMatcherSkipsIsAffected"},
		{"what is not decided affects", record, "if len(out) == 0 && len(a.GetVersions()) == 0 {", "if false {", pkg + "TestWhatTheMatcherSkipsIsAffected"},
		{"a range of an unknown type affects", record, "default:\n\t\t\treturn every", "default:\n\t\t\tcontinue", pkg + "TestWhatTheMatcherSkipsIsAffected"},
		{"a range that nothing opens affects", record, "if !opens(r) {", "if false {", pkg + "TestWhatTheMatcherSkipsIsAffected"},
		{"one broken record ends an import", load, "if err != nil && !errors.Is(err, errElsewhere) {\n\t\treturn", "if err != nil && !errors.Is(err, errElsewhere) {\n\t\treturn nil\n\t}\n\tif false {\n\t\treturn", pkg + "TestImportIsAllOrNothing"},
		{"an id is there once", load, "case w.ids[r.id]:", "case false:", pkg + "TestImportIsAllOrNothing"},
		{"no record is from the future", load, "case r.modified.After(w.o.Now.Add(clockSkew)):", "case false:", pkg + "TestImportIsAllOrNothing"},
		{"an archive without records is none", load, "if d.Records == 0 {", "if false {", pkg + "TestImportIsAllOrNothing"},
		{"old data replaces nothing", load, "d.Newest.Unix() < w.before.Int64 && !w.o.Force", "false", pkg + "TestOlderDataReplacesNothingUnlessForced"},
		{"data is as old as its records", load, "if as.Before(d.Newest) || as.After(w.o.Now.Add(clockSkew)) {", "if false {", pkg + "TestAgeIsOfTheDataNotOfTheImport"},
		{"a record is bounded", feed, "case int64(len(text)) > left.record:", "case false:", pkg + "TestImportIsAllOrNothing"},
		{"the records are bounded", feed, "case left.total < 0:", "case false:", pkg + "TestImportIsAllOrNothing"},
		{"the list of entries is bounded", feed, "b.left -= int64(len(p)); b.left < 0", "false", pkg + "TestImportIsAllOrNothing"},
		{"a folder's links are not followed", feed, "case !d.Type().IsRegular():", "case false:", pkg + "TestFolder"},
		{"malicious code blocks at any threshold", policy, "!f.Malicious && f.Severity != Unrated", "f.Severity != Unrated", pkg + "TestSeverityBlocksFromTheThreshold"},
		{"what nobody has rated blocks", policy, "f.Severity != Unrated && f.Severity < p.Severity", "f.Severity < p.Severity", pkg + "TestSeverityBlocksFromTheThreshold"},
		{"a waiver of a package lets no malice in", policy, "w.Bundle == \"\" && f.Malicious || ", "", pkg + "TestWaiver"},
		{"a waiver expires", policy, "if now.Before(w.Expires) && w.covers", "if w.covers", pkg + "TestWaiver"},
		{"a waiver is for one version", policy, "w.ID == f.ID && named == f.Package", "w.ID == f.ID && named.Name == f.Package.Name", pkg + "TestWaiver"},
	}
}
