package artifact

import (
	"cmp"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/skills"
)

// filesOf lists the files of a skill in the order of the layers: the module, the
// manifest, which does not list itself, those with a meaning, the rest by name.
func filesOf(c *abi.Compiled, manifest abi.File) []abi.File {
	files := []abi.File{{Name: c.Manifest.Module, Digest: c.Module, Size: c.ModuleSize}, manifest}
	first := []string{skills.SourceFile, skillText, skills.SBOMFile}
	rank := func(f abi.File) int {
		if i := slices.Index(first, f.Name); i >= 0 {
			return i
		}
		return len(first)
	}
	return append(files, slices.SortedFunc(slices.Values(c.Files), func(a, b abi.File) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Name, b.Name))
	})...)
}

// checkFiles refuses names that are taken, that leave the folder or that are the same
// file on some disk, and more bytes than an artifact may have, before one is read.
func checkFiles(files []abi.File) error {
	var total int64
	seen := make(map[string]string, len(files)) // folded path → name; "" for a folder
	for i, f := range files {
		if err := checkName(f.Name, i > 1); err != nil {
			return err
		}
		key := fold(f.Name)
		if other, ok := seen[key]; ok {
			return refuse(ReasonName, "%q and %q are one file where case does not count", f.Name, cmp.Or(other, f.Name+"/"))
		}
		seen[key] = f.Name
		for dir := path.Dir(key); dir != "."; dir = path.Dir(dir) {
			if other := seen[dir]; other != "" {
				return refuse(ReasonName, "%q is a file and the folder of %q", other, f.Name)
			}
			seen[dir] = ""
		}
		most := int64(skills.MaxFile)
		if i == 0 {
			most = skills.MaxModule
		}
		if f.Size > most {
			return refuse(ReasonSize, "%s has %d bytes: more than %d", f.Name, f.Size, most)
		}
		if total += f.Size; total > MaxTotal {
			return refuse(ReasonSize, "the files have more than %d bytes together", MaxTotal)
		}
	}
	return nil
}

// checkName refuses what no bundle has. listed says that the name comes from the list
// of files.
func checkName(name string, listed bool) error {
	switch {
	case !fs.ValidPath(name) || name == "." || strings.ContainsAny(name, `\:`) || strings.ContainsFunc(name, unicode.IsControl):
		return refuse(ReasonName, "the file name %q leaves the skill's folder", name)
	case fold(name) == fold(SignatureFile), listed && fold(name) == fold(skills.ManifestFile):
		return refuse(ReasonName, "the file name %q is taken", name)
	}
	return nil
}

// fold maps names to one text when some file system takes them for the same.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		return least
	}, name)
}
