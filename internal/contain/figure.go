package contain

// Figure is one line of the report.
type Figure struct {
	Name     string  `json:"name"`
	Value    float64 `json:"value"` // N/Of where those are set
	Unit     string  `json:"unit"`
	N        int     `json:"n,omitempty"`
	Of       int     `json:"of,omitempty"`
	Peer     string  `json:"peer,omitempty"`  // what it is compared with, in the same run
	Ratio    float64 `json:"ratio,omitempty"` // value / the peer's value
	Target   string  `json:"target,omitempty"`
	Note     string  `json:"note,omitempty"`
	NotGiven bool    `json:"not_given,omitempty"` // the data or the part is not here: there is no value
	Missed   bool    `json:"missed,omitempty"`    // the target is a floor and is not reached
}

// Share is a figure of n out of of, as a share.
func Share(name string, n, of int, note string) Figure {
	f := Figure{Name: name, N: n, Of: of, Unit: "share", Note: note}
	if of > 0 {
		f.Value = float64(n) / float64(of)
	}
	return f
}

// Amount is a figure with a unit.
func Amount(name string, value float64, unit, note string) Figure {
	return Figure{Name: name, Value: value, Unit: unit, Note: note}
}

// Missing is a figure that has no value, and why.
func Missing(name, why string) Figure { return Figure{Name: name, NotGiven: true, Note: why} }
