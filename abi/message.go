package abi

import "encoding/json"

// Namespaces of the functions that a module may import.
const (
	NamespaceEnv  = "extism:host/env"  // the Extism kernel and its host functions
	NamespaceUser = "extism:host/user" // hyper-mcp's functions
	NamespaceHost = "glovebox:host/v1" // ours
)

// FetchRequest is the request block of fetch. A body travels as a block of its own.
type FetchRequest struct {
	URL       string              `json:"url"`
	Method    string              `json:"method,omitempty"` // GET if empty
	Headers   map[string][]string `json:"headers,omitempty"`
	Auth      SecretName          `json:"auth,omitempty"`       // inject this secret by its rule
	Redirect  string              `json:"redirect,omitempty"`   // follow (default) or manual
	TimeoutMS int64               `json:"timeout_ms,omitempty"` // lowered to what the call has left
	MaxBytes  int64               `json:"max_bytes,omitempty"`  // lowered to the grant
}

// FetchResponse is the answer of fetch; the body travels as a block of its own.
type FetchResponse struct {
	Status    int                 `json:"status"`
	Headers   map[string][]string `json:"headers"` // lower-case names
	Body      uint64              `json:"body"`    // handle, 0 = empty; set by the chamber
	Length    int                 `json:"length"`
	URL       string              `json:"url"` // after redirects
	Redirects int                 `json:"redirects"`
	Private   bool                `json:"-"` // the server is one that only the operator's own network reaches
}

// FileRequest is the request block of the fs_ functions. Paths are absolute in the
// guest's namespace.
type FileRequest struct {
	Path    string `json:"path,omitempty"`
	Offset  int64  `json:"offset,omitempty"`
	Length  int64  `json:"length,omitempty"`
	Mode    string `json:"mode,omitempty"`     // create, replace, append
	IfMatch string `json:"if_match,omitempty"` // sha256 hex of the present content
	MkDirs  bool   `json:"mkdirs,omitempty"`
	After   string `json:"after,omitempty"`
	Limit   int    `json:"limit,omitempty"`
	From    string `json:"from,omitempty"`
	To      string `json:"to,omitempty"`
}

// FileReadResult answers fs_read.
type FileReadResult struct {
	Data uint64 `json:"data"` // handle
	Size int64  `json:"size"`
	EOF  bool   `json:"eof"`
}

// FileWriteResult answers fs_write.
type FileWriteResult struct {
	Written int64  `json:"written"`
	SHA256  string `json:"sha256"`
}

// FileEntry is one entry of fs_list, and the answer of fs_stat without a name.
type FileEntry struct {
	Name  string `json:"name,omitempty"`
	Type  string `json:"type"` // file, dir, other
	Size  int64  `json:"size"`
	MTime int64  `json:"mtime"` // Unix milliseconds; of what is no file, 0
}

// FileListResult answers fs_list.
type FileListResult struct {
	Entries []FileEntry `json:"entries"`
	Next    string      `json:"next,omitempty"`
}

// SecretHandle answers secret_handle: the placeholder is public text without
// authority of its own.
type SecretHandle struct {
	Placeholder string   `json:"placeholder"` // {{secret:NAME}}
	Audience    []string `json:"audience"`
	Positions   []string `json:"positions"`
	Present     bool     `json:"present"`
}

// KVRequest is the request block of the kv_ functions.
type KVRequest struct {
	Key       string  `json:"key,omitempty"`
	Prefix    string  `json:"prefix,omitempty"`
	After     string  `json:"after,omitempty"`
	Limit     int     `json:"limit,omitempty"`
	IfVersion *uint64 `json:"if_version,omitempty"` // 0 = create only
	TTLSec    int64   `json:"ttl_s,omitempty"`
}

// KVGetResult answers kv_get.
type KVGetResult struct {
	Value   uint64 `json:"value"` // handle
	Version uint64 `json:"version"`
}

// KVEntry is one key of kv_list.
type KVEntry struct {
	Key     string `json:"key"`
	Version uint64 `json:"version"`
	Size    int64  `json:"size"`
}

// KVListResult answers kv_list.
type KVListResult struct {
	Keys []KVEntry `json:"keys"`
	Next string    `json:"next,omitempty"`
}

// LogRequest is the block of log.
type LogRequest struct {
	Level   string            `json:"level"` // trace, debug, info, warn, error
	Message string            `json:"message"`
	Fields  map[string]string `json:"fields,omitempty"`
}

// ProgressRequest is the block of progress.
type ProgressRequest struct {
	Progress float64 `json:"progress"`
	Total    float64 `json:"total,omitempty"`
	Message  string  `json:"message,omitempty"`
}

// AskRequest is the request block of ask: a question to the operator, never to the model.
type AskRequest struct {
	Question string          `json:"question"`
	Choices  []string        `json:"choices,omitempty"`
	Schema   json.RawMessage `json:"schema,omitempty"`
	TimeoutS int64           `json:"timeout_s,omitempty"`
}

// AskResult answers ask.
type AskResult struct {
	Action  string          `json:"action"` // accept, decline, timeout
	Content json.RawMessage `json:"content,omitempty"`
}

// Answer is the envelope of every answer block of glovebox:host/v1.
type Answer struct {
	OK    any      `json:"ok,omitempty"`
	Error *Problem `json:"error,omitempty"`
}
