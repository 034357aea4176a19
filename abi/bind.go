package abi

import (
	"encoding/json"
	"fmt"
)

// maxBound bounds the URLs that one argument can name.
const maxBound = 8

// Bind resolves the rights that depend on the arguments of one call: a right for the
// origin in an argument becomes one right for each origin of the URLs that the
// argument holds (a string, or a list of at most 8), with Bound set. Where the
// argument is absent or holds no URL that ParseURL accepts, the right is dropped, and
// the skill's request will be denied as not granted. Arguments that are not one JSON
// object are an error, and so is a longer list.
//
// args must be the arguments that the policy judged and the guest receives, byte by
// byte; a duplicate key, which two parsers would read differently, is an error.
func (r Rights) Bind(args json.RawMessage) (Rights, error) {
	var values map[string]json.RawMessage
	if len(args) > 0 {
		if err := CheckJSON(args, MaxJSONDepth); err != nil {
			return Rights{}, fmt.Errorf("arguments: %w", err)
		}
		if err := json.Unmarshal(args, &values); err != nil {
			return Rights{}, fmt.Errorf("arguments: want a JSON object")
		}
	}
	http := r.HTTP
	r.HTTP = make([]HTTPRight, 0, len(http))
	for _, right := range http {
		if right.Argument == "" {
			r.HTTP = append(r.HTTP, right)
			continue
		}
		urls, err := argumentURLs(right.Argument, values[right.Argument])
		if err != nil {
			return Rights{}, err
		}
		seen := map[Origin]bool{}
		for _, text := range urls {
			u, err := ParseURL(text)
			if err != nil || seen[u.Origin] {
				continue
			}
			seen[u.Origin] = true
			bound := right
			bound.Origin, bound.Argument, bound.Bound, bound.Auth = OriginPattern(u.Origin), "", true, ""
			r.HTTP = append(r.HTTP, bound)
		}
	}
	return r, nil
}

// argumentURLs returns the texts that value holds; a value of another type has none.
func argumentURLs(name string, value json.RawMessage) ([]string, error) {
	var one string
	if json.Unmarshal(value, &one) == nil {
		return []string{one}, nil
	}
	var list []json.RawMessage
	if json.Unmarshal(value, &list) != nil {
		return nil, nil
	}
	if len(list) > maxBound {
		return nil, fmt.Errorf("argument %q names %d URLs, more than the limit of %d", name, len(list), maxBound)
	}
	var urls []string
	for _, item := range list {
		var s string
		if json.Unmarshal(item, &s) == nil {
			urls = append(urls, s)
		}
	}
	return urls, nil
}
