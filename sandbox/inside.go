package sandbox

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Cell is what a confined child knows about its jail.
type Cell struct {
	Out    string // the writable directory; empty = none
	Memory int64  // soft limit for the Go heap in bytes
	Probe  bool   // the spawner only wants to know whether the jail holds: call Probe

	expect []byte // of a box's self-test: walls.Expect in JSON
}

// boxArg is the argument of the inside step of a box, wallsPrefix begins that of a
// box's self-test.
const (
	boxArg      = "--box"
	wallsPrefix = "--walls="
)

// tokenPrefix begins the argument in which the spawner tells the child its limits.
const tokenPrefix = "--jail="

// token is the wire form of the limits.
type token struct {
	as, fsize, cpu uint64 // bytes, bytes, seconds
	out            string
	probe          bool
}

func (t token) String() string {
	s := fmt.Sprintf("%sas=%d,fsize=%d,cpu=%d", tokenPrefix, t.as, t.fsize, t.cpu)
	if t.probe {
		s += ",probe=1"
	}
	return s + ",out=" + t.out
}

func parseToken(s string) (token, error) {
	var t token
	rest, ok := strings.CutPrefix(s, tokenPrefix)
	if !ok {
		return t, errors.New("the first argument names no limits; this verb is for the program's own use")
	}
	for _, field := range strings.Split(rest, ",") {
		k, v, _ := strings.Cut(field, "=")
		n, err := strconv.ParseUint(v, 10, 64)
		switch k {
		case "as":
			t.as = n
		case "fsize":
			t.fsize = n
		case "cpu":
			t.cpu = n
		case "probe":
			t.probe = n == 1
		case "out":
			t.out, err = v, nil
		default:
			return t, fmt.Errorf("unknown limit %q", k)
		}
		if err != nil {
			return t, fmt.Errorf("limit %q: %w", k, err)
		}
	}
	if t.as == 0 || t.fsize == 0 || t.cpu == 0 {
		return t, errors.New("a limit is missing")
	}
	return t, nil
}
