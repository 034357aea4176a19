//go:build !wasip1

package guest

import "embed"

// Source is the source of this package, without its tests: "glovebox skill new" lays
// a copy beside the new skill, so that it builds without fetching Glovebox.
//
//go:embed arguments.go context.go doc.go fake.go fetch.go files.go kv.go problem.go result.go schema.go skill.go source.go wire_other.go wire_wasip1.go
var Source embed.FS
