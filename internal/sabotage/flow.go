package main

// flow are the controls on where a call sends what it has read.
func flow() []Control {
	const (
		labels = "host/wasm/labels.go"
		http   = "host/wasm/http.go"
	)
	return []Control{
		{"a reason that names what a handle holds counts", "host/agent/loop.go", "|| !ran && r.Label != label.Trusted() {", "|| !ran && r.Label != r.Label.Join(label.Trusted()) {", "host/agent.TestReasonOfARefusalHasTheLabelOfWhatItNames"},
		{"what sessions have seen is bounded in memory", "host/agent/session.go", "for t.room > 0 && t.bytes > t.room && t.unload() {", "for false && t.unload() {", "host/agent.TestStateInMemoryIsBoundedByBytes"},
		{"what one session sees is bounded by bytes", "host/provenance/provenance.go", "+ octet_length(?5) <= ?9", "+ octet_length(?5) - ?9 < ?9", "host/provenance.TestSessionsAreBounded"},
		{"a file is on the disk before it has its name", "host/wasm/write.go", "err = c.sync(f) //", "err = nil //", "host/wasm.TestWriteIsOnTheDiskBeforeItHasItsName"},
		{"an endorsement is on record with whose it was", "host/approval/endorse.go", "Actor: \"host\", ID: id, Request: of}", "Actor: \"host\", ID: id, Request: Request{Call: of.Call}}", "host/approval.TestEndorsementIsOnRecord"},
		{"who is asked sees the row that would be forgotten", "host/host.go", "h.approvals.about = h.memories.about", "_ = h.memories.about", "host.TestForgettingAsksAPerson"},
		{"the owner's own addresses are no strangers", "host/gate.go", "s.Self, s.Owner = append(s.Self, gate.PrincipalOf(id.Value())), append(s.Owner, atom.Read(string(id)))", "_ = id", "host.TestIdentitiesAndDirectoryOfTheConfiguration"},
		{"a request goes to readers of what was read", http, "if p := c.rights.Withheld(c.caller.Skill, to); p != nil {", "if p := c.rights.Withheld(c.caller.Skill, to); false && p != nil {", "host/wasm.TestWhatACallReadIsSentToItsReadersOnly"},
		{"what is read in a call counts in it", labels, "\tc.rights.Read = append(c.rights.Read, p)\n", "", "host.TestAdmittedCallDoesNotCarryWhatItReads"},
		{"a flow is granted from one source", "abi/flow.go", "(f.From == from || OriginPattern(f.From).Matches(Origin(from))) &&", "", "host/wasm.TestGrantedFlow"},
		{"a flow is granted to one server", "abi/flow.go", "&& f.To.Matches(to)", "", "host/wasm.TestGrantedFlow"},
		{"only who was asked may read what was stored", labels, "l.Readers = l.Readers.With(c.told...)\n\treturn l.Join(c.seen)", "l.Readers = label.Public()\n\treturn l.Join(c.seen)", "host/wasm.TestStoredAnswersGoBackToTheirServer"},
		{"private answers are not carried on", labels, "private := resp.Private || c.secretFor(from)", "private := false", "host/wasm.TestPrivateAnswersAreNotCarriedOn"},
		{"a failed use of a file tells of it", labels, "c.sawName(ctx, p, bad.Code != abi.CodeNotFound)", "_ = bad", "host/wasm.TestFoldersAreReadByWhateverTellsThem"},
		{"a write tells of the folder", "host/wasm/write.go", "c.sawName(ctx, dir, !errors.Is(err, fs.ErrNotExist))", "_ = err", "host/wasm.TestFoldersAreReadByWhateverTellsThem"},
		{"a quota tells of what fills it", labels, "if bad.Code == abi.CodeQuota {", "if false {", "host/wasm.TestQuotasAreReadLikeContent"},
		{"full storage tells of what fills it", "host/wasm/kv/kv.go", "told = label.Label{} // how much", "_ = told // how much", "host/wasm.TestQuotasAreReadLikeContent"},
		{"deleting tells what was there", "host/wasm/kv/kv.go", "\t\ttold = old\n\t\tif err", "\t\t_ = old\n\t\tif err", "host/wasm.TestNamesAreReadByWhateverTellsThem"},
		{"a condition tells what is there", "host/wasm/kv/kv.go", "if req.IfVersion != nil {\n\t\t\ttold = old", "if false {\n\t\t\ttold = old", "host/wasm.TestNamesAreReadByWhateverTellsThem"},
		{"a redirect goes to readers of what was read", "broker/fetch.go", "p = x.rights.Withheld(x.caller.Skill, x.url.Origin)", "_ = x.rights", "broker.TestRedirectGoesToReadersOnly"},
		{"a hop to www. carries no header of the guest", "broker/redirect.go", "x.headers, x.auth = crossOrigin(x.headers), \"\"", "x.auth = \"\"", "broker.TestBoundHopCarriesNothingNew"},
		{"a mark outlives the process", "internal/guard/keep.go", "\ts.met = kept.Met\n", "", "internal/guard.TestAnotherProcessRemembers"},
		{"the end of what went out outlives the process", "internal/guard/keep.go", "for _, t := range kept.Tails {", "for _, t := range kept.Tails[:0] {", "internal/guard.TestAnotherProcessRemembers"},
		{"what is kept of a conversation holds no secret", "internal/guard/keep.go", "if err == nil && known.Find(data) != \"\" {", "if false {", "host.TestNoSecretLeavesADaemon"},
		{"a mark is kept when it is made", "internal/guard/guard.go", "\t\t_ = g.Save(context.WithoutCancel(ctx), h.Place.Agent, h.Place.Session)\n", "", "internal/guard.TestAnotherProcessRemembers"},
		{"a state that cannot be read marks", "internal/guard/keep.go", "\t\ts.met = &Hit{Place: Place{Agent: k.agent, Session: k.session, Sink: Audit}, Secret: Lost, Action: Block}\n", "", "internal/guard.TestLostStateIsCompromised"},
		{"nothing goes to one recipient too many", "internal/guard/guard.go", "if len(s.tails) >= maxTails {", "if len(s.tails) >= maxTails {\n\t\t\tclear(s.tails)\n\t\t}\n\t\tif false {", "internal/guard.TestNoRecipientIsForgotten"},
		{"a restarted daemon knows the marks", "host/host.go", "h.guard.KeepIn(guardKeeper(h.provenance))", "h.guard.KeepIn(nil)", "host.TestMarkSurvivesARestart"},
	}
}
