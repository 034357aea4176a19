package artifact

import "fmt"

// Reason is the stable code of a refusal.
type Reason string

// Why an artifact is refused.
const (
	ReasonPin       Reason = "oci.pin"       // the name leads to another digest than the one that was pinned
	ReasonMedia     Reason = "oci.media"     // a media type that is not loaded
	ReasonSize      Reason = "oci.size"      // more bytes or entries than admitted, or another number than announced
	ReasonDigest    Reason = "oci.digest"    // the bytes are not those that the digest names
	ReasonManifest  Reason = "oci.manifest"  // the files do not give the manifest that was sent
	ReasonName      Reason = "oci.name"      // a file name that leaves the folder, collides or is taken
	ReasonTar       Reason = "oci.tar"       // the single file is not the tar that WriteTar writes
	ReasonReference Reason = "oci.reference" // the reference cannot be read, or names nothing or more than one thing
	ReasonTaken     Reason = "oci.taken"     // the tag names another artifact already
	ReasonMissing   Reason = "oci.missing"   // nothing is there
	ReasonUnsigned  Reason = "sig.missing"   // no signature is there
)

// Refusal says why an artifact is not taken.
type Refusal struct {
	Reason Reason
	What   string // what happened and why
	Fix    string // what fixes it; may be empty
	Err    error  // the cause, or nil
}

// Error implements error.
func (r *Refusal) Error() string {
	text := r.What
	if r.Err != nil {
		text += ": " + r.Err.Error()
	}
	return text + " (" + string(r.Reason) + ")"
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

func refuse(reason Reason, format string, args ...any) *Refusal {
	return &Refusal{Reason: reason, What: fmt.Sprintf(format, args...)}
}

func (r *Refusal) because(err error) *Refusal {
	r.Err = err
	return r
}

func (r *Refusal) hint(format string, args ...any) *Refusal {
	r.Fix = fmt.Sprintf(format, args...)
	return r
}
