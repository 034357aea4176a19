package main

import "slices"

// controls lists what is removed: one entry for each line of defence that a test of
// THREAT_MODEL.md claims to guard.
func controls() []Control {
	return slices.Concat(chamber(), outward(), inward(), gate(), approvals(), guards(), spending(), provenance(), flow(), registries(), signatures(), artifacts(), blobs(), parts(), advisories(), installs(), bundles(), packages(), egress(), walls(), servers())
}

func chamber() []Control {
	return []Control{
		{"a cache record is checked by its MAC", "host/wasm/compile/seal.go", "if len(file) < sha256.Size+4 || !hmac.Equal(file[:sha256.Size], mac(key, file[sha256.Size:])) {", "if len(file) < sha256.Size+4 {", "host/wasm/compile.TestTamperedFilesAreRefused"},
		{"the cache directory must be private", "host/wasm/compile/store.go", "return fmt.Errorf(\"%w: %s must be a directory with mode 0700", "_ = fmt.Errorf(\"%w: %s must be a directory with mode 0700", "host/wasm/compile.TestDirectoryMustBePrivate"},
		{"a bomb burns the compiler's budget once", "host/wasm/compile/store.go", "why != nil {\n\t\tagain", "false {\n\t\tagain", "host/wasm/compile.TestRefusedModuleIsRememberedForAWhile"},
		{"children of the compiler are counted", "host/wasm/compile/store.go", "max(1, runtime.NumCPU()/2)", "1<<10+runtime.NumCPU()", "host/wasm/compile.TestChildrenAreCounted"},
		{"memory is zeroed before another call gets it", "host/wasm/spares.go", "\tclear(buf[:n])\n", "", "host/wasm.TestRecycledMemoryIsEmpty"},
		{"input over the limit does not enter", "host/wasm/call.go", "return nil, &LimitError{Limit: \"input\"", "_ = &LimitError{Limit: \"input\"", "host/wasm.TestLimitsOfBytes"},
		{"output over the limit is an error", "host/wasm/call.go", "return out, &LimitError{Limit: \"output\"", "_ = &LimitError{Limit: \"output\"", "host/wasm.TestLimitsOfBytes"},
		{"what the host copies of a block is bounded", "host/wasm/state.go", "b[:min(int64(len(b)), max(most, 0)+1)]", "b", "host/wasm.TestNoCopiesOutsideOfTheBudget"},
		{"a mount does not reach the keys", "host/protect.go", "err := try([]string{p.State}, overlap)", "var err error", "host.TestFilesDoNotReachWhatDecides"},
		{"a skill that looks like the host's own is left out", "host/survey.go", "for _, spec := range memoryTools() {\n\t\tif err := names.Add", "for _, spec := range memoryTools()[:0] {\n\t\tif err := names.Add", "host.TestSkillCannotLookLikeTheMemory"},
		{"a mount for reading is not written", "host/wasm/files.go", "if write && !r.Write {", "if false && write && !r.Write {", "host/wasm.TestTraces"},
		{"a file with several names is refused", "host/wasm/files.go", "p.right.Write && (!ok || n > 1)", "p.right.Write && !ok && n > 1", "host/wasm.TestHardLinks"},
		{"only regular files are opened", "host/wasm/files.go", "if !info.Mode().IsRegular() {", "if false && !info.Mode().IsRegular() {", "host/wasm.TestSpecialFiles"},
		{"nothing is read during initialisation", "host/wasm/files.go", "if c.phase == phaseInit {", "if false && c.phase == phaseInit {", "host/wasm.TestEveryCapabilityWaitsForTheCall"},
		{"new names hold no hidden characters", "host/wasm/files.go", "strings.IndexFunc(part, hidden) >= 0 ||", "false ||", "host/wasm.TestConformance"},
	}
}

