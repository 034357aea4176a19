// Command bench measures Glovebox against a peer in the same run and prints ratios.
// It asserts nothing: numbers are read by people, and compared between releases.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/glovebox-dev/glovebox/sandbox"
)

// Row is one measurement. Ratio says how many times better than the peer it is; for a
// row without a peer, than the target.
type Row struct {
	Name   string  `json:"name"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit"`
	Peer   string  `json:"peer,omitempty"`
	PeerIs float64 `json:"peerValue,omitempty"`
	Ratio  float64 `json:"ratio,omitempty"`
	Target string  `json:"target"`
	Note   string  `json:"note,omitempty"`
}

// Report is what is written to build/bench.json.
type Report struct {
	Schema  int       `json:"schema"`
	Time    time.Time `json:"time"`
	Go      string    `json:"go"`
	CPUs    int       `json:"cpus"`
	Load    string    `json:"load"` // of the last minute, before
	Rows    []Row     `json:"rows"`
	Skipped []string  `json:"skipped,omitempty"`
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == sandbox.Verb { // the compiler's child is this program too
		os.Exit(compileChild(os.Args[2:]))
	}
	binary := flag.String("glovebox", "bin/glovebox", "the program to measure")
	out := flag.String("out", "", "write the report as JSON to this file")
	flag.Parse()
	if err := measure(*binary, *out); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func measure(binary, out string) error {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "glovebox-bench-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary, err = filepath.Abs(binary)
	if err != nil {
		return err
	}
	r := &Report{Schema: 1, Time: time.Now().UTC(), Go: runtime.Version(), CPUs: runtime.NumCPU(), Load: load()}
	for _, step := range []struct {
		name string
		do   func(context.Context, *Report, string, string) error
	}{
		{"calls", calls}, {"hostile modules", corpus}, {"daemon", daemon}, {"command line", commandLine},
	} {
		fmt.Fprintln(os.Stderr, "measuring", step.name)
		if err := step.do(ctx, r, binary, dir); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	r.print()
	if out == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(out, append(b, '\n'), 0o644)
}

func (r *Report) print() {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "row\tvalue\tpeer\tratio\ttarget")
	for _, row := range r.Rows {
		peer, ratio := "", ""
		if row.Peer != "" {
			peer = fmt.Sprintf("%s: %.4g %s", row.Peer, row.PeerIs, row.Unit)
		}
		if row.Ratio != 0 {
			ratio = fmt.Sprintf("%.1fx", row.Ratio)
		}
		_, _ = fmt.Fprintf(w, "%s\t%.4g %s\t%s\t%s\t%s %s\n", row.Name, row.Value, row.Unit, peer, ratio, row.Target, row.Note)
	}
	_ = w.Flush()
	for _, s := range r.Skipped {
		fmt.Println("skipped:", s)
	}
	fmt.Printf("%s, %d CPUs, load %s before the run\n", r.Go, r.CPUs, r.Load)
}

func load() string {
	b, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	one, _, _ := strings.Cut(string(b), " ")
	return one
}

// sample runs op n times and returns the median in microseconds.
func sample(n int, op func() error) (float64, error) {
	times := make([]time.Duration, 0, n)
	for range n {
		start := time.Now()
		if err := op(); err != nil {
			return 0, err
		}
		times = append(times, time.Since(start))
	}
	slices.Sort(times)
	return float64(times[n/2].Nanoseconds()) / 1e3, nil
}

// variant is an operation and how often it runs in each round.
type variant struct {
	times int
	op    func() error
}

// interleave runs the variants in turn and returns, for each, the median over the
// rounds of the rounds' medians, in microseconds.
func interleave(rounds int, variants ...variant) ([]float64, error) {
	all := make([][]float64, len(variants))
	for range rounds {
		for i, v := range variants {
			m, err := sample(v.times, v.op)
			if err != nil {
				return nil, err
			}
			all[i] = append(all[i], m)
		}
	}
	out := make([]float64, len(variants))
	for i, list := range all {
		slices.Sort(list)
		out[i] = list[len(list)/2]
	}
	return out, nil
}
