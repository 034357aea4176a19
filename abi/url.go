package abi

// Origin is a canonical scheme://host[:port]: scheme http or https, host an A-label
// name in lower case or an IP literal, the default port left out (RFC 6454).
type Origin string

// OriginPattern is an origin whose host may begin with "*.", which stands for
// exactly one label.
type OriginPattern string
