package main

// guards are the controls that keep known secrets and canaries from leaving.
func guards() []Control {
	const (
		guard  = "internal/guard/guard.go"
		screen = "host/agent/screen.go"
		doors  = "host/guarded.go"
		scan   = "internal/redact/scan.go"
	)
	return []Control{
		{"half of a secret counts", "internal/redact/forms.go", "halves := func(texts ...string) {\n\t\tfor _, t := range texts {\n\t\t\tout = append(out, form{t, true})", "halves := func(texts ...string) {\n\t\tfor _, t := range texts {\n\t\t\tout = append(out, form{t, false})", "internal/redact.TestEachHalfIsFound"},
		{"what stands between letters is skipped", scan, "if s.loose != nil {\n\t\tw.condensed", "if false {\n\t\tw.condensed", "internal/redact.TestHiddenValuesAreFound"},
		{"escapes are resolved", scan, "if w.derived[depth], changed = unescape(w.derived[depth][:0], word); !changed {", "if w.derived[depth], changed = unescape(w.derived[depth][:0], word); true || !changed {", "internal/redact.TestHiddenValuesAreFound"},
		{"base64 begins behind any digit", scan, "for shift := range 4 {", "for shift := range 1 {", "internal/redact.TestHiddenValuesAreFound"},
		{"a bomb counts as a secret", scan, "if w.derived[depth] = out; full {", "if w.derived[depth] = out; false && full {", "internal/redact.TestBombsAreNotInflated"},
		{"work on one text is bounded", scan, "if w.left -= attemptCost; w.left < 0 {", "if false {", "internal/redact.TestBombsAreNotInflated"},
		{"the canary that was put in is looked for", guard, "canary = s.matcher", "canary = nil", "internal/guard.TestInjectedIsScanned"},
		{"pieces to one recipient are joined", guard, "return t.Add(m, text)", "return \"\"", "internal/guard.TestPiecesAreJoined"},
		{"a hit marks the conversation", guard, "s.met, s.changed = &h, true", "_ = &h", "internal/guard.TestMarkedUntilCleared"},
		{"a sink without a policy blocks", guard, "return cmp.Or(p.Secret, Block)", "return cmp.Or(p.Secret, Replace)", "internal/guard.TestDocumentsAndUnknownSinks"},
		{"a flood does not wash the mark away", guard, "s.met == nil && victim.met != nil || (s.met == nil) == (victim.met == nil) && s.touched < victim.touched", "s.touched < victim.touched", "internal/guard.TestFloodOfConversationsKeepsTheMark"},
		{"arguments are looked at", screen, "if err == nil {\n\t\treturn true\n\t}\n\tp.report.Args", "if true || err == nil {\n\t\treturn true\n\t}\n\tp.report.Args", "host/agent.TestCanaryOfThePromptIsFoundInEachSink"},
		{"a marked conversation asks", screen, "if !marked {", "if true || !marked {", "host/agent.TestMarkedConversationAsks"},
		{"a prompt holds no secret", screen, "t.clean(ctx, &t.s.items[i])", "_ = &t.s.items[i]", "host/agent.TestPromptHoldsNoSecret"},
		{"a reply holds no secret", "host/agent/loop.go", "\ttext = t.screen(ctx, text)\n", "\t_ = t.screen(ctx, text)\n", "host/agent.TestPromptHoldsNoSecret"},
		{"a result holds no secret", "host/agent/run.go", "\tr.Text = p.screen(ctx, r.Text)\n", "", "host/agent.TestPromptHoldsNoSecret"},
		{"requests of guests are looked at", doors, "if p := d.pass(ctx, guard.Request, c, \"http\", origin, texts...); p != nil {", "if p := d.pass(ctx, guard.Request, c, \"http\", origin, texts...); false && p != nil {", "host.TestGuardFindsTheCanaryOfThePrompt"},
		{"what guests store is looked at", doors, "if p := d.pass(ctx, guard.KV, c, \"kv\", \"\", []byte(req.Key), value); p != nil {", "if p := d.pass(ctx, guard.KV, c, \"kv\", \"\", []byte(req.Key), value); false && p != nil {", "host.TestGuardStopsASecretAtEachWayOutOfAGuest"},
		{"files of guests are looked at", "host/wasm/write.go", "return c.services.Screen.Wrote(ctx, c.caller, p.name, data)", "return nil", "host/wasm.TestFilesPassTheScreen"},
		{"answers of the API hold no secret", "host/admin/encode.go", "if doc, err = s.redact(doc); err != nil {", "if _, err = s.redact(doc); err != nil {", "host.TestNoSecretLeavesADaemon"},
		{"former values stay secret", "broker/vault.go", "o.former = formerValues(v.loaded.Load(), o)", "o.former = nil", "host.TestFormerSecretsStaySecret"},
	}
}
