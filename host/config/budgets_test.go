package config

import (
	"errors"
	"strings"
	"testing"
)

func TestBudgetsAreOnByDefaultAndReadStrictly(t *testing.T) {
	t.Parallel()
	for _, l := range Default().Agents[0].Budgets.Limits() {
		if l.Max <= 0 {
			t.Errorf("%s per %s has no limit by default: %d", l.Resource, l.Window, l.Max)
		}
	}
	cfg, err := Parse("/etc/gb/glovebox.yaml", []byte(header+`
agents:
  - name: main
    model: offline
    budgets: {calls: {hour: 0, day: 7}, egress: {hour: 3KiB}, tokens: {day: 2e3}, money: {hour: 0.25, day: 5}, asks: {hour: 1}}
  - {name: helper, model: offline, parent: main}
`))
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, l := range cfg.Agents[0].Budgets.Limits() {
		got[l.Resource+"."+l.Window] = l.Max
	}
	for key, want := range map[string]int64{
		"calls.hour": 0, "calls.day": 7, "egress.hour": 3072, "egress.day": 512 << 20, "tokens.hour": 10_000_000, "tokens.day": 2000,
		"money.hour": 250_000, "money.day": 5_000_000, "asks.hour": 1, "asks.day": 300,
	} {
		if got[key] != want {
			t.Errorf("%s is %d, want %d", key, got[key], want)
		}
	}
	if len(got) != 10 || cfg.Agents[1].Parent != "main" {
		t.Errorf("%d limits; parent %q", len(got), cfg.Agents[1].Parent)
	}
}

func TestBadBudgetsAreRefused(t *testing.T) {
	t.Parallel()
	agent := func(rest string) string { return "agents: [{name: main, model: offline, " + rest + "}]\n" }
	for name, c := range map[string]struct{ text, want string }{
		"an unknown resource":    {agent("budgets: {wishes: {hour: 1}}"), "wishes"},
		"an unknown window":      {agent("budgets: {calls: {week: 1}}"), "week"},
		"a negative number":      {agent("budgets: {calls: {hour: -1}}"), "negative"},
		"a word":                 {agent("budgets: {calls: {hour: unlimited}}"), "integer"},
		"bytes without a unit":   {agent("budgets: {egress: {hour: 5}}"), "size"},
		"money below zero":       {agent("budgets: {money: {day: -5}}"), "amount"},
		"money with too much":    {agent("budgets: {money: {day: 0.0000001}}"), "amount"},
		"money beyond the scale": {agent("budgets: {money: {day: 99999999999999}}"), "amount"},
		"a point and no digits":  {agent("budgets: {money: {day: 1.}}"), "amount"},
		"a parent that is not":   {agent("parent: boss"), "no agent"},
		"its own parent":         {agent("parent: main"), "itself"},
		"a ring":                 {"agents: [{name: a, model: offline, parent: b}, {name: b, model: offline, parent: a}]\n", "itself"},
	} {
		if _, err := Parse("/etc/gb/glovebox.yaml", []byte(header+c.text)); !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}