func outward() []Control {
	return []Control{
		{"special addresses are never dialled", "broker/guard.go", "return &blocked{at, ruleSpecial, what}", "return nil", "broker.TestMetadataStaysClosedWhenOpened"},
		{"private addresses need the operator", "broker/guard.go", "return &blocked{at, rulePrivate, what}", "return nil", "broker.TestForbiddenAddressByLiteral"},
		{"an opened origin is for its skills", "broker/guard.go", "slices.Contains(g.private(skill), o)", "slices.Contains(g.private(\"web\"), o)", "broker.TestOpenedOriginIsForTheNamedSkill"},
		{"a private origin names its skills", "host/config/egress.go", "skill != \"\" && (slices.Contains(p.Skills, SkillRef(skill))", "true || skill != \"\" && (slices.Contains(p.Skills, SkillRef(skill))", "host/config.TestPrivateOriginIsOpenToItsSkills"},
		{"the connected address is judged again", "broker/guard.go", "return g.check(r, at.Addr())", "return nil", "broker.TestRebindingStopsAtTheDialer"},
		{"each resolved address is judged", "broker/guard.go", "\tfor _, a := range addrs {\n\t\tif err := g.check(r, a); err != nil {", "\tfor _, a := range addrs {\n\t\tif err := g.check(r, a); false && err != nil {", "broker.TestResolvedAnswersAreJudgedBeforeDialling"},
		{"the daemon's own doors stay closed", "broker/guard.go", "if listens(at, g.listeners(), r.own) {", "if false && listens(at, g.listeners(), r.own) {", "broker.TestDaemonListenersStayClosedWhenOpened"},
		{"local names are refused by name", "broker/guard.go", "if localName(u.Host) && !opened {", "if false && localName(u.Host) && !opened {", "broker.TestLocalNamesAreRefusedBeforeTheResolver"},
		{"no proxy is asked", "broker/guard.go", "Proxy:                  nil,", "Proxy:                  http.ProxyFromEnvironment,", "broker.TestProxyVariablesAreNotRead"},
		{"IPv6 outside 2000::/3 is refused", "broker/address.go", "if !global.Contains(a) {", "if false && !global.Contains(a) {", "broker.TestJudgeEdgesOfEveryBlock"},
		{"bytes of a compressed answer are bounded", "broker/response.go", "N: encoded(x.limit.bytes)", "N: 1 << 62", "broker.TestGzipOfNothing"},
		{"a secret goes to its own origins", "broker/inject.go", "if !slices.Contains(r.Only, in.origin) {", "if false && !slices.Contains(r.Only, in.origin) {", "broker.TestPlaceholderAnywhereElseIsRefused"},
		{"a secret goes over https", "broker/inject.go", "if !in.secure {", "if false && !in.secure {", "broker.TestPlaceholderAnywhereElseIsRefused"},
		{"a secret goes into its own position", "broker/inject.go", "if key != headerOf(r.Inject) || !accepts(r, plain) {", "if false && (key != headerOf(r.Inject) || !accepts(r, plain)) {", "broker.TestPlaceholderAnywhereElseIsRefused"},
	}
}

func inward() []Control {
	return []Control{
		{"the API needs the token", "host/admin/guard.go", "if sc == 0 {", "if false && sc == 0 {", "host/admin.TestEveryRouteNeedsTheToken"},
		{"another Host is refused", "host/admin/guard.go", "if !s.hosts[strings.ToLower(r.Host)] {", "if false && !s.hosts[strings.ToLower(r.Host)] {", "host/admin.TestRequestsFromElsewhereAreRefused"},
		{"another Origin is refused", "host/admin/guard.go", "for _, origin := range r.Header.Values(\"Origin\") {", "for _, origin := range r.Header.Values(\"X-None\") {", "host/admin.TestRequestsFromElsewhereAreRefused"},
		{"the token goes to a daemon that runs", "cmd/glovebox/client.go", "} else if !running {", "} else if false && !running {", "cmd/glovebox.TestTokenGoesToARunningDaemonOnly"},
		{"nobody goes on unrecorded", "host/audit/log.go", "wait := e.Durable || l.lost > 0", "wait := e.Durable", "host/audit.TestFailedWriteIsReportedAndTheChainRecovers"},
		{"records are linked", "host/audit/verify.go", "case !first && rec.Prev != w.prev.head:", "case false && !first && rec.Prev != w.prev.head:", "host/audit.TestReplacedRecordBreaksTheLink"},
		{"gaps are found", "host/audit/verify.go", "case p.seq != w.prev.seq+1:", "case false && p.seq != w.prev.seq+1:", "host/audit.TestTamperingIsFound"},
		{"an Authorized is for one tool and its arguments", "host/policy/authorized.go", "string(args) != a.args:", "false:", "host/policy.TestApprovalForXNeverAdmitsY"},
		{"an Authorized is used once", "host/policy/authorized.go", "case !a.redeemed.CompareAndSwap(false, true):", "case false && !a.redeemed.CompareAndSwap(false, true):", "host/policy.TestRacingRedeemsYieldOneEffect"},
		{"whoever asks does not approve", "host/policy/authorized.go", "case a.By == d.call.Requester:", "case false && a.By == d.call.Requester:", "host/policy.TestApprovalIsForOneCallOnce"},
		{"an approval expires", "host/policy/authorized.go", "case !now.Before(a.Expires):", "case false && !now.Before(a.Expires):", "host/policy.TestApprovalIsForOneCallOnce"},
		{"a budget is a hard stop", "host/budget/ledger.go", "if n > x.Max-used {", "if false && n > x.Max-used {", "host/budget.TestALimitIsAHardStop"},
		{"a crash settles in full", "host/budget/ledger.go", "SET settled = settled + reserved, reserved = 0", "SET reserved = 0", "host/budget.TestACrashSettlesInFull"},
		{"memory keeps the label of the context", "host/memory/memory.go", "if l.Integrity < label.Owner {\n\t\treturn Downgraded", "if false {\n\t\treturn Downgraded", "host/memory.TestVerdictComesFromTheLabel"},
		{"memory holds no known secret", "host/memory/memory.go", "g.Find(w.Text) != \"\":", "false:", "host/memory.TestVerdictComesFromTheLabel"},
		{"trust ranks before relevance", "host/memory/store.go", "[]label.Integrity{label.Owner, label.Peer, label.Tainted} {\n\t\tn :=", "[]label.Integrity{label.Tainted, label.Peer, label.Owner} {\n\t\tn :=", "host/memory.TestPoisonNeverDisplaces"},
	}
}

