package registry

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Reason is the stable code of a refusal.
type Reason string

// The reasons.
const (
	Tampered Reason = "registry.tampered" // the bytes are not those that were signed for
	Rollback Reason = "registry.rollback" // older than what was accepted before
	Frozen   Reason = "registry.frozen"   // signed once, but expired by now
	Mixed    Reason = "registry.mixed"    // files of different versions
	Size     Reason = "registry.size"     // more bytes than announced or allowed
	Unsigned Reason = "registry.unsigned" // not enough signatures of the keys that count
	NoData   Reason = "registry.nodata"   // missing, here or at the source
	Mismatch Reason = "registry.mismatch" // signed, but it says what it may not say
	Restored Reason = "registry.restored" // the database is older than what this machine saw
)

// Refusal says why a registry, or one publisher in it, is not believed.
type Refusal struct {
	Reason   Reason
	Registry Name   // "" when no registry is concerned yet
	What     string // what happened
	Fix      string // a command, or what to change
	Err      error  // the cause, may be nil
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Registry == "" {
		return fmt.Sprintf("%s (%s)", r.What, r.Reason)
	}
	return fmt.Sprintf("registry %q: %s (%s)", r.Registry, r.What, r.Reason)
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, What: fmt.Sprintf(format, args...)}
}

// classify turns what reading and verifying the file answered into a Refusal.
func classify(file string, err error) *Refusal {
	var known *Refusal
	if errors.As(err, &known) {
		return known
	}
	var (
		unsigned *metadata.ErrUnsignedMetadata
		expired  *metadata.ErrExpiredMetadata
		version  *metadata.ErrBadVersionNumber
	)
	reason := Tampered
	switch {
	case errors.As(err, &unsigned):
		reason = Unsigned
	case errors.As(err, &expired):
		reason = Frozen
	case errors.As(err, &version):
		reason = Mixed
	case errors.Is(err, fs.ErrNotExist):
		reason = NoData
	}
	return &Refusal{Reason: reason, What: fmt.Sprintf("%s: %v", file, err), Err: err}
}
