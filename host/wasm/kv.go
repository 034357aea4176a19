package wasm

import (
	"context"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
)

// Bounds of the key-value store.
const (
	maxKVKey   = 256
	maxKVValue = 256 << 10
	maxKVList  = 1000
)

// kv decodes a request and checks that the store may be used.
func (c *call) kv(block []byte, keyed bool) (abi.KVRequest, *abi.Problem) {
	var req abi.KVRequest
	if p := decodeRequest(block, &req); p != nil {
		return req, p
	}
	switch {
	case keyed && (len(req.Key) == 0 || len(req.Key) > maxKVKey || !utf8.ValidString(req.Key)):
		return req, invalid("key: want 1 to %d bytes of UTF-8", maxKVKey)
	case len(req.Prefix) > maxKVKey || len(req.After) > maxKVKey:
		return req, invalid("prefix and after: want at most %d bytes", maxKVKey)
	case req.Limit < 0 || req.Limit > maxKVList:
		return req, invalid("limit: want at most %d", maxKVList)
	case req.TTLSec < 0:
		return req, invalid("ttl_s: want 0 or more")
	case c.phase == phaseInit:
		return req, phaseProblem("kv", "kv")
	case c.rights.KV == nil:
		return req, &abi.Problem{Code: abi.CodeDenied, Capability: "kv", Rule: "grant/none",
			Message: "storage is not granted to skill " + string(c.caller.Skill), Hint: c.grantHint(" --kv")}
	case c.services.KV == nil:
		return req, unavailable("kv")
	}
	return req, nil
}

func doKVGet(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	req, p := c.kv(block, true)
	if p != nil {
		return nil, p
	}
	value, version, l, err := c.services.KV.Get(ctx, c.caller, req)
	c.saw("kv", l)
	if err != nil {
		return nil, c.problemOf(ctx, "kv_get", err)
	}
	return abi.KVGetResult{Value: c.put(value), Version: version}, nil
}

func doKVSet(ctx context.Context, c *call, block, data []byte) (any, *abi.Problem) {
	req, p := c.kv(block, true)
	if p != nil {
		return nil, p
	}
	if len(data) > maxKVValue {
		return nil, &abi.Problem{Code: abi.CodeTooLarge, Capability: "kv", Rule: "kv/value", Message: "a value has at most 262144 bytes"}
	}
	limit := min(c.rights.KV.MaxBytes, c.limits.KVBytes)
	version, told, err := c.services.KV.Set(ctx, c.caller, limit, c.limits.KVKeys, req, data, c.written())
	c.saw("kv", told)
	if err != nil {
		return nil, c.problemOf(ctx, "kv_set", err)
	}
	return struct {
		Version uint64 `json:"version"`
	}{version}, nil
}

func doKVDelete(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	req, p := c.kv(block, true)
	if p != nil {
		return nil, p
	}
	told, err := c.services.KV.Delete(ctx, c.caller, req, c.written())
	c.saw("kv", told)
	if err != nil {
		return nil, c.problemOf(ctx, "kv_delete", err)
	}
	return struct{}{}, nil
}

func doKVList(ctx context.Context, c *call, block, _ []byte) (any, *abi.Problem) {
	req, p := c.kv(block, false)
	if p != nil {
		return nil, p
	}
	if req.Limit == 0 {
		req.Limit = maxKVList
	}
	list, l, err := c.services.KV.List(ctx, c.caller, req)
	c.saw("kv", l)
	if err != nil {
		return nil, c.problemOf(ctx, "kv_list", err)
	}
	if list.Keys == nil {
		list.Keys = []abi.KVEntry{}
	}
	return list, nil
}
