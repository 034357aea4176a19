package guest

// KV is the small store of this skill for this agent. The capability is needs.kv.
type KV struct{ wire Wire }

// KV returns the store of the call.
func (c Context) KV() KV { return KV(c) }

// KVEntry is one key.
type KVEntry struct {
	Key     string `json:"key"`
	Version uint64 `json:"version"`
	Size    int64  `json:"size"`
}

type kvRequest struct {
	Key       string  `json:"key,omitempty"`
	Prefix    string  `json:"prefix,omitempty"`
	After     string  `json:"after,omitempty"`
	Limit     int     `json:"limit,omitempty"`
	IfVersion *uint64 `json:"if_version,omitempty"`
	TTLSec    int64   `json:"ttl_s,omitempty"`
}

// Get returns a value and its version; a key that is absent is ok == false.
func (k KV) Get(key string) (value []byte, version uint64, ok bool, err error) {
	var got struct {
		Value   uint64 `json:"value"`
		Version uint64 `json:"version"`
	}
	err = answer("kv_get", hostKVGet(k.wire, request(kvRequest{Key: key})), &got)
	if HasCode(err, CodeNotFound) {
		return nil, 0, false, nil
	}
	if err != nil {
		return nil, 0, false, err
	}
	return hostBlock(k.wire, got.Value), got.Version, true, nil
}

// Set stores a value, whatever was there.
func (k KV) Set(key string, value []byte) error {
	return answer("kv_set", hostKVSet(k.wire, request(kvRequest{Key: key}), value), nil)
}

// SetIf stores a value if the present one has this version; 0 means that there is
// none. Otherwise the problem has code conflict.
func (k KV) SetIf(key string, value []byte, version uint64) error {
	return answer("kv_set", hostKVSet(k.wire, request(kvRequest{Key: key, IfVersion: &version}), value), nil)
}

// Delete removes a key.
func (k KV) Delete(key string) error {
	return answer("kv_delete", hostKVDelete(k.wire, request(kvRequest{Key: key})), nil)
}

// List returns the keys with a prefix, in order.
func (k KV) List(prefix string) ([]KVEntry, error) {
	var all []KVEntry
	after := ""
	for {
		var page struct {
			Keys []KVEntry `json:"keys"`
			Next string    `json:"next"`
		}
		block := hostKVList(k.wire, request(kvRequest{Prefix: prefix, After: after}))
		if err := answer("kv_list", block, &page); err != nil {
			return nil, err
		}
		all = append(all, page.Keys...)
		if page.Next == "" || page.Next == after {
			return all, nil
		}
		after = page.Next
	}
}
