package main

func provenance() []Control {
	const flow, record, named = "host/policy/gate/flow.go", "internal/atom/record.go", "host/policy/gate.TestMandateIsForWhomTheOwnerNamed"
	const judge, others = "host/policy/gate/judge.go", "host/policy/gate.TestNamesOfOthersInARecord"
	return []Control{
		{"rule 6: a mandate is for whom the owner named", flow, "return is(l) && s.named(l.text) })", "return is(l) })", named},
		{"a name of two values is nobody's", flow, "mentions(s.Owner, n) && !s.disputed(n, value)", "mentions(s.Owner, n)", named},
		{"a peer gives nobody a name", "host/policy/gate/state.go", "if src.Label.Integrity == label.Owner {", "if true {", named},
		{"a given name is one of the directory", flow, "s.called(s.Own, value[0], 0)", "s.called(s.Own, value[0], 1)", named},
		{"a name is mentioned as a whole", record, "to < len(t.seq) && capital(t.seq[to])", "false", "internal/atom.TestMentions"},
		{"a name is that of the record's own field", record, "nameRE.MatchString(field[0].Value) && ", "", "internal/atom.TestRecordsNameTheirValues"},
		{"only the host mints identifiers", "host/agent/run.go", "if p.tool.Native {", "if true {", "host/agent.TestOnlyTheHostMints"},
		{"what was compared is what is sent", flow, "if l.text.Spells(l.value) {", "if true {", "host/policy/gate.TestComparedIsSent"},
		{"what is not small is not inert", "host/gate.go", "role == abi.RoleInert && (!ok || !p.small())", "role == abi.RoleInert && (!ok || false && !p.small())", "host.TestDescriptorsAreRaisedByRule"},
		{"what is left out needs a default", flow, "if def == nil || args[name]", "if args[name]", "host/policy/gate.TestAbsentControlNeedsADefault"},
		{"a default comes from the schema", "host/policy/schema.go", "\td.Defaults = map[string]json.RawMessage{}\n", "", "host/policy.TestDefaultsComeFromTheSchema"},
		{"a pointer that leads nowhere hides nobody", flow, "len(found) == 0 && err == nil {", "false {", "host/policy/gate.TestPointersFindWhoReceives"},
		{"pointers go into lists", "internal/atom/pointer.go", "all[i] = Follow(e, pointer)", "_, _ = i, e", "internal/atom.TestFollow"},
		{"a minted identifier is its store's", flow, "return m.Skill == ref.Skill && ", "return ", "host/policy/gate.TestMintedAndNamedReaders"},
		{"punctuation names nothing", "internal/atom/text.go", "if !slices.ContainsFunc(value, says) {", "if len(value) == 0 {", "host/policy/gate.TestPunctuationEndorsesNothing"},
		{"an offered address carries nothing besides", flow, "len(l.text) != 1 || l.text[0].Kind != atom.URL || !slices", "len(l.text) == 1 && l.text[0].Kind == atom.URL && !slices", "host/policy/gate.TestOfferedAddressCarriesNoOwnersWords"},
		{"rule 7: links to the owner himself count", judge, "if self && s.Context.Integrity != label.Owner {", "if self && false {", "host/policy/gate.TestLinksToTheOwnerHimself"},
		{"a host name is a link without a scheme", "internal/atom/text.go", " || a.Kind == Word && registered(a.Value)", "", "internal/atom.TestLinksWithoutAScheme"},
		{"a number is not cut off a host name", "internal/atom/text.go", " || after == '.' && followedByWord(rest[len(m)+size:])", " || size < 0", "internal/atom.TestLinksWithoutAScheme"},
		{"a name that no schema fixes is a value", judge, "|| !slices.Contains(d.Fields, k)", "", "host/policy/gate.TestNamesOfObjectsDecide"},
		{"what a schema fixes is the schema's word", "host/policy/schema.go", "\td.Fields = ", "\t_ = ", "host/policy.TestFieldsComeFromTheSchema"},
		{"a record of several people names nobody", "internal/atom/record.go", "several = several || slices.Contains(keys, key)", "_ = keys", others},
		{"what is in a record is another's", "internal/atom/record.go", "\t\tif depth == 0 {\n\t\t\tout = append(out, t.seq[j-1])", "\t\tif true {\n\t\t\tout = append(out, t.seq[j-1])", others},
		{"values that decide are counted", judge, "case len(out) == maxLeaves:", "case false:", "host/policy/gate.TestTooManyValuesAreRefused"},
	}
}
