package main

// spending are the controls on what agents spend, and on what they remember.
func spending() []Control {
	return []Control{
		{"a prepaid unit is given back once", "host/budget/prepaid.go", "if ended {", "if ended && false {", "host/budget.TestAUnitIsGivenBackOnce"},
		{"a lowered limit takes back what was prepaid", "host/budget/ledger.go", "\tclear(l.prepaid.blocks) // booked", "\t// booked", "host/budget.TestALoweredLimitHoldsAtOnce"},
		{"a prepaid block is booked before it is handed out", "host/budget/prepaid.go", "b = &block{size, now}", "b = &block{2 * size, now}", "host/budget.TestPrepaidUnitsNeverPassTheLimit"},
		{"no call runs without a reservation", "host/agent/meter.go", "charge, err := p.d.cfg.Meter.Call(ctx, p.req.Agent)\n\tif err != nil {", "charge, err := p.d.cfg.Meter.Call(ctx, p.req.Agent)\n\tif false && err != nil {", "host/agent.TestNothingRunsWithoutAReservation"},
		{"nobody is asked without a reservation", "host/agent/dispatcher.go", "asked, err := m.Ask(ctx, p.req.Agent)\n\t\tif err != nil {", "asked, err := m.Ask(ctx, p.req.Agent)\n\t\tif false && err != nil {", "host/agent.TestNothingRunsWithoutAReservation"},
		{"requests are counted before they are sent", "host/budget_services.go", "budget.Amounts{budget.Egress: hops * size})", "budget.Amounts{budget.Egress: 0 * hops * size})", "host.TestEgressBudgetStopsRequests"},
		{"questions of skills are counted", "host/budget_services.go", "return abi.AskResult{}, quotaProblem(\"human\", err)", "return a.Asker.Ask(ctx, c, req)", "host.TestAsksBudgetSparesThePerson"},
		{"steps of models are reserved", "host/budget_services.go", "if worst == (agent.Usage{}) {", "if true || worst == (agent.Usage{}) {", "host.TestModelBudgetsStopSteps"},
		{"what a model does not report is spent in full", "host/budget_services.go", "\tactual := reserved\n", "\tactual := budget.Amounts{}\n", "host.TestModelBudgetsStopSteps"},
		{"a model without a price is charged", "host/budget_services.go", "n := len(p.System.String()) + maxAnswerTokens", "return agent.Usage{}\n\tn := len(p.System.String()) + maxAnswerTokens", "host.TestModelWithoutAPriceIsCharged"},
		{"a helper spends its parent's budget", "host/budgets.go", "abi.AgentID(a.Parent), limits)", "\"\", limits)", "host.TestHelperSpendsWhatItsParentHas"},
		{"what is stored has the label of the call", "host/memory_tools.go", "Text: c.args.Text, Context: &c.context,", "Text: c.args.Text, Context: &label.Label{Integrity: label.Owner},", "host.TestPageCannotPlantAMemory"},
		{"what is recalled has the label of its rows", "host/memory_tools.go", "\t\tl = l.Join(r.Label)\n", "", "host.TestPageCannotPlantAMemory"},
		{"external rows stay out of clean conversations", "host/memory/store.go", "quota[label.Tainted] = 0", "_ = 0", "host/memory.TestPoisonNeverDisplaces"},
		{"external rows are quoted", "host/memory_tools.go", "if r.Label.Integrity < label.Owner {\n\t\ttext", "if false {\n\t\ttext", "host.TestPageCannotPlantAMemory"},
		{"an update raises no label", "host/memory/store.go", "if l = l.Join(old.Label); l.Integrity", "if _ = old; l.Integrity", "host/memory.TestLabelsOnlyFall"},
		{"a promotion is of the row that was shown", "host/memory/operator.go", "if r.Digest() != shown {", "if false && r.Digest() != shown {", "host/memory.TestLabelsOnlyFall"},
		{"promoting takes the approval token", "host/admin/server.go", "api.POST(\"/memory/:id\", only(s.promote, scopeApprove))", "api.POST(\"/memory/:id\", only(s.promote, scopeOperate))", "host/admin.TestTokensHaveTheirOwnScope"},
		{"no skill is called memory", "host/survey.go", "case f.Bundle.Name() == memorySkill:", "case false:", "host.TestNoSkillPassesForTheMemory"},
	}
}
