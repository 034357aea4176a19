package filter

// Number returns the number of a call if the architecture has it.
func Number(a Arch, call string) (uint32, bool) {
	n, err := a.number(call)
	return n, err == nil && n != none
}

// Names returns the calls that have numbers.
func Names() []string {
	var all []string
	for name := range calls() {
		all = append(all, name)
	}
	return all
}
