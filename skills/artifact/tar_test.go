package artifact

import (
	"archive/tar"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
)

func packed(t testing.TB, a *Artifact, bundles ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteTar(&b, a, bundles...); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTarIsGolden pins the bytes of the single file too.
func TestTarIsGolden(t *testing.T) {
	t.Parallel()
	b, err := skills.Open(filepath.Join("testdata", "hello"))
	if err != nil {
		t.Fatal(err)
	}
	a, err := Manifest(b)
	if err != nil {
		t.Fatal(err)
	}
	const want = "sha256:93c51c32f5904e988b6b611e565d6a8ca24f98fefd68a8f3d79d2579348f662e"
	if got := abi.DigestOf(packed(t, a, []byte(bundleText))); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if a.FileName() != "hello-1.2.0.skill.tar" {
		t.Errorf("named %s", a.FileName())
	}
}

func TestTarComesBack(t *testing.T) {
	t.Parallel()
	a := hello(t)
	p, err := ReadTar(bytes.NewReader(packed(t, a, []byte(bundleText))))
	if err != nil {
		t.Fatal(err)
	}
	same(t, p, a)
	two := packed(t, a, []byte(bundleText), []byte(`{"another":1}`))
	if p, err = ReadTar(bytes.NewReader(two)); err != nil || len(p.Signatures) != 2 {
		t.Errorf("two signatures: %v", err)
	}
	if !bytes.Equal(two, packed(t, a, []byte(`{"another":1}`), []byte(bundleText))) {
		t.Error("the order of the signatures counts")
	}
	_, err = ReadTar(bytes.NewReader(packed(t, a)))
	wants(t, err, ReasonUnsigned)
}

// entry is one entry of a hostile archive.
type entry struct {
	head tar.Header
	data string
}

func archive(t testing.TB, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, e := range entries {
		h := e.head
		if h.Typeflag == 0 {
			h.Typeflag = tar.TypeReg
		}
		if h.Size == 0 {
			h.Size = int64(len(e.data))
		}
		if h.Typeflag != tar.TypeXGlobalHeader {
			h.Mode = 0o644
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, e.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil && !strings.Contains(err.Error(), "missed writing") {
		t.Fatal(err)
	}
	return append(b.Bytes(), make([]byte, 1024)...)
}

// TestHostileTars goes through the tricks of archives. Nothing is on disk while one is
// read, so that what is refused leaves nothing.
func TestHostileTars(t *testing.T) {
	t.Parallel()
	a := hello(t)
	good := packed(t, a, []byte(bundleText))
	blob := "blobs/sha256/" + strings.Repeat("a", 64)
	plain := func(name string) entry {
		return entry{head: tar.Header{Name: name, Format: tar.FormatUSTAR}, data: "x"}
	}
	pax := archive(t, entry{head: tar.Header{Name: "index.json", Format: tar.FormatPAX, PAXRecords: map[string]string{"GLOVEBOX.x": "y"}}, data: "x"})
	many := make([]entry, 10_000)
	for i := range many {
		many[i] = plain(fmt.Sprintf("blobs/sha256/%064x", i))
	}
	for _, c := range []struct {
		name string
		tar  []byte
		want Reason
	}{
		{"nothing", nil, ReasonMissing},
		{"no archive", []byte(strings.Repeat("x", 2000)), ReasonTar},
		{"a gzip", append([]byte{0x1f, 0x8b, 8}, make([]byte, 1024)...), ReasonTar},
		{"a name that goes up", archive(t, plain("../../etc/passwd")), ReasonTar},
		{"a name that goes up inside", archive(t, plain("blobs/sha256/../../../x")), ReasonTar},
		{"an absolute name", archive(t, plain("/etc/passwd")), ReasonTar},
		{"a name with a backslash", archive(t, plain(`blobs\sha256\x`)), ReasonTar},
		{"a name beside the layout", archive(t, plain("skill.wasm")), ReasonTar},
		{"a name in another case", archive(t, plain("Index.json")), ReasonTar},
		{"a digest in another case", archive(t, plain("blobs/sha256/"+strings.Repeat("A", 64))), ReasonTar},
		{"a name with a dot in front", archive(t, plain("./index.json")), ReasonTar},
		{"a symbolic link", archive(t, entry{head: tar.Header{Name: "index.json", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}}), ReasonTar},
		{"a hard link", archive(t, entry{head: tar.Header{Name: "index.json", Typeflag: tar.TypeLink, Linkname: "oci-layout"}}), ReasonTar},
		{"a device", archive(t, entry{head: tar.Header{Name: "index.json", Typeflag: tar.TypeChar, Devmajor: 1}}), ReasonTar},
		{"a FIFO", archive(t, entry{head: tar.Header{Name: "index.json", Typeflag: tar.TypeFifo}}), ReasonTar},
		{"a folder", archive(t, entry{head: tar.Header{Name: "blobs/", Typeflag: tar.TypeDir}}), ReasonTar},
		{"a name twice", archive(t, plain(blob), plain(blob)), ReasonTar},
		{"PAX records", pax, ReasonTar},
		{"a PAX path over the name", bytes.Replace(pax, []byte("GLOVEBOX.x=y"), []byte("path=oci-lay"), 1), ReasonTar},
		{"PAX records for all entries", archive(t, entry{head: tar.Header{Typeflag: tar.TypeXGlobalHeader, Format: tar.FormatPAX, PAXRecords: map[string]string{"path": "x"}}}), ReasonTar},
		{"a GNU header", archive(t, entry{head: tar.Header{Name: "index.json", Format: tar.FormatGNU, AccessTime: time.Unix(1, 0)}, data: "x"}), ReasonTar},
		{"10,000 entries", archive(t, many...), ReasonSize},
		{"a blob of 7 GB", archive(t, entry{head: tar.Header{Name: blob, Size: 7 << 30, Format: tar.FormatUSTAR}}), ReasonSize},
		{"a blob of 33 MiB", archive(t, entry{head: tar.Header{Name: blob, Size: 33 << 20, Format: tar.FormatUSTAR}}), ReasonSize},
		{"a blob that is cut off", archive(t, entry{head: tar.Header{Name: blob, Size: 1 << 20, Format: tar.FormatUSTAR}, data: "x"}), ReasonTar},
		{"a layout without an index", archive(t, entry{head: tar.Header{Name: "oci-layout", Format: tar.FormatUSTAR}, data: layoutText}), ReasonMissing},
		{"a layout of another version", archive(t, entry{head: tar.Header{Name: "oci-layout", Format: tar.FormatUSTAR}, data: `{"imageLayoutVersion":"2.0.0"}`}), ReasonMedia},
		{"bytes behind the end", append(slices.Clone(good), "more"...), ReasonTar},
		{"another archive behind the end", append(slices.Clone(good), good...), ReasonTar},
		{"zeros behind the end", append(slices.Clone(good), make([]byte, 512)...), ReasonTar},
		{"an owner", patched(good, 108, "0000777\x00"), ReasonTar},
		{"a time", patched(good, 136, "00000000001\x00"), ReasonTar},
		{"a mode", patched(good, 100, "0004755\x00"), ReasonTar},
		{"a user name", patched(good, 265, "root"), ReasonTar},
		{"a prefix", patched(good, 345, ".."), ReasonTar},
		{"a link name in a plain file", patched(good, 157, "/etc/passwd"), ReasonTar},
		{"something between two files", gap(t, good), ReasonTar},
		{"a blob that nothing names", more(t, a, blobPath(abi.DigestOf([]byte("x"))), "x"), ReasonTar},
		{"blobs in another order", reversed(t, a), ReasonTar},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			_, err := ReadTar(bytes.NewReader(c.tar))
			wants(t, err, c.want)
		})
	}
}

// TestEndlessTarIsBounded reads archives that do not end.
func TestEndlessTarIsBounded(t *testing.T) {
	t.Parallel()
	good := packed(t, hello(t), []byte(bundleText))
	for _, head := range [][]byte{good, good[:len(good)-1024]} {
		read := &counted{r: io.MultiReader(bytes.NewReader(head), zeros{}), left: 2 * maxTar}
		_, err := ReadTar(read)
		wants(t, err, ReasonSize)
		if read.left < maxTar-512 {
			t.Errorf("%d bytes were read", 2*maxTar-read.left)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// patched changes the first header and repairs its checksum.
func patched(good []byte, at int, text string) []byte {
	b := slices.Clone(good)
	copy(b[at:], text)
	copy(b[148:], "        ")
	sum := 0
	for _, c := range b[:512] {
		sum += int(c)
	}
	copy(b[148:], fmt.Sprintf("%06o\x00 ", sum))
	return b
}

// gap writes into the padding behind the first file.
func gap(t *testing.T, good []byte) []byte {
	t.Helper()
	var size int
	if _, err := fmt.Sscanf(string(good[124:135]), "%o", &size); err != nil || size%512 == 0 {
		t.Fatalf("size %d: %v", size, err)
	}
	b := slices.Clone(good)
	b[512+size] = 1
	return b
}

// content returns the files of the single file.
func content(t *testing.T, a *Artifact) files {
	t.Helper()
	all, err := unpack(bytes.NewReader(packed(t, a, []byte(bundleText))))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func more(t *testing.T, a *Artifact, name, data string) []byte {
	all := content(t, a)
	all[name] = []byte(data)
	return written(t, all, slices.Sorted(maps.Keys(all)))
}

func reversed(t *testing.T, a *Artifact) []byte {
	all := content(t, a)
	names := slices.Sorted(maps.Keys(all))
	slices.Reverse(names)
	return written(t, all, names)
}

func written(t *testing.T, all files, names []string) []byte {
	entries := make([]entry, len(names))
	for i, name := range names {
		entries[i] = entry{head: tar.Header{Name: name, Format: tar.FormatUSTAR, ModTime: time.Unix(0, 0)}, data: string(all[name])}
	}
	return archive(t, entries...)
}

// TestTarHoldsToTheRulesOfFetch changes one byte of each file in turn.
func TestTarHoldsToTheRulesOfFetch(t *testing.T) {
	t.Parallel()
	a := hello(t)
	all := content(t, a)
	for name := range all {
		bad := maps.Clone(all)
		bad[name] = slices.Clone(all[name])
		bad[name][0] ^= 1
		_, err := ReadTar(bytes.NewReader(written(t, bad, slices.Sorted(maps.Keys(bad)))))
		var r *Refusal
		if !errors.As(err, &r) {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestFileIsReadByReference(t *testing.T) {
	t.Parallel()
	a, dir := hello(t), t.TempDir()
	name := filepath.Join(dir, a.FileName())
	done, err := Publish(t.Context(), Ref{Kind: File, Place: name}, a, [][]byte{[]byte(bundleText)}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, err := Fetch(t.Context(), done, Options{})
	if err != nil {
		t.Fatal(err)
	}
	same(t, p, a)
	_, err = Fetch(t.Context(), Ref{Kind: File, Place: name, Digest: abi.DigestOf(nil)}, Options{})
	wants(t, err, ReasonMissing)
	if err := os.Symlink(name, name+".link"); err != nil {
		t.Fatal(err)
	}
	_, err = Fetch(t.Context(), Ref{Kind: File, Place: dir}, Options{})
	wants(t, err, ReasonTar)
	if list, err := os.ReadDir(dir); err != nil || len(list) != 2 {
		t.Errorf("in the folder: %v, %v", list, err)
	}
}

// FuzzReadTar wants of every archive: refused, or the one that its artifact has.
func FuzzReadTar(f *testing.F) {
	good := packed(f, hello(f), []byte(bundleText))
	f.Add(good)
	f.Add(good[:len(good)-1024])
	f.Add(patched(good, 345, ".."))
	f.Add(binary.LittleEndian.AppendUint64(slices.Clone(good), 1))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := ReadTar(bytes.NewReader(raw))
		if err != nil {
			var r *Refusal
			if !errors.As(err, &r) || r.Reason == "" {
				t.Fatalf("no reason: %v", err)
			}
			return
		}
		if !bytes.Equal(packed(t, p.Artifact, p.Signatures...), raw) {
			t.Fatal("an archive was taken that is not the one")
		}
	})
}
