package artifact

import (
	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
)

// DigestOf returns the digest of the artifact of a bundle, as it follows from the
// manifest alone: whether a file that it lists has changed shows when that is read.
func DigestOf(b *skills.Bundle) (abi.Digest, error) {
	text, err := b.ReadFile(skills.ManifestFile)
	if err != nil {
		return "", err
	}
	a, err := plan(b.Manifest, text)
	if err != nil {
		return "", err
	}
	return a.Digest, nil
}
