package sbom

import (
	"bytes"
	"compress/zlib"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/CycloneDX/cyclonedx-go"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
)

// modinfo is data as the go command writes it.
func modinfo(lines ...string) string {
	begin, end := goMarks()
	return string(begin) + "path\texample.org/skill\nmod\texample.org/skill\t(devel)\t\n" + strings.Join(lines, "\n") + "\n" + string(end)
}

const depNet = "dep\tgolang.org/x/net\tv0.62.0\th1:18ELalfM5+XNRwzM2nYqXsZQ9ByS1uhj2O/U7+5jqRY="

func goModule(t *testing.T, lines ...string) []byte {
	t.Helper()
	var b modtest.Builder
	b.Memory(1, -1)
	b.Data("zeros come \x00\x00\x00\x00\x00\x00\x00\x00 before " + modinfo(lines...))
	return b.Bytes()
}

func withSection(name string, contents ...[]byte) []byte {
	var b modtest.Builder
	for _, c := range contents {
		b.Custom(name, c)
	}
	return b.Bytes()
}

func deflated(t testing.TB, text string) []byte {
	t.Helper()
	var out bytes.Buffer
	z := zlib.NewWriter(&out)
	if _, err := z.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

const rustList = `{"packages":[{"name":"serde","version":"1.0.200","source":"crates.io"},
  {"name":"cc","version":"1.0.0","source":"crates.io","kind":"build"},
  {"name":"mine","version":"0.1.0","source":"local","root":true,"dependencies":[0]}]}`

func document(components ...string) string {
	return `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + strings.Join(components, ",") + `]}`
}

func component(purl string) string { return `{"type":"library","name":"x","purl":"` + purl + `"}` }

const declaredNone = `{"bomFormat":"CycloneDX","specVersion":"1.6","metadata":{"properties":[{"name":"glovebox:dependencies","value":"none-declared"}]}}`

func TestWhatModulesSay(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		wasm []byte
		want []string // nil: no list
	}{
		{"nothing", withSection("name", []byte("x")), nil},
		{"Go with a dependency", goModule(t, depNet), []string{"Go golang.org/x/net 0.62.0"}},
		{"Go without one", goModule(t), []string{}},
		{"Go with a replacement", goModule(t, "dep\texample.org/a\tv1.0.0", "=>\texample.org/fork\tv1.2.3\th1:x="), []string{"Go example.org/fork 1.2.3"}},
		{"Go with the copied SDK", goModule(t, "dep\t"+sdk+"\tv0.0.0", "=>\t./third_party/glovebox\t(devel)\t"), []string{"Go " + sdk + " 0.0.0"}},
		{"Rust", withSection(".dep-v0", deflated(t, rustList)), []string{"crates.io serde 1.0.200"}},
		{"a CycloneDX section", withSection("sbom.cyclonedx", []byte(document(component("pkg:npm/%40s/p@1.2.3")))), []string{"npm @s/p 1.2.3"}},
		{"a section that says none", withSection("sbom.cyclonedx", []byte(declaredNone)), []string{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := FromModule(c.wasm)
			if err != nil {
				t.Fatal(err)
			}
			if (l == nil) != (c.want == nil) {
				t.Fatalf("list %v", l)
			}
			if l != nil && !slices.Equal(texts(l), c.want) {
				t.Errorf("got %q, want %q", texts(l), c.want)
			}
		})
	}
}

func texts(l *List) []string {
	out := []string{}
	for _, p := range l.Packages {
		out = append(out, p.String())
	}
	return out
}

func TestModulesAreRefused(t *testing.T) {
	t.Parallel()
	begin, _ := goMarks()
	var unended modtest.Builder
	unended.Data(string(begin) + "path\tx")
	var two modtest.Builder
	two.Data(modinfo(depNet))
	two.Data(modinfo(depNet))
	var both modtest.Builder
	both.Data(modinfo(depNet))
	both.Custom("sbom.cyclonedx", []byte(document(component("pkg:golang/golang.org/x/net@v0.61.0"))))
	for _, c := range []struct {
		name string
		wasm []byte
		want Reason
	}{
		{"no module", []byte("\x7fELF"), ReasonMalformed},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), ReasonMalformed},
		{"a section that is longer than the module", []byte(modtest.Header + "\x00\xff\xff\xff\xff\x0f"), ReasonMalformed},
		{"a length without an end", []byte(modtest.Header + "\x00\xff\xff\xff\xff\xff\xff\x01"), ReasonMalformed},
		{"more bytes than a module has", make([]byte, maxModule+1), ReasonSize},
		{"modinfo without an end", unended.Bytes(), ReasonMalformed},
		{"two modinfos", two.Bytes(), ReasonMalformed},
		{"one dependency twice", goModule(t, depNet, depNet), ReasonMalformed},
		{"modinfo of nonsense", goModule(t, "dep\tonly-a-path"), ReasonMalformed},
		{"much modinfo", goModule(t, "dep\t"+strings.Repeat("x", maxModInfo)+"\tv1.0.0"), ReasonSize},
		{"a replacement by a folder", goModule(t, "dep\texample.org/a\tv1.0.0", "=>\t../a\t(devel)\t"), ReasonUnpinned},
		{"a dependency without a version", goModule(t, "dep\texample.org/a\t(devel)"), ReasonUnpinned},
		{"two .dep-v0", withSection(".dep-v0", deflated(t, rustList), deflated(t, rustList)), ReasonMalformed},
		{".dep-v0 that is not compressed", withSection(".dep-v0", []byte(rustList)), ReasonMalformed},
		{".dep-v0 that breaks off", withSection(".dep-v0", deflated(t, rustList)[:40]), ReasonMalformed},
		{".dep-v0 that is a bomb", withSection(".dep-v0", deflated(t, strings.Repeat(" ", maxInflated+1))), ReasonSize},
		{".dep-v0 with a key twice", withSection(".dep-v0", deflated(t, `{"packages":[],"packages":[]}`)), ReasonMalformed},
		{".dep-v0 without packages", withSection(".dep-v0", deflated(t, `{}`)), ReasonMalformed},
		{"a crate from git", withSection(".dep-v0", deflated(t, `{"packages":[{"name":"a","version":"1.0.0","source":"git+https://x"}]}`)), ReasonUnpinned},
		{"two CycloneDX sections", withSection("sbom.cyclonedx", []byte(declaredNone), []byte(declaredNone)), ReasonMalformed},
		{"modinfo and a section that differ", both.Bytes(), ReasonConflict},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := FromModule(c.wasm)
			wantReason(t, l, err, c.want)
		})
	}
}

func wantReason(t *testing.T, l *List, err error, want Reason) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || e.Reason != want || l != nil {
		t.Errorf("got %v, %v; want %s", l, err, want)
	}
	if err != nil && !strings.Contains(err.Error(), string(want)) {
		t.Errorf("the text lacks the reason: %v", err)
	}
}

func TestEveryTruncationEnds(t *testing.T) {
	t.Parallel()
	var b modtest.Builder
	b.Data(modinfo(depNet))
	b.Custom(".dep-v0", deflated(t, rustList))
	b.Custom("sbom.cyclonedx", []byte(document(component("pkg:golang/golang.org/x/net@v0.62.0"), component("pkg:cargo/serde@1.0.200"))))
	whole := b.Bytes()
	if l, err := FromModule(whole); err != nil || len(l.Packages) != 2 {
		t.Fatal(l, err)
	}
	for n := range whole {
		l, err := FromModule(whole[:n])
		if err == nil && l != nil && len(l.Packages) > 2 {
			t.Errorf("%d bytes: %v", n, l)
		}
	}
}

func TestDocumentsAreRefused(t *testing.T) {
	t.Parallel()
	const good = "pkg:npm/a@1.0.0"
	for _, c := range []struct {
		name, doc string
		want      Reason
	}{
		{"no JSON", "<bom/>", ReasonMalformed},
		{"two documents", declaredNone + declaredNone, ReasonMalformed},
		{"another format", `{"spdxVersion":"SPDX-2.3"}`, ReasonMalformed},
		{"a version from the future", strings.Replace(declaredNone, "1.6", "9.9", 1), ReasonMalformed},
		{"a key twice", `{"bomFormat":"CycloneDX","specVersion":"1.6","components":[` + component(good) + `],"components":[]}`, ReasonMalformed},
		{"a component that is no object", document(`"a"`), ReasonMalformed},
		{"components that are no list", `{"bomFormat":"CycloneDX","specVersion":"1.6","components":{}}`, ReasonMalformed},
		{"nothing", document(), ReasonNone},
		{"another spelling of the key", strings.Replace(document(component(good)), "components", "Components", 1), ReasonNone},
		{"none and some", strings.Replace(declaredNone, `"metadata"`, `"components":[`+component(good)+`],"metadata"`, 1), ReasonConflict},
		{"no package URL", document(`{"name":"x","version":"1.0.0"}`), ReasonMalformed},
		{"an empty package URL", document(component("")), ReasonMalformed},
		{"an unknown type", document(component("pkg:maven/a/b@1.0.0")), ReasonType},
		{"no version", document(component("pkg:npm/a")), ReasonUnpinned},
		{"a range", document(component("pkg:npm/a@%5E1.0.0")), ReasonUnpinned},
		{"latest", document(component("pkg:npm/a@latest")), ReasonUnpinned},
		{"a wildcard", document(component("pkg:cargo/a@1.x.0")), ReasonUnpinned},
		{"a part of a version", document(component("pkg:golang/example.org/a@v1.2")), ReasonUnpinned},
		{"a version that contradicts the package URL", document(`{"name":"a","version":"2.0.0","purl":"` + good + `"}`), ReasonConflict},
		{"a hidden character in a name", document(component("pkg:npm/a%E2%80%8Bb@1.0.0")), ReasonMalformed},
		{"a bad escape", document(component("pkg:npm/a%zz@1.0.0")), ReasonMalformed},
		{"a bad one inside a good one", document(`{"name":"a","purl":"` + good + `","components":[{"name":"b"}]}`), ReasonMalformed},
		{"two versions of Go", document(component("pkg:golang/stdlib@1.26.8"), component("pkg:golang/stdlib@1.25.0")), ReasonConflict},
		{"too many bytes", strings.Repeat(" ", MaxDocument+1), ReasonSize},
		{"too many packages", document(strings.Repeat(component(good)+",", maxPackages) + component(good)), ReasonSize},
		{"deep nesting", document(strings.Repeat(`{"name":"a","purl":"`+good+`","components":[`, 100) + strings.Repeat("]}", 100)), ReasonMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			l, err := Parse([]byte(c.doc))
			wantReason(t, l, err, c.want)
		})
	}
}

func TestDocumentsAreRead(t *testing.T) {
	t.Parallel()
	l, err := Parse([]byte(document(
		component("pkg:golang/github.com/BurntSushi/toml@v1.6.0?type=module#cmd"), component("pkg:golang/stdlib@1.26.8"),
		component("pkg:pypi/Zope_Interface@1!2.0rc1"), component("pkg:NPM/a@1.0.0-rc.1"), component("pkg:npm/a@1.0.0-rc.1"),
		`{"name":"a","version":"v1.0.0","purl":"pkg:golang/example.org/a@v1.0.0","components":[`+component("pkg:cargo/inner@0.1.0+build")+`]}`)))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Go example.org/a 1.0.0", "Go github.com/BurntSushi/toml 1.6.0", "Go stdlib 1.26.8", "PyPI zope-interface 1!2.0rc1", "crates.io inner 0.1.0+build", "npm a 1.0.0-rc.1"}
	if got := texts(l); !slices.Equal(got, want) || l.GoVersion != "1.26.8" || l.None {
		t.Errorf("got %q, Go %q", got, l.GoVersion)
	}
	if l, err = Parse([]byte(declaredNone)); err != nil || !l.None || len(l.Packages) != 0 {
		t.Errorf("a document that says none: %v, %v", l, err)
	}
}

func TestAgree(t *testing.T) {
	t.Parallel()
	list := func(source string, packages ...Package) *List {
		l, err := newList(source, packages)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	net, std := Package{Go, "golang.org/x/net", "0.62.0"}, Package{Go, Stdlib, "1.26.8"}
	old, npm := Package{Go, "golang.org/x/net", "0.61.0"}, Package{NPM, "a", "1.0.0"}
	for _, c := range []struct {
		name             string
		module, document *List
		want             Reason // empty: agrees
	}{
		{"the same and the standard library", list(SourceGo, net), list(SourceDocument, net, std), ""},
		{"more of another ecosystem", list(SourceGo, net), list(SourceDocument, net, std, npm), ""},
		{"a module that says nothing", nil, list(SourceDocument, npm), ""},
		{"a module that says nothing and a document that says none", nil, &List{Source: SourceDocument, None: true}, ""},
		{"another version", list(SourceGo, net), list(SourceDocument, old, std), ReasonConflict},
		{"one left out", list(SourceGo, net), list(SourceDocument, std), ReasonConflict},
		{"one invented", list(SourceGo), list(SourceDocument, net, std), ReasonConflict},
		{"no standard library", list(SourceGo, net), list(SourceDocument, net), ReasonConflict},
		{"a Go module and a document that says none", list(SourceGo), &List{Source: SourceDocument, None: true}, ReasonConflict},
		{"no document", list(SourceGo, net), nil, ReasonNone},
		{"an empty document", nil, list(SourceDocument), ReasonNone},
		{"nothing at all", nil, nil, ReasonNone},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := Agree(c.module, c.document)
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantReason(t, nil, err, c.want)
		})
	}
}

func TestGenerateIsReadBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		s    Subject
		want []string
	}{
		{"Go", Subject{Module: goModule(t, depNet), GoVersion: "go1.26.8"}, []string{"Go golang.org/x/net 0.62.0", "Go stdlib 1.26.8"}},
		{"a candidate of Go", Subject{Module: goModule(t), GoVersion: "go1.27rc1"}, []string{"Go stdlib 1.27.0-rc.1"}},
		{"Rust that says it", Subject{Module: withSection(".dep-v0", deflated(t, rustList)), CargoLock: []byte(cargoLock)}, []string{"crates.io serde 1.0.200"}},
		{"Rust that does not", Subject{Module: withSection("name"), CargoLock: []byte(cargoLock)}, []string{"crates.io libc 0.2.1"}},
		{"AssemblyScript", Subject{Module: withSection("name"), PackageLock: []byte(packageLock)}, []string{"npm @extism/as-pdk 1.0.0", "npm runs 1.0.0"}},
		{"C", Subject{Module: withSection("name"), GoVersion: "go1.26.8"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.s.Name, c.s.Version = "hello", "1.0.0"
			one, err := Generate(c.s)
			if err != nil {
				t.Fatal(err)
			}
			two, err := Generate(c.s)
			if err != nil || !bytes.Equal(one, two) {
				t.Errorf("the same subject gave two documents (%v)", err)
			}
			if bytes.Contains(one, []byte("serialNumber")) || bytes.Contains(one, []byte("timestamp")) {
				t.Errorf("it depends on when it was made:\n%s", one)
			}
			l, err := Parse(one)
			if err != nil || !slices.Equal(texts(l), append([]string{}, c.want...)) || l.None != (c.want == nil) {
				t.Fatalf("got %v, %v", l, err)
			}
			own, err := FromModule(c.s.Module)
			if err != nil || Agree(own, l) != nil {
				t.Error(err, Agree(own, l))
			}
			var bom cyclonedx.BOM
			if err := cyclonedx.NewBOMDecoder(bytes.NewReader(one), cyclonedx.BOMFileFormatJSON).Decode(&bom); err != nil || bom.SpecVersion != cyclonedx.SpecVersion1_6 {
				t.Errorf("others read %v, %v", bom.SpecVersion, err)
			}
		})
	}
	if _, err := Generate(Subject{Module: goModule(t), GoVersion: "devel go1.28-abc"}); err == nil {
		t.Error("a Go without a release was taken")
	}
}
