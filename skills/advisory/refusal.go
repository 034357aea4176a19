package advisory

import "fmt"

// Reason is the stable code of a refusal; errors.Is finds it in an error.
type Reason string

// The reasons.
const (
	ErrNoDB    Reason = "osv.nodb"    // no data, or data that cannot be read as a whole
	ErrStale   Reason = "osv.stale"   // data older than the policy admits, or older than what is here
	ErrInvalid Reason = "osv.invalid" // a package, record or archive that cannot be judged
)

// Error implements error.
func (r Reason) Error() string { return string(r) }

// Refusal is the one error type of this package's decisions.
type Refusal struct {
	Reason Reason
	What   string // what happened, lower case
	Fix    string // a command that mends it; "" when there is none
	Err    error  // the cause, may be nil
}

// Error implements error.
func (r *Refusal) Error() string {
	s := r.What
	if r.Err != nil {
		s += ": " + r.Err.Error()
	}
	return fmt.Sprintf("%s (%s)", s, r.Reason)
}

// Unwrap finds the reason and the cause.
func (r *Refusal) Unwrap() []error {
	if r.Err == nil {
		return []error{r.Reason}
	}
	return []error{r.Reason, r.Err}
}

func invalid(format string, args ...any) *Refusal {
	return &Refusal{Reason: ErrInvalid, What: fmt.Sprintf(format, args...)}
}
