package compile

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"runtime"

	"golang.org/x/sys/cpu"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/wasm/module"
)

// record describes one compiled module. It stands in front of the bytes that it
// describes, in one file: MAC, length of the record, record, rewritten module,
// native code.
type record struct {
	Key        string         `json:"key"` // what the file is called for: a file under another name is refused
	Original   abi.Digest     `json:"original"`
	Rewritten  abi.Digest     `json:"rewritten"`
	Native     abi.Digest     `json:"native"`
	NativeName string         `json:"native_name"` // below the engine's cache directory
	Size       int            `json:"size"`        // bytes of the rewritten module
	Code       int            `json:"code"`        // bytes of native code
	Platform   platform       `json:"platform"`
	Options    Options        `json:"options"`
	Report     *module.Report `json:"report"`
}

// platform is everything besides the module and the options that decides what the
// native code looks like.
type platform struct {
	Wazero   string `json:"wazero"`
	Rewriter string `json:"rewriter"`
	OS       string `json:"os"`
	Arch     string `json:"arch"`
	CPU      string `json:"cpu"` // digest of the processor's features
}

func thisPlatform() platform {
	features := sha256.Sum256(fmt.Appendf(nil, "%+v\n%+v", cpu.X86, cpu.ARM64))
	return platform{Wazero: wazeroVersion, Rewriter: module.Version, OS: runtime.GOOS, Arch: runtime.GOARCH, CPU: hex.EncodeToString(features[:])}
}

// keyOf names the file of a module: every input of the compiler is in it.
func keyOf(d abi.Digest, o Options) string {
	p := thisPlatform()
	sum := sha256.Sum256(fmt.Appendf(nil, "glovebox/compiled/v1\n%s\n%s\n%s\n%s\n%s\n%s\n%d %d %d\n",
		d, p.Wazero, p.Rewriter, p.OS, p.Arch, p.CPU, o.TableMax, o.MemoryPages, o.Stack))
	return hex.EncodeToString(sum[:])
}

// macContext separates these MACs from any other use of the same key.
const macContext = "glovebox/compiled/v1\n"

func mac(key []byte, body []byte) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, macContext) //nolint:errcheck // a hash does not fail
	h.Write(body)
	return h.Sum(nil)
}

// seal returns the file for r.
func seal(key []byte, r record, rewritten, native []byte) ([]byte, error) {
	head, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("write the record of a compiled module: %w", err)
	}
	out := make([]byte, sha256.Size, sha256.Size+4+len(head)+len(rewritten)+len(native))
	out = binary.BigEndian.AppendUint32(out, uint32(len(head)))
	out = append(append(append(out, head...), rewritten...), native...)
	copy(out, mac(key, out[sha256.Size:]))
	return out, nil
}

// unseal verifies file and takes it apart. It parses nothing before the MAC was
// found right, and then still checks that the record is the one asked for.
func unseal(key, file []byte, want string) (r record, rewritten, native []byte, err error) {
	if len(file) < sha256.Size+4 || !hmac.Equal(file[:sha256.Size], mac(key, file[sha256.Size:])) {
		return r, nil, nil, fmt.Errorf("%w: its MAC is wrong", ErrSeal)
	}
	rest := file[sha256.Size:]
	n := int64(binary.BigEndian.Uint32(rest))
	rest = rest[4:]
	if n > int64(len(rest)) {
		return r, nil, nil, fmt.Errorf("%w: its record is cut short", ErrSeal)
	}
	d := json.NewDecoder(bytes.NewReader(rest[:n]))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return r, nil, nil, fmt.Errorf("%w: its record is unreadable: %w", ErrSeal, err)
	}
	rest = rest[n:]
	switch {
	case r.Key != want:
		return r, nil, nil, fmt.Errorf("%w: it belongs to another module or to other limits", ErrSeal)
	case r.Platform != thisPlatform() || keyOf(r.Original, r.Options) != want:
		return r, nil, nil, fmt.Errorf("%w: it was made for another engine or processor", ErrSeal)
	case r.Size < 0 || r.Code < 0 || r.Size+r.Code != len(rest) || !nativeName(r.NativeName) || r.Report == nil:
		return r, nil, nil, fmt.Errorf("%w: its record contradicts itself", ErrSeal)
	}
	rewritten, native = rest[:r.Size:r.Size], rest[r.Size:]
	if abi.DigestOf(rewritten) != r.Rewritten || abi.DigestOf(native) != r.Native {
		return r, nil, nil, fmt.Errorf("%w: its contents do not match its record", ErrSeal)
	}
	return r, rewritten, native, nil
}
