package main

// approvals are the controls between a call and a person's yes.
func approvals() []Control {
	const (
		decide = "host/approval/decide.go"
		store  = "host/approval/store.go"
	)
	return []Control{
		{"an approval is for one context", "host/policy/policy.go", "part(lines(d.context))", "part(\"\")", "host/policy.TestApprovalForXNeverAdmitsY"},
		{"an approval is for one expiry", "host/policy/policy.go", "strconv.FormatInt(expires.UnixNano(), 10)", "strconv.FormatInt(0, 10)", "host/policy.TestApprovalIsForOneCallOnce"},
		{"a rule only tightens", "host/policy/policy.go", "if v >= d.Verdict() {", "if v == d.Verdict() {", "host/policy.TestRulesOnlyTighten"},
		{"a grant is used once", decide, "binding = ? AND state = 'granted' AND", "binding = ? AND state IN ('granted', 'consumed') AND", "host/approval.TestGrantIsUsedOnce"},
		{"a grant is for one binding", decide, "WHERE id = ? AND binding = ? AND", "WHERE id = ? AND length(?) AND", "host/approval.TestGrantAdmitsNothingElse"},
		{"a grant is claimed before the effect", "host/agent/run.go", "if err := c.Claim(ctx, p.grant); err != nil {", "if err := c.Claim(ctx, p.grant); false && err != nil {", "host/agent.TestGrantIsClaimedBeforeTheEffect"},
		{"only listed operators answer", decide, "return ok && name != \"\" && slices.Contains", "return true || ok && name != \"\" && slices.Contains", "host/approval.TestChatAnswersNeedAVerifiedOperator"},
		{"the requester does not answer", decide, "case by.Principal == q.Requester, by.Conversation != \"\" && by.Conversation == q.Conversation:", "case false:", "host/approval.TestBypass10RequesterCannotApprove"},
		{"an id of another session is unknown", decide, "case by.Agent != \"\" && by.Agent != q.Agent, by.Session != \"\" && by.Session != q.Session:", "case false:", "host/approval.TestBypass15IdOfAnotherSessionIsUnknown"},
		{"one answer wins", decide, "if r.State != Pending || !now.Before", "if false && r.State != Pending || !now.Before", "host/approval.TestAnswerOnOneSurfaceUpdatesTheOthers"},
		{"a decision is on record", store, "if err := s.cfg.Record.Record(ctx, e); err != nil {", "if err := s.cfg.Record.Record(ctx, e); false && err != nil {", "host/approval.TestEverythingButAYesDenies"},
		{"an interrupted call is unknown", store, "`WHERE state = ? AND outcome = ''`, Consumed", "`WHERE state = ? AND outcome = ''`, Pending", "host/approval.TestRestart"},
		{"a denial is remembered", "host/approval/ask.go", "return &repeated{id}", "return nil", "host/approval.TestDenialAnswersRepeatsUntilTheSessionEnds"},
		{"a full session is paused", "host/approval/ask.go", "case session >= s.cfg.MaxSession:", "case false:", "host/approval.TestFullQueueAndPausedSession"},
		{"what nobody was shown is denied", "host/approval/ask.go", "return errors.Join(append([]error{ErrHeadless, s.unseen(ctx, id)}, shown...)...)", "return nil", "host/approval.TestEverythingButAYesDenies"},
		{"hidden characters are shown", "host/approval/visible.go", "case unseen(r) || marks > 2", "case false || marks > 2", "host/approval.TestVisible"},
		{"long blanks are shown", "host/approval/visible.go", "size > maxSpaces || end", "end", "host/approval.TestBypass20ChangedToolAndHiddenText"},
		{"an answer is an exact yes", "host/approval/surface.go", "switch text {\n\tcase \"y\", \"yes\", \"approve\":", "switch {\n\tcase strings.Contains(text, \"y\"), text == \"approve\":", "host/approval.TestAnswersAreExact"},
		{"a quoted answer does not count", "host/approval/surface.go", "if m.Secondhand {", "if false {", "host/approval.TestChatAnswersNeedAVerifiedOperator"},
		{"an unverified answer does not count", "host/approval/surface.go", "if !m.Verified {", "if false {", "host/approval.TestChatAnswersNeedAVerifiedOperator"},
		{"amounts and commands are endorsed once", "host/approval/endorse.go", "if err := standing(v.Argument, seq); err != nil {", "if err := standing(v.Argument, seq); false && err != nil {", "host/approval.TestWhatCannotBeEndorsed"},
		{"an endorsement for one use serves once", "host/approval/endorse.go", "WHERE id = ? AND state = ? AND expires > ?`+also", "WHERE id = ? AND (state = ? OR 1) AND expires > ?`+also", "host/approval.TestEndorsementForOneUse"},
		{"who operates does not approve", "host/admin/guard.go", "ok && have&allowed != 0", "ok || have&allowed != 0", "host/admin.TestTokensHaveTheirOwnScope"},
		{"no rule allows", "host/config/approvals.go", "case ApprovalAsk, ApprovalDeny:", "case ApprovalAsk, ApprovalDeny, \"allow\":", "host/config.TestApprovalSettings"},
	}
}
