package abitest

import (
	"bytes"
	"encoding/json"
	"testing"
)

// TestVectors: they decode strictly, have names of their own, and each says what it
// wants.
func TestVectors(t *testing.T) {
	t.Parallel()
	list, err := Vectors()
	if err != nil || len(list) < 100 {
		t.Fatalf("%d vectors, %v", len(list), err)
	}
	seen := map[string]bool{}
	functions := map[string]bool{}
	for _, v := range list {
		if seen[v.Name] {
			t.Errorf("%s: twice", v.Name)
		}
		seen[v.Name], functions[v.Function] = true, true
		if v.Raw == nil && v.Code == "" && v.Want == nil && !v.Traps {
			t.Errorf("%s: wants nothing", v.Name)
		}
	}
	for _, f := range []string{
		"config_get", "var_get", "http_request", "get_log_level",
		"create_elicitation", "create_message", "get_keyring_secret", "get_access_token", "list_roots", "notify_logging_message", "notify_progress", "notify_tool_list_changed",
		"fetch", "fs_read", "fs_write", "fs_list", "fs_stat", "fs_mkdir", "fs_remove", "fs_rename", "secret_handle",
		"kv_get", "kv_set", "kv_delete", "kv_list", "log", "progress", "capabilities", "ask",
	} {
		if !functions[f] {
			t.Errorf("no vector calls %s", f)
		}
	}
}

// TestAnswer: a host that answers something else fails the vector.
func TestAnswer(t *testing.T) {
	t.Parallel()
	empty, text := "", "x"
	for _, tc := range []struct {
		name, answer string
		v            Vector
		ok           bool
	}{
		{"the error that is wanted", `{"error":{"code":"denied","message":"m"}}`, Vector{Code: "denied"}, true},
		{"another error", `{"error":{"code":"invalid","message":"m"}}`, Vector{Code: "denied"}, false},
		{"an error without a message", `{"error":{"code":"denied"}}`, Vector{Code: "denied"}, false},
		{"ok instead of an error", `{"ok":{}}`, Vector{Code: "denied"}, false},
		{"an error instead of ok", `{"error":{"code":"denied","message":"m"}}`, Vector{Want: json.RawMessage(`{}`)}, false},
		{"more than is wanted", `{"ok":{"a":1,"b":{"c":2,"d":3}}}`, Vector{Want: json.RawMessage(`{"b":{"c":2}}`)}, true},
		{"less than is wanted", `{"ok":{"a":1}}`, Vector{Want: json.RawMessage(`{"a":1,"b":2}`)}, false},
		{"another value", `{"ok":{"a":1}}`, Vector{Want: json.RawMessage(`{"a":2}`)}, false},
		{"the block", "{\"ok\":{\"a\":1}}\tx", Vector{Want: json.RawMessage(`{"a":1}`), Block: "x"}, true},
		{"another block", "{\"ok\":{\"a\":1}}\ty", Vector{Want: json.RawMessage(`{"a":1}`), Block: "x"}, false},
		{"raw", "x", Vector{Raw: &text}, true},
		{"raw, but not empty", "x", Vector{Raw: &empty}, false},
		{"no JSON", "x", Vector{Want: json.RawMessage(`{}`)}, false},
	} {
		if err := tc.v.answer(tc.answer); (err == nil) != tc.ok {
			t.Errorf("%s: %v", tc.name, err)
		}
	}
}

// TestGuests are modules, small enough to be read beside their sources.
func TestGuests(t *testing.T) {
	t.Parallel()
	for name, b := range map[string][]byte{"probe": Probe(), "hostile": Hostile(), "mcp1": MCPv1(), "mcp2": MCPv2(), "command": Command(),
		"built": Module{Memory: 1, Table: 1, Globals: []int64{-1}, Funcs: []Func{{Export: "f", Code: Loop}}}.Bytes()} {
		if !bytes.HasPrefix(b, []byte("\x00asm\x01\x00\x00\x00")) || len(b) > 30<<10 {
			t.Errorf("%s: %d bytes", name, len(b))
		}
	}
}
