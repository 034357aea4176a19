package probe

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io/fs"
	"path"
	"strings"

	"github.com/glovebox-dev/glovebox/internal/contain"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// stream is a deterministic source of bytes, so that each run has the same corpus.
type stream struct {
	seed string
	n    uint64
}

func (s *stream) bytes(n int) []byte {
	var out []byte
	for len(out) < n {
		s.n++
		sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(s.seed), s.n))
		out = append(out, sum[:]...)
	}
	return out[:n]
}

func (s *stream) below(n int) int { return int(binary.BigEndian.Uint32(s.bytes(4))) % n }

// live are the secrets that the guard knows while it reads honest text: 100 random ones.
func live() (*redact.Matcher, error) {
	s := stream{seed: "live"}
	values := map[string]string{}
	for i := range 100 {
		switch i % 4 {
		case 0:
			values[fmt.Sprint(i)] = hex.EncodeToString(s.bytes(16))
		case 1:
			values[fmt.Sprint(i)] = base64.RawURLEncoding.EncodeToString(s.bytes(24))
		case 2:
			values[fmt.Sprint(i)] = "ghx_" + base64.RawStdEncoding.EncodeToString(s.bytes(27))
		default:
			values[fmt.Sprint(i)] = phrase(&s, 4)
		}
	}
	return redact.NewMatcher(values)
}

const words = "the token key secret of a pass phrase for this service is not in here because nobody writes it down again today which helps"

func phrase(s *stream, n int) string {
	list := strings.Fields(words)
	var out []string
	for range n {
		out = append(out, list[s.below(len(list))]+fmt.Sprint(s.below(1000)))
	}
	return strings.Join(out, "-")
}

// benign is the corpus of honest payloads: code, prose about tokens, hashes, UUIDs and
// pictures in base64.
func benign(source fs.FS) (map[string][]string, error) {
	s := stream{seed: "benign"}
	all := map[string][]string{}
	for range 500 {
		all["hashes"] = append(all["hashes"], hex.EncodeToString(s.bytes(32))+"  "+phrase(&s, 1))
		id := hex.EncodeToString(s.bytes(16))
		all["uuids"] = append(all["uuids"], strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-"))
		list := strings.Fields(words)
		var text []string
		for range 60 {
			text = append(text, list[s.below(len(list))])
		}
		all["prose"] = append(all["prose"], strings.Join(text, " ")+" ghp_0000 AKIA Bearer {{secret:gh}}")
	}
	for range 100 {
		img := image.NewRGBA(image.Rect(0, 0, 24, 24))
		for i := range 24 * 24 {
			b := s.bytes(3)
			img.Set(i%24, i/24, color.RGBA{b[0], b[1], b[2], 255})
		}
		var b bytes.Buffer
		if err := png.Encode(&b, img); err != nil {
			return nil, err
		}
		all["pictures"] = append(all["pictures"], "data:image/png;base64,"+base64.StdEncoding.EncodeToString(b.Bytes()))
	}
	if source == nil {
		return all, nil
	}
	err := fs.WalkDir(source, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || path.Ext(p) != ".go" || len(all["code"]) >= 1000 {
			return err
		}
		b, err := fs.ReadFile(source, p)
		if err != nil {
			return err
		}
		all["code"] = append(all["code"], string(b[:min(len(b), 16<<10)]))
		return nil
	})
	return all, err
}

// Alterations counts the honest payloads that the guard would change. source is a tree
// of Go code, such as that of the standard library; nil leaves code out.
func Alterations(source fs.FS) ([]contain.Figure, error) {
	m, err := live()
	if err != nil {
		return nil, err
	}
	all, err := benign(source)
	if err != nil {
		return nil, err
	}
	altered, total, size := 0, 0, 0
	var kinds []string
	for _, kind := range []string{"code", "prose", "hashes", "uuids", "pictures"} {
		for _, text := range all[kind] {
			total++
			size += len(text)
			if m.RedactString(text) != text {
				altered++
			}
		}
		kinds = append(kinds, fmt.Sprintf("%d %s", len(all[kind]), kind))
	}
	return []contain.Figure{contain.Share("C false alterations of honest payloads", altered, total,
		fmt.Sprintf("%s; %.1f MB, 100 live secrets", strings.Join(kinds, ", "), float64(size)/1e6))}, nil
}
