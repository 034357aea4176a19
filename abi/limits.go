package abi

import "time"

// Limits bounds one call of one skill. The zero value allows nothing; every field
// is enforced by host/wasm or broker and fired by a test.
type Limits struct {
	Wall         time.Duration `json:"wall"`          // one call
	InitWall     time.Duration `json:"init_wall"`     // instantiation and initialisers
	Memory       int64         `json:"memory"`        // bytes of guest memory and kernel together
	Stack        int           `json:"stack"`         // call depth
	Table        int           `json:"table"`         // entries
	Input        int64         `json:"input"`         // bytes
	Output       int64         `json:"output"`        // bytes
	HostCalls    int           `json:"host_calls"`    //
	HTTPCalls    int           `json:"http_calls"`    //
	HTTPSent     int64         `json:"http_sent"`     // bytes of all request bodies
	HTTPReceived int64         `json:"http_received"` // bytes of all response bodies, decompressed
	HTTPResponse int64         `json:"http_response"` // bytes of one response body, decompressed
	HTTPTime     time.Duration `json:"http_time"`     // one request
	FileRead     int64         `json:"file_read"`     // bytes read
	LogLines     int           `json:"log_lines"`     //
	LogLine      int           `json:"log_line"`      // bytes of one line
	Vars         int64         `json:"vars"`          // bytes of scratch variables
	KVBytes      int64         `json:"kv_bytes"`      //
	KVKeys       int           `json:"kv_keys"`       //
	Asks         int           `json:"asks"`          //
}

// Sizes in bytes.
const (
	KiB = 1 << 10
	MiB = 1 << 20
	GiB = 1 << 30
)

// DefaultLimits returns the limits that hold when nobody says otherwise: the one
// place where they are written.
func DefaultLimits() Limits {
	return Limits{
		Wall: 10 * time.Second, InitWall: 2 * time.Second,
		Memory: 64 * MiB, Stack: 10_000, Table: 65_536,
		Input: 1 * MiB, Output: 1 * MiB, HostCalls: 100_000,
		HTTPCalls: 20, HTTPSent: 1 * MiB, HTTPReceived: 8 * MiB, HTTPResponse: 2 * MiB, HTTPTime: 30 * time.Second,
		FileRead: 16 * MiB, LogLines: 1_000, LogLine: 4 * KiB, Vars: 64 * KiB,
		KVBytes: 1 * MiB, KVKeys: 1_000, Asks: 3,
	}
}

// MaxLimits returns the ceiling that no manifest or grant can pass.
func MaxLimits() Limits {
	l := DefaultLimits()
	l.Wall, l.Memory, l.Stack = 120*time.Second, 512*MiB, 100_000
	l.Input, l.Output = 16*MiB, 16*MiB
	l.HTTPCalls, l.HTTPSent, l.HTTPReceived, l.HTTPResponse = 200, 16*MiB, 64*MiB, 16*MiB
	l.FileRead, l.KVBytes, l.KVKeys = 256*MiB, 64*MiB, 100_000
	return l
}
