package mcp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/reason"
	"github.com/glovebox-dev/glovebox/sandbox"
)

// stopTime is what a server gets to end by itself once its input is closed.
const stopTime = 5 * time.Second

// maxProgram bounds a program that is hashed before each start, in bytes.
const maxProgram = 512 << 20

// Boxed starts a server in a box of the sandbox. The zero value refuses.
type Boxed struct {
	Box sandbox.Box // but for the streams
	// Start verifies that what would run is what was admitted, and starts it: Program for a
	// program, the Start of a packages.Store for a package. When its context ends, the box
	// is killed.
	Start func(context.Context, sandbox.Box) (*sandbox.Process, error)
}

// Program returns a Boxed.Start for the program at path, which must be the one with the
// digest.
func Program(x *sandbox.Boxer, path string, digest abi.Digest) func(context.Context, sandbox.Box) (*sandbox.Process, error) {
	return func(ctx context.Context, b sandbox.Box) (*sandbox.Process, error) {
		got, err := ProgramDigest(path)
		switch {
		case err != nil || got != digest:
			return nil, &reason.Refusal{Reason: reason.Tree, What: fmt.Sprintf("program %s of an MCP server is not the one that was added", path), Fix: "glovebox mcp rm NAME, and add it again", Err: err}
		case x == nil:
			return nil, noBox(errors.New("none was made"))
		}
		return x.Start(ctx, b)
	}
}

var _ Spawner = Boxed{}

// Spawn implements Spawner.
func (b Boxed) Spawn(ctx context.Context) (Child, error) {
	if b.Start == nil {
		return nil, noBox(errors.New("none was made"))
	}
	inR, inW := io.Pipe()
	outR, outW := io.Pipe()
	box := b.Box
	box.Stdin, box.Stdout, box.Stderr = inR, outW, sandbox.NewTail(8<<10) // its log is nobody's business but the debugger's
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	p, err := b.Start(life, box)
	if err != nil {
		end()
		if known := (*reason.Refusal)(nil); !errors.As(err, &known) {
			err = noBox(err)
		}
		return nil, errors.Join(err, inR.Close(), outW.Close())
	}
	c := &boxed{process: p, in: inW, out: outR, end: end, gone: make(chan struct{})}
	go func() { // ends with the process, for which Stop waits
		defer close(c.gone)
		<-p.Done()
		_ = outW.CloseWithError(io.EOF)
		_ = inR.Close()
	}()
	return c, nil
}

func noBox(err error) error {
	return &reason.Refusal{Reason: reason.NoSandbox, What: "the MCP server is not started outside of a box", Fix: "glovebox status", Err: err}
}

type boxed struct {
	process *sandbox.Process
	in      io.WriteCloser
	out     io.ReadCloser
	end     context.CancelFunc
	gone    chan struct{}
}

func (b *boxed) Stdin() io.WriteCloser { return b.in }
func (b *boxed) Stdout() io.ReadCloser { return b.out }

// Stop implements Child.
func (b *boxed) Stop() error {
	defer b.end()
	err := b.in.Close()
	drained := make(chan struct{})
	go func() { // a server that still writes would never end; ends with the pipe
		defer close(drained)
		_, _ = io.Copy(io.Discard, b.out)
	}()
	select {
	case <-b.process.Done():
	case <-time.After(stopTime):
		b.process.Kill()
	}
	<-b.gone
	<-drained
	if _, ended := b.process.Wait(); errors.Is(ended, sandbox.ErrSurvived) {
		err = errors.Join(err, ended)
	}
	return errors.Join(err, b.out.Close())
}

// ProgramDigest is the digest of a program's file.
func ProgramDigest(path string) (abi.Digest, error) {
	info, err := os.Lstat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxProgram) {
		err = fmt.Errorf("%s is no regular file of up to %d bytes", path, maxProgram)
	}
	if err != nil {
		return "", err
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }() // only read
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(f, maxProgram)); err != nil {
		return "", err
	}
	return abi.Digest("sha256:" + hex.EncodeToString(h.Sum(nil))), nil
}