func gate() []Control {
	return []Control{
		{"rule 4: the mandate", "host/policy/gate/judge.go", "if s.Mandate != nil && !slices.Contains(s.Mandate.Tools, ref) {", "if false && !slices.Contains(s.Mandate.Tools, ref) {", "host/policy/gate.TestWorkedExamples"},
		{"rule 5: provenance", "host/policy/gate/judge.go", "\tif len(unendorsed) > 0 {\n\t\treturn Judgement{Verdict: VerdictAsk, Rule: RuleProvenance, Findings: unendorsed, Flows: flows}\n\t}\n", "", "host/policy/gate.TestWorkedExamples"},
		{"rule 6: readers", "host/policy/gate/flow.go", "if context.Readers.Contains(p) {", "if true || context.Readers.Contains(p) {", "host/policy/gate.TestWorkedExamples"},
		{"rule 7: links", "host/policy/gate/judge.go", "if links := s.links(d, args); len(links) > 0 {", "if links := s.links(d, args); false && len(links) > 0 {", "host/policy/gate.TestWorkedExamples"},
		{"destructive calls are confirmed", "host/policy/gate/judge.go", "&& s.Confirm == ConfirmDestructive:", "&& false:", "host/policy/gate.TestConfirmDestructiveIsTheDefault"},
		{"only trusted reads vouch", "host/policy/gate/state.go", "if src.Effect == abi.EffectRead && src.Label.Integrity >= label.Peer {", "if true {", "host/policy/gate.TestMandateIsForWhomTheOwnerNamed"},
		{"results lower the context", "host/policy/gate/state.go", "s.Context = s.Context.Join(src.Label)", "_ = src.Label", "host/policy/gate.TestWorkedExamples"},
		{"only a plain fetch offers addresses", "host/policy/gate/state.go", "if !src.Fetched {", "if false {", "host.TestEchoDoesNotEndorseAnAddress"},
		{"an offered address has one spelling", "internal/atom/spelling.go", "return text == s[0].Value || text+\"/\" == s[0].Value", "return true", "host/policy/gate.TestVerbatimIsOneSpelling"},
		{"who has files does not merely fetch", "host/gate.go", "switch takes = takes || open; {", "switch takes = takes || open && false; {", "host.TestDescriptorSeesHiddenAddresses"},
		{"an error tells nothing of a handle", "host/agent/dispatcher.go", "if len(p.req.State.Carried) > 0 { // the error", "if false { // the error", "host/agent.TestRefusalTellsNothingOfAHandle"},
		{"short identifiers need their kind", "host/policy/gate/flow.go", "len(l.text[0].Value) < 4 {", "false {", "host/policy/gate.TestWorkedExamples"},
	}
}
