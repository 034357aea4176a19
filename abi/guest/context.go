package guest

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// Context is the host as one call sees it. It is good for that call only.
type Context struct{ wire Wire }

// Wire is the boundary itself: a function of the host by name, with a request block
// and a block of bulk bytes. In a chamber it is not used, and host functions are
// called directly, so that a module imports only what it calls.
type Wire interface {
	// Call answers with the bytes of the answer block, or nil.
	Call(function string, request, bulk []byte) []byte
	// Block returns the bytes of a handle that an answer named.
	Block(handle uint64) []byte
	// Now returns Unix milliseconds.
	Now() int64
}

// answer decodes an answer block into ok, which may be nil.
func answer(function string, block []byte, ok any) error {
	var a struct {
		OK    json.RawMessage `json:"ok"`
		Error *Problem        `json:"error"`
	}
	if err := json.Unmarshal(block, &a); err != nil {
		return fmt.Errorf("%s: the host's answer: %w", function, err)
	}
	if a.Error != nil {
		return a.Error.asError()
	}
	if ok == nil || len(a.OK) == 0 {
		return nil
	}
	if err := json.Unmarshal(a.OK, ok); err != nil {
		return fmt.Errorf("%s: the host's answer: %w", function, err)
	}
	return nil
}

// request encodes a request block. The types of this package always have a JSON form.
func request(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		return nil
	}
	return b
}

// Now returns the host's wall clock, in UTC, to the millisecond.
func (c Context) Now() time.Time { return time.UnixMilli(hostNow(c.wire)).UTC() }

// Log writes one line to the log of the call. Levels: trace, debug, info, warn, error.
// Fields are pairs of key and value.
func (c Context) Log(level, message string, fields ...string) {
	m := struct {
		Level   string            `json:"level"`
		Message string            `json:"message"`
		Fields  map[string]string `json:"fields,omitempty"`
	}{Level: level, Message: message}
	for i := 0; i+1 < len(fields); i += 2 {
		if m.Fields == nil {
			m.Fields = make(map[string]string, len(fields)/2)
		}
		m.Fields[fields[i]] = fields[i+1]
	}
	hostLog(c.wire, request(m))
}

// Progress reports done of total steps; a total of 0 is unknown.
func (c Context) Progress(done, total float64, message string) {
	hostProgress(c.wire, request(struct {
		Progress float64 `json:"progress"`
		Total    float64 `json:"total,omitempty"`
		Message  string  `json:"message,omitempty"`
	}{done, total, message}))
}

// Config returns the operator's value for a key of needs.config.
func (c Context) Config(key string) (string, bool) {
	b := hostConfig(c.wire, []byte(key))
	return string(b), b != nil
}

// Secret is a handle on a stored secret. Its value never enters a guest.
type Secret struct {
	Placeholder string   `json:"placeholder"` // write it where the value shall stand
	Audience    []string `json:"audience"`    // origins that the value goes to
	Positions   []string `json:"positions"`   // such as header:authorization
	Present     bool     `json:"present"`     // the operator has stored a value
}

// Secret returns the handle of a secret of needs.secrets.
func (c Context) Secret(name string) (Secret, error) {
	var s Secret
	err := answer("secret_handle", hostSecret(c.wire, request(map[string]string{"name": name})), &s)
	return s, err
}

// Question is put to the operator, outside the conversation.
type Question struct {
	Text    string          `json:"question"`
	Choices []string        `json:"choices,omitempty"`
	Schema  json.RawMessage `json:"schema,omitempty"`    // of the content of the answer
	Seconds int64           `json:"timeout_s,omitempty"` // how long to wait
}

// Answer is the operator's.
type Answer struct {
	Action  string          `json:"action"` // accept, decline, timeout
	Content json.RawMessage `json:"content,omitempty"`
}

// Accepted reports whether the operator said yes.
func (a Answer) Accepted() bool { return a.Action == "accept" }

// Ask puts a question to the operator. The capability is needs.human.
func (c Context) Ask(q Question) (Answer, error) {
	var a Answer
	err := answer("ask", hostAsk(c.wire, request(q)), &a)
	return a, err
}

// Capabilities is the caller's own grant, as far as a guest may see it.
type Capabilities struct {
	ABI  string `json:"abi"`
	HTTP struct {
		Origins []string `json:"origins"`
	} `json:"http"`
	Files []MountAccess   `json:"files"`
	KV    json.RawMessage `json:"kv"`
	Ask   bool            `json:"ask"`
}

// MountAccess is one granted mount.
type MountAccess struct {
	Mount  string `json:"mount"`
	Access string `json:"access"` // ro, rw
}

// Mount returns the access that is granted to a mount, or "".
func (c Capabilities) Mount(mount string) string {
	for _, m := range c.Files {
		if m.Mount == mount {
			return m.Access
		}
	}
	return ""
}

// HasOrigin reports whether requests to the origin are granted by name.
func (c Capabilities) HasOrigin(origin string) bool {
	for _, o := range c.HTTP.Origins {
		if strings.EqualFold(o, origin) {
			return true
		}
	}
	return false
}

// Capabilities returns what this call may do.
func (c Context) Capabilities() (Capabilities, error) {
	block := hostCapabilities(c.wire)
	var whole struct {
		Capabilities
		OK *Capabilities `json:"ok"`
	}
	if err := json.Unmarshal(block, &whole); err != nil {
		return Capabilities{}, fmt.Errorf("capabilities: the host's answer: %w", err)
	}
	if whole.OK != nil {
		return *whole.OK, nil
	}
	return whole.Capabilities, nil
}
