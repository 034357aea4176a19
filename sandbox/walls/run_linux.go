package walls

import (
	"fmt"
	"runtime/debug"
)

// attempt is a row before it is tried.
type attempt struct {
	id, group, what string
	slow            bool // left out of the quick list: it starts processes or fills something
	try             func(Expect) (Verdict, string)
}

// All lists the rows in the order of the table, untried.
func All(quick bool) []Row {
	var rows []Row
	for _, a := range attempts() {
		if !quick || !a.slow {
			rows = append(rows, Row{ID: a.id, Group: a.group, What: a.what, Verdict: Unobserved})
		}
	}
	return rows
}

// Run tries every row and hands it to emit as soon as it is known: what ends the
// process early leaves rows that nobody reported.
func Run(e Expect, emit func(Row) error) error {
	for _, a := range attempts() {
		if e.Quick && a.slow {
			continue
		}
		r := Row{ID: a.id, Group: a.group, What: a.what}
		r.Verdict, r.Saw = tryOne(a, e)
		if err := emit(r); err != nil {
			return fmt.Errorf("report %s: %w", a.id, err)
		}
	}
	return nil
}

func tryOne(a attempt, e Expect) (v Verdict, saw string) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			v, saw = Unobserved, fmt.Sprint(p)
		}
	}()
	return a.try(e)
}

func attempts() []attempt {
	var all []attempt
	for _, group := range [][]attempt{privileges(), kernel(), sockets(), network(), files(), processes(), limits()} {
		all = append(all, group...)
	}
	return all
}
