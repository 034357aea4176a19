// Package walls tries, from inside a box, what a box must not allow: each row is
// one attempt, made for real, and what came of it. It is the same list for the
// daemon's self-test and for the static program in sandbox/probe.
//
// A row passes only if the attempt was seen to be refused. An attempt that could
// not be made counts as failed: nothing is known about that wall.
package walls

// Verdict is what became of an attempt.
type Verdict string

// Verdicts. The zero value is not Pass.
const (
	Pass       Verdict = "pass"       // refused, as it must be
	Fail       Verdict = "fail"       // it worked, or something else happened than a refusal
	Unobserved Verdict = "unobserved" // it could not be tried: counts as failed
	Open       Verdict = "open"       // allowed in this profile by design
)

// Expect is what the spawner knows and the box cannot: what must be out of reach,
// and the limits that were set.
type Expect struct {
	Profile   string   `json:"profile"`
	Loopback  string   `json:"loopback"`  // address and port of a listener on the host's 127.0.0.1
	Abstract  string   `json:"abstract"`  // name of a listening abstract socket of the host
	Secrets   []string `json:"secrets"`   // files of the host that everyone there may read
	PID       int      `json:"pid"`       // a process of the host
	Env       []string `json:"env"`       // the variables that were granted
	Writable  []string `json:"writable"`  // directories that may be written, and no others
	Workspace string   `json:"workspace"` // one of these
	Scratch   int64    `json:"scratch"`   // bytes of /tmp
	Memory    int64    `json:"memory"`    // bytes of data of one process
	Files     int      `json:"files"`
	Procs     int      `json:"procs"`
	FileSize  int64    `json:"file_size"`
	Landlock  bool     `json:"landlock"` // the kernel has it
	Closed    string   `json:"closed"`   // a file that Landlock alone keeps closed
	Runs      bool     `json:"runs"`     // what the program writes may be executed
	Quick     bool     `json:"quick"`    // leave out what takes long
}

// Row is one attempt and its outcome, one JSON line of the probe.
type Row struct {
	ID      string  `json:"row"`
	Group   string  `json:"group"`
	What    string  `json:"what"` // what is tried
	Verdict Verdict `json:"verdict"`
	Saw     string  `json:"saw"` // what happened: an error number, a path
}
