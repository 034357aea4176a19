package main

func provenance() []Control {
	const flow, record, named = "host/policy/gate/flow.go", "internal/atom/record.go", "host/policy/gate.TestMandateIsForWhomTheOwnerNamed"
	return []Control{
		{"rule 6: a mandate is for whom the owner named", flow, "PrincipalOf(l.text) == p && s.named(l.text) })", "PrincipalOf(l.text) == p })", named},
		{"a name of two values is nobody's", flow, "mentions(s.Owner, n) && !s.disputed(n, value)", "mentions(s.Owner, n)", named},
		{"a peer gives nobody a name", "host/policy/gate/state.go", "if src.Label.Integrity == label.Owner {", "if true {", named},
		{"a given name is one of the directory", flow, "s.called(s.Own, value[0], 0)", "s.called(s.Own, value[0], 1)", named},
		{"a name is mentioned as a whole", record, "to < len(t.seq) && capital(t.seq[to])", "false", "internal/atom.TestMentions"},
		{"a name is that of the record's own field", record, "nameRE.MatchString(field[0].Value) && ", "", "internal/atom.TestRecordsNameTheirValues"},
		{"only the host mints identifiers", "host/agent/run.go", "if p.tool.Native {", "if true {", "host/agent.TestOnlyTheHostMints"},
		{"what was compared is what is sent", flow, "if l.text.Spells(l.value) {", "if true {", "host/policy/gate.TestComparedIsSent"},
		{"what is not small is not inert", "host/gate.go", "role == abi.RoleInert && (!ok || !p.small())", "role == abi.RoleInert && !ok", "host.TestDescriptorsAreRaisedByRule"},
		{"what is left out needs a default", flow, "if def == nil || args[name]", "if args[name]", "host/policy/gate.TestAbsentControlNeedsADefault"},
		{"a default comes from the schema", "host/policy/schema.go", "\td.Defaults = map[string]json.RawMessage{}\n", "", "host/policy.TestDefaultsComeFromTheSchema"},
		{"a pointer that leads nowhere hides nobody", flow, "len(found) == 0 && err == nil {", "false {", "host/policy/gate.TestPointersFindWhoReceives"},
		{"pointers go into lists", "internal/atom/pointer.go", "all[i] = Follow(e, pointer)", "_, _ = i, e", "internal/atom.TestFollow"},
		{"a minted identifier is its store's", flow, "return m.Skill == ref.Skill && ", "return ", "host/policy/gate.TestMintedAndNamedReaders"},
	}
}
