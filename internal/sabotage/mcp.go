package main

// servers are the controls between MCP servers, which are strangers, and a model, and
// between our own server and its clients.
func servers() []Control {
	const (
		wire    = "mcp/wire.go"
		link    = "mcp/link.go"
		client  = "mcp/client.go"
		watch   = "mcp/supervise.go"
		list    = "mcp/listing/listing.go"
		text    = "mcp/listing/text.go"
		source  = "mcp/source/source.go"
		command = "mcp/source/command.go"
		door    = "mcp/server/door.go"

		refused  = "mcp/listing.TestListingsAreRefused"
		changed  = "mcp.TestChangedToolsAreWithdrawn"
		hostile  = "mcp.TestHostileListings"
		commands = "mcp/source.TestCommands"
		files    = "mcp/source.TestFilesOfOthers"
		gate     = "mcp/server.TestCallsPassTheGate"
	)
	return []Control{
		{"hidden characters are found", text, "case unicode.IsControl(r), unicode.In(", "case false && unicode.In(", refused},
		{"text far out of sight is found", text, "blank++; blank > maxBlank", "blank++; false", refused},
		{"keys are text as well", text, "if err := seen(k); err != nil {", "if err := seen(k); false {", refused},
		{"a name is there once", list, "if r.names[e.Name] {", "if false {", refused},
		{"names that look alike are found", list, "case errors.Is(err, policy.ErrConflict):", "case errors.Is(err, policy.ErrConflict) && false:", refused},
		{"tools of others are not taken over", list, "if other != r.label && claims(", "if false && claims(", refused},
		{"tools are counted", list, "if len(tools) > MaxTools {", "if false {", refused},
		{"a pin is held against its text", list, "abi.DigestOf(text) != e.Digest ||", "", "mcp.TestABookIsRefused"},
		{"a changed listing is no approved one", watch, "case l.Digest() != approved.Digest():", "case false:", changed},
		{"a change withdraws the tools", watch, "return errors.Join(err, c.isolate(ctx, err, &l))", "return err", changed},
		{"a listing is fetched again", watch, " && time.Now().Before(s.until)", "", changed},
		{"a notice of change is heard", watch, "!s.dirty.Swap(false) &&", "", changed},
		{"nothing is called in quarantine", "mcp/book.go", "if r.Approved == nil || r.Quarantine != nil {", "if r.Approved == nil {", changed},
		{"a call is of the tool that was decided about", client, "case e.Digest != digest:", "case e.Digest != digest && false:", "mcp.TestAnApprovedToolIsCalled"},
		{"pages end", "mcp/session.go", "if page == listing.MaxPages {", "if false {", hostile},
		{"a message is looked at before it is parsed", wire, "if err := checkMessage(text); err != nil {", "if err := checkMessage(text); false {", hostile},
		{"batches are refused", wire, "if text[0] != '{' {", "if false {", hostile},
		{"messages are counted", wire, "if !f.meter.Allow() {", "if false {", hostile},
		{"a redirect stays on its origin", link, "if originOf(req) != r.origin {", "if false {", "mcp.TestRedirectsStayAtHome"},
		{"no sandbox, no local server", link, "if l.spawner == nil {", "if false {", "mcp.TestNoSandboxNoServer"},
		{"a changed program is not started", "mcp/boxed.go", "case err != nil || got != digest:", "case err != nil && got != digest:", "mcp.TestAChangedProgramIsNotStarted"},
		{"results are scanned", client, "\t\tscan(&item.Text)\n", "", "mcp.TestResultsAreScanned"},
		{"a failing server is left alone", watch, "if time.Now().Before(c.rest) {", "if false {", "mcp.TestAFailingServerRests"},
		{"no server asks for secrets", "mcp/human.go", "word != \"\" {", "false {", "mcp.TestQuestionsGoToAPerson"},
		{"a question leads to https only", "mcp/human.go", "u.Scheme != \"https\" ||", "", "mcp.TestQuestionsGoToAPerson"},
		{"versions do not float", source, "case len(p.Version) > 128 || !version.MatchString(p.Version):", "case false && version.MatchString(p.Version):", commands},
		{"a shell is no server", command, "case \"sh\", \"bash\",", "case \"bash\",", commands},
		{"npx runs what its option names", command, "spec, named = value, true\n\t\tcase \"-c\"", "_, named = value, false\n\t\tcase \"-c\"", commands},
		{"a variable does not steer the runtime", source, "case steersRE.MatchString(v.Name):", "case false:", files},
		{"a configuration holds no secret", source, "if privateRE.MatchString(v.Name) && v.Value != \"\" &&", "if false && v.Value != \"\" &&", files},
		{"what cannot be kept is an error", "mcp/source/read.go", "\td.DisallowUnknownFields()\n", "", files},
		{"nobody is no client", "mcp/server/server.go", "if client == \"\" {", "if false {", "mcp/server.TestRequestsAreRefused"},
		{"another origin is refused", "mcp/server/server.go", "http.NewCrossOriginProtection().Handler(http.HandlerFunc(s.serve))", "http.HandlerFunc(s.serve)", "mcp/server.TestRequestsAreRefused"},
		{"exports are asked for at each call", door, "\t\tcase \"tools/call\":\n\t\t\tif err := d.refresh(ctx); err != nil {", "\t\tcase \"tools/call\":\n\t\t\tif err := error(nil); err != nil {", gate},
		{"a result carries its label", door, "\tres.Meta = sdk.Meta{labelKey: r.Label}\n", "", gate},
		{"calls of a client are counted", door, "if !l.AllowN(d.cfg.Now(), 1) {", "if false {", "mcp/server.TestCallsAreCounted"},
		{"sessions are counted", door, "if n > maxSessions {", "if false {", "mcp/server.TestSessionsAreCounted"},
		{"answers are not kept for others", door, "c.CacheScope = \"private\"", "_ = c", "mcp/server.TestNothingIsExportedByItself"},
		{"a skill's file is as listed", "mcp/server/skills.go", "abi.DigestOf(text) != e.Resources[i].Digest", "false", "mcp/server.TestSkillsAreServedAsListed"},
	}
}
