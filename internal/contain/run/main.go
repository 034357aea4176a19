// Command run measures how well Glovebox contains a steered model: it runs every track
// of the containment benchmark, prints the tables, writes them as JSON, and fails if a
// floor is missed.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"github.com/glovebox-dev/glovebox/host/wasm/compile"
	"github.com/glovebox-dev/glovebox/internal/contain"
	"github.com/glovebox-dev/glovebox/internal/contain/probe"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// peer is the policy that all are compared with in the same run.
const peer = "documented three-class table"

func main() {
	// The chamber compiles modules in a child of this program, as in the daemon.
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb {
		os.Exit(compile.ChildMain(os.Args[2:], os.Stdin, os.Stdout, os.Stderr))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdout)
	stop()
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("contain", flag.ContinueOnError)
	file := flags.String("out", "", "write the report as JSON to this `FILE`")
	data := flags.String("data", "", "`DIR` with the folder agentdojo; read in place")
	source := flags.String("source", "", "`DIR` of Go code, as honest text for the guard of secrets")
	if err := flags.Parse(args); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "glovebox-contain-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	r := &contain.Report{Schema: contain.Schema}
	if err := policies(r, *data); err != nil {
		return err
	}
	if err := parts(ctx, r, dir, *source); err != nil {
		return err
	}
	missed, err := r.Check()
	if err != nil {
		return err
	}
	if err := r.Print(out); err != nil {
		return err
	}
	if *file != "" {
		b, err := json.MarshalIndent(r, "", "  ")
		if err != nil {
			return err
		}
		if err := os.WriteFile(*file, append(b, '\n'), 0o600); err != nil {
			return err
		}
	}
	if len(missed) > 0 {
		return fmt.Errorf("%d floors are missed:\n  %s", len(missed), strings.Join(missed, "\n  "))
	}
	return nil
}

// policies runs tracks A and B under every policy.
func policies(r *contain.Report, data string) error {
	own, err := contain.Own()
	if err != nil {
		return err
	}
	all := append(append([]contain.Policy{contain.Nothing()}, contain.Baselines()...), contain.Gates()...)
	rows, err := each(all, func(p contain.Policy) (contain.Steer, error) { return contain.Play(own, contain.Simulated{Policy: p}) })
	if err != nil {
		return err
	}
	loops, err := each(contain.Daemons(), func(g contain.Gate) (contain.Steer, error) { return loop(own, g) })
	if err != nil {
		return err
	}
	r.AddOwn(append(rows, loops...), peer)
	p50, p99 := contain.Latency(own)
	r.Add(contain.Amount("G decision of the gate, p50", float64(p50.Nanoseconds())/1e3, "µs", "own cases"), contain.Amount("G decision of the gate, p99", float64(p99.Nanoseconds())/1e3, "µs", "own cases"))
	if data == "" {
		r.Add(contain.Missing("A AgentDojo", "not given: CONTAIN_DATA=DIR"))
		return nil
	}
	dojo, err := contain.LoadAgentDojo(filepath.Join(data, "agentdojo"))
	if err != nil {
		return err
	}
	replays, err := each(all, func(p contain.Policy) (contain.Dojo, error) {
		s, err := contain.Play(dojo, contain.Simulated{Policy: p})
		return contain.Dojo{Replay: contain.Replay(dojo, p), Steer: s}, err
	})
	if err != nil {
		return err
	}
	built, err := each(contain.Daemons()[:3], func(g contain.Gate) (contain.Dojo, error) {
		l, err := contain.NewLoop(g, dojo, nil)
		if err != nil {
			return contain.Dojo{}, err
		}
		s, err := contain.Play(dojo, l)
		return contain.Dojo{Replay: contain.Replay(dojo, l.Policy()), Steer: s}, err
	})
	r.AddDojo(append(replays, built...), peer)
	return err
}

// loop plays s with the daemon's own loop, door and gate, set as in g.
func loop(s *contain.Suite, g contain.Gate) (contain.Steer, error) {
	l, err := contain.NewLoop(g, s, nil)
	if err != nil {
		return contain.Steer{}, err
	}
	return contain.Play(s, l)
}

// each runs do for all policies, as many at once as there are processors.
func each[P, T any](all []P, do func(P) (T, error)) ([]T, error) {
	rows, errs := make([]T, len(all)), make([]error, len(all))
	slots := make(chan struct{}, runtime.GOMAXPROCS(0))
	var wg sync.WaitGroup
	for i, p := range all {
		wg.Go(func() {
			slots <- struct{}{}
			rows[i], errs[i] = do(p)
			<-slots
		})
	}
	wg.Wait()
	return rows, errors.Join(errs...)
}

// parts runs tracks C to F.
func parts(ctx context.Context, r *contain.Report, dir, source string) (err error) {
	sub := func(name string) string {
		path := filepath.Join(dir, name)
		err = errors.Join(err, os.Mkdir(path, 0o700))
		return path
	}
	c, d, e, f := sub("c"), sub("d"), sub("e"), sub("f")
	if err != nil {
		return err
	}
	var code fs.FS
	if source != "" {
		root, err := os.OpenRoot(source)
		if err != nil {
			return err
		}
		defer func() { _ = root.Close() }()
		code = root.FS()
	}
	chamber, err := probe.OpenChamber(ctx, e)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chamber.Close(context.WithoutCancel(ctx))) }()
	r.Add(
		contain.Missing("D WHATWG urltestdata, PayloadsAllTheThings", "not given"),
		contain.Missing("E system calls inside the jails", "not built"), contain.Missing("E WASI preview 1 testsuite", "not given"),
	)
	for _, track := range []func() ([]contain.Figure, error){
		func() ([]contain.Figure, error) { return probe.Secrets(ctx, c) },
		func() ([]contain.Figure, error) { return probe.Alterations(code) },
		func() ([]contain.Figure, error) { return probe.Network(ctx) },
		func() ([]contain.Figure, error) { f, err := probe.Smuggling(ctx); return []contain.Figure{f}, err },
		func() ([]contain.Figure, error) { return chamber.Files(ctx, d) },
		func() ([]contain.Figure, error) { return chamber.Guests(ctx) },
		func() ([]contain.Figure, error) { return probe.Supply(f) },
		func() ([]contain.Figure, error) { return probe.Bundles(ctx, f) },
	} {
		figures, err := track()
		if err != nil {
			return err
		}
		r.Add(figures...)
	}
	return nil
}
