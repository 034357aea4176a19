package artifact

import (
	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
)

// DigestOf returns the digest of the artifact of a bundle, as follows from its manifest
// alone: whether the files that it lists have changed is found when they are read.
func DigestOf(b *skills.Bundle) (abi.Digest, error) {
	a, err := Manifest(b)
	if err != nil {
		return "", err
	}
	return a.Digest, nil
}
