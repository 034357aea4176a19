package probe

import (
	"context"
	"net/netip"
	"os"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/internal/contain"
	"github.com/glovebox-dev/glovebox/internal/redact"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// TestMain lets the test binary be the confined compiler.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb {
		os.Exit(compile.ChildMain(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// want fails unless each named figure has its value.
func want(t *testing.T, figures []contain.Figure, values map[string]int) {
	t.Helper()
	for _, f := range figures {
		if n, ok := values[f.Name]; ok && (f.N != n || f.Of == 0) {
			t.Errorf("%s: %d of %d, want %d: %s", f.Name, f.N, f.Of, n, f.Note)
		}
		delete(values, f.Name)
	}
	for name := range values {
		t.Errorf("there is no figure %q", name)
	}
}

func TestSecretsStayInside(t *testing.T) {
	t.Parallel()
	figures, err := Secrets(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want(t, figures, map[string]int{"C leak rate: all sinks": 0, "C canary of the conversation passes": 0, "C placeholders that still work": len(secrets())})
}

// A sink without a guard must show every form: else the oracle is blind.
func TestOpenSinkIsRed(t *testing.T) {
	t.Parallel()
	open := []sink{{"open", func(_ context.Context, text string) (string, error) { return "<" + text + ">", nil }}}
	figures, err := sight(t.Context(), append(open, logSinks(func() *redact.Matcher { return nil })...))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range figures {
		if f.Unit == "share" && f.N != f.Of {
			t.Errorf("%s: %d of %d were seen", f.Name, f.N, f.Of)
		}
	}
}

func TestHonestTextIsNotAltered(t *testing.T) {
	t.Parallel()
	figures, err := Alterations(nil)
	if err != nil {
		t.Fatal(err)
	}
	want(t, figures, map[string]int{"C false alterations of honest payloads": 0})
}

func TestNothingReachesTheCanary(t *testing.T) {
	t.Parallel()
	figures, err := Network(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want(t, figures, map[string]int{
		"D escapes: URL as written": 0, "D escapes: redirect": 0, "D escapes: DNS": 0, "D escapes: rebinding": 0, "D false blocks of honest URLs": 0,
	})
}

// The canary can be reached: with a broker whose operator opened it.
func TestOpenedCanaryIsRed(t *testing.T) {
	t.Parallel()
	n, err := newNetwork(nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(n.close)
	at := "http://" + n.canary.at.String()
	loose, err := broker.New(broker.Config{
		Resolver: n, Version: "contain", Private: func(abi.SkillName) []abi.Origin { return []abi.Origin{abi.Origin(at), n.origin()} }, Listeners: func() []netip.AddrPort { return nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	_ = n.broker.Close()
	n.broker = loose
	f := n.attack(t.Context(), "x", []string{at + "/"}, func(u string) string { return u }, nil)
	if f.N != 1 {
		t.Errorf("%+v", f)
	}
}

func TestGuestsAndPaths(t *testing.T) {
	t.Parallel()
	c, err := OpenChamber(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close(context.Background()) })
	files, err := c.Files(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want(t, files, map[string]int{"D escapes: paths": 0, "D honest path still works": 1})
	if testing.Short() {
		return
	}
	guests, err := c.Guests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want(t, guests, map[string]int{"E hostile guests that were not refused or stopped": 0, "E host still serves afterwards": 1})
}

func TestChangedSkillsAreRefused(t *testing.T) {
	t.Parallel()
	figures, err := Supply(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want(t, figures, map[string]int{"F changed skills that were not refused": 0})
}

// An unchanged skill opens, and a plain description passes: the cases refuse for what
// they say.
func TestUnchangedSkillOpens(t *testing.T) {
	t.Parallel()
	s, err := newSupply(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	refused, err := changed(func(*abi.Compiled) {})(s)
	if err != nil || refused {
		t.Errorf("refused %v, %v", refused, err)
	}
	if refused, err := collides("other", "shout")(s); err != nil || refused {
		t.Errorf("another name: refused %v, %v", refused, err)
	}
	if refused, err := named("echo-2")(s); err != nil || refused {
		t.Errorf("a plain name: refused %v, %v", refused, err)
	}
}

// A message that two readers may end in different places ends its connection.
func TestSmuggling(t *testing.T) {
	t.Parallel()
	f, err := Smuggling(t.Context())
	if err != nil || f.N != 0 || f.Of < 40 {
		t.Errorf("%+v, %v", f, err)
	}
}

func TestBundlesThatMustNotLoad(t *testing.T) {
	t.Parallel()
	figures, err := Bundles(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	want(t, figures, map[string]int{
		"F bundles that must not load and do": 0, "F packages with a known malicious advisory that load": 0, "F honest bundles that load": len(loadable()),
	})
}
