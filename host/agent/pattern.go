package agent

import "regexp"

// budgeted is a regular expression that stops matching when the work of all
// expressions of one check has used up a common budget; the check then fails.
type budgeted struct {
	re     *regexp.Regexp
	steps  int  // instructions: the most that one input byte costs
	budget *int // what is left; guarded by schema.mu
}

func newBudgeted(text string, steps int, budget *int) (*budgeted, error) {
	re, err := regexp.Compile(text)
	if err != nil {
		return nil, err
	}
	return &budgeted{re: re, steps: steps, budget: budget}, nil
}

// MatchString implements jsonschema.Regexp.
func (b *budgeted) MatchString(s string) bool {
	*b.budget -= (len(s) + 1) * b.steps
	return *b.budget >= 0 && b.re.MatchString(s)
}

// String implements jsonschema.Regexp.
func (b *budgeted) String() string { return b.re.String() }
