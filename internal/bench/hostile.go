package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime/debug"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host"
	"github.com/glovebox-dev/glovebox/host/config"
	"github.com/glovebox-dev/glovebox/host/wasm"
	"github.com/glovebox-dev/glovebox/host/wasm/module/modtest"
)

// corpus runs every hostile module in one chamber: each must be refused or ended, and
// the process that hosts it must not grow.
func corpus(ctx context.Context, r *Report, _, dir string) (err error) {
	state, err := config.OpenState(filepath.Join(dir, "hostile"))
	if err != nil {
		return err
	}
	chamber, err := host.OpenChamber(ctx, host.ChamberConfig{State: state, Version: "bench", Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, chamber.Close(ctx)) }()
	limits := abi.DefaultLimits()
	limits.Wall, limits.InitWall = time.Second, time.Second
	cases := modtest.Corpus()
	debug.FreeOSMemory()
	before, ended, slowest, worst := rss("self"), 0, time.Duration(0), ""
	for _, c := range cases {
		start := time.Now()
		_, err := chamber.Engine.Call(ctx, wasm.Invocation{
			Caller: abi.Caller{Agent: "bench", Session: "s", Skill: "hostile"},
			Source: wasm.SourceOf(abi.NewBlob(c.Wasm)),
			Export: "run", Profile: abi.ProfileRaw, Rights: abi.Rights{Granted: true, Limits: limits},
		})
		took := time.Since(start)
		if err != nil && took <= 3*time.Second {
			ended++
		}
		if took > slowest {
			slowest, worst = took, c.Name
		}
		fmt.Printf("  %-46s %6.0f ms  %v\n", c.Name, float64(took.Microseconds())/1e3, err)
	}
	debug.FreeOSMemory()
	r.Rows = append(r.Rows,
		Row{Name: "limits/corpus", Value: 100 * float64(ended) / float64(len(cases)), Unit: "%", Target: "100 % within 3 s", Note: fmt.Sprintf("%d modules, slowest %.1f s: %s", len(cases), slowest.Seconds(), worst)},
		Row{Name: "limits/corpus/rss", Value: float64(rss("self")-before) / abi.MiB, Unit: "MiB", Target: "≤ 10 MiB"})
	return nil
}
