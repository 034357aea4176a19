package sbom

import (
	"errors"
	"testing"

	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
)

// answered holds what every reader promises: a list whose packages can be looked up, or one
// reason.
func answered(t *testing.T, l *List, err error) {
	t.Helper()
	var e *Error
	if err != nil {
		if !errors.As(err, &e) || e.Reason == "" || l != nil {
			t.Fatalf("%v, %v", l, err)
		}
		return
	}
	if l == nil {
		return
	}
	for _, p := range l.Packages {
		if err := p.check(); err != nil {
			t.Fatal(err)
		}
		again, err := parsePURL(p.purl())
		if err != nil || again.Ecosystem != p.Ecosystem || again.Version != p.Version {
			t.Fatalf("%v became %v, %v by way of %s", p, again, err, p.purl())
		}
	}
}

func FuzzFromModule(f *testing.F) {
	var b modtest.Builder
	b.Data(modinfo(depNet))
	f.Add(b.Bytes())
	f.Add(withSection(".dep-v0", deflated(f, rustList)))
	f.Add(withSection("sbom.cyclonedx", []byte(document(component("pkg:npm/a@1.0.0")))))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		l, err := FromModule(wasm)
		answered(t, l, err)
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(declaredNone))
	f.Add([]byte(document(component("pkg:golang/golang.org/x/net@v0.62.0"), component("pkg:pypi/a@1!2"))))
	f.Fuzz(func(t *testing.T, doc []byte) {
		l, err := Parse(doc)
		answered(t, l, err)
	})
}

func FuzzFromPackageLock(f *testing.F) {
	f.Add([]byte(packageLock))
	f.Fuzz(func(t *testing.T, lock []byte) {
		l, err := FromPackageLock(lock, All)
		answered(t, l, err)
	})
}

func FuzzFromCargoLock(f *testing.F) {
	f.Add([]byte(cargoLock))
	f.Fuzz(func(t *testing.T, lock []byte) {
		l, err := FromCargoLock(lock)
		answered(t, l, err)
	})
}
