package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/glovebox-dev/glovebox/internal/canon"
)

// Checkpoint is a signed statement that the chain had this head after Seq records.
// Kept outside the database it shows that records were cut off or put back.
type Checkpoint struct {
	Seq  uint64    `json:"seq"`
	Head string    `json:"head"` // SHA-256 of record Seq, hex
	Time time.Time `json:"time"`
	Key  string    `json:"key"` // id of the signing key
	Sig  string    `json:"sig"` // Ed25519, base64; over the rest
}

// domain keeps the signature from meaning anything elsewhere.
const domain = "glovebox/audit-checkpoint/v1\n"

func (c Checkpoint) signed() ([]byte, error) {
	c.Sig = ""
	b, err := canon.Marshal(c)
	if err != nil {
		return nil, err
	}
	return append([]byte(domain), b...), nil
}

func (k *keyFile) sign(seq uint64, head string, at time.Time) (Checkpoint, error) {
	key := k.Keys[len(k.Keys)-1]
	c := Checkpoint{Seq: seq, Head: head, Time: at, Key: key.ID}
	msg, err := c.signed()
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit checkpoint: %w", err)
	}
	c.Sig = base64.StdEncoding.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(key.Seed), msg))
	return c, nil
}

// Errors about checkpoints.
var (
	errUnknownKey = errors.New("signed by an unknown key")
	errSignature  = errors.New("signature does not verify")
)

func (k *keyFile) verify(c Checkpoint) error {
	public, ok := k.public(c.Key)
	if !ok {
		return fmt.Errorf("%w %q", errUnknownKey, clip(c.Key))
	}
	msg, err := c.signed()
	if err != nil {
		return err
	}
	sig, err := base64.StdEncoding.DecodeString(c.Sig)
	if err != nil || !ed25519.Verify(public, msg, sig) {
		return errSignature
	}
	return nil
}

// ParseCheckpoint reads the JSON of a checkpoint, as audit verify prints it and as
// the anchor file holds it. Its signature is not checked here.
func ParseCheckpoint(data []byte) (Checkpoint, error) {
	v, err := canon.Parse(data, canon.Limits{Bytes: 4 << 10, Depth: 2, Nodes: 32})
	if err != nil {
		return Checkpoint{}, fmt.Errorf("audit checkpoint: %w", err)
	}
	var c Checkpoint
	if err := json.Unmarshal(v.Canonical(), &c); err != nil {
		return Checkpoint{}, fmt.Errorf("audit checkpoint: %w", err)
	}
	if c.Seq == 0 || len(c.Head) != 64 || c.Sig == "" {
		return Checkpoint{}, errors.New("audit checkpoint: seq, head or sig is missing")
	}
	return c, nil
}

// readAnchor returns the last checkpoint kept outside the database, or nil.
func readAnchor(path string) (*Checkpoint, error) {
	if path == "" {
		return nil, nil
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("audit anchor: %w", err)
	}
	c, err := ParseCheckpoint(data)
	if err != nil {
		return nil, fmt.Errorf("audit anchor %q: %w", path, err)
	}
	return &c, nil
}

func clip(s string) string {
	if len(s) > 64 {
		return s[:64] + "…"
	}
	return s
}
