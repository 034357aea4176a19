package proxy

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
)

// benchTunnel returns an origin and a way to open tunnels to it, or connections straight
// to its server.
func benchTunnel(b *testing.B, direct bool) (abi.Origin, func() net.Conn) {
	w := newWorld(b)
	api := w.serve("api.example", func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "hello") })
	limits := DefaultLimits()
	limits.Rate, limits.Burst, limits.Requests = 1e6, 1e6, 1e9
	rights := abi.Rights{HTTP: []abi.HTTPRight{right(api)}, Secrets: []abi.SecretRight{bearer(api)}}
	p, err := Listen(Config{
		Broker: w.broker, Box: "bench", Caller: abi.Caller{Skill: "bench"}, Rights: func() abi.Rights { return rights },
		Dir: filepath.Join(shortDir(b), "e"), UID: os.Geteuid(), Limits: limits,
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = p.Close() })
	return api, func() net.Conn {
		config := &tls.Config{ServerName: "api.example", InsecureSkipVerify: true} //nolint:gosec // a benchmark
		if direct {
			c, err := (&tls.Dialer{Config: config}).DialContext(context.Background(), "tcp", "127.0.0.1"+authorityOf(api)[len("api.example"):])
			if err != nil {
				b.Fatal(err)
			}
			return c
		}
		c, err := net.Dial("unix", p.Socket())
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.WriteString(c, "CONNECT "+authorityOf(api)+" HTTP/1.1\r\n\r\n")
		for line := "-"; line != ""; {
			if line, err = readLine(c); err != nil {
				b.Fatal(err)
			}
		}
		return tls.Client(c, config)
	}
}

func benchRequests(b *testing.B, direct bool) {
	api, open := benchTunnel(b, direct)
	ask := []byte(get(api, "/v1/me", "Authorization: Bearer {{secret:gh}}"))
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		c := open()
		defer func() { _ = c.Close() }()
		in := bufio.NewReader(c)
		for pb.Next() {
			if _, err := c.Write(ask); err != nil {
				b.Error(err)
				return
			}
			resp, err := http.ReadResponse(in, nil)
			if err != nil || resp.StatusCode != 200 {
				b.Errorf("%v %v", resp, err)
				return
			}
			_, _ = io.Copy(io.Discard, resp.Body)
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "req/s")
}

func BenchmarkDirect(b *testing.B)  { benchRequests(b, true) }
func BenchmarkThrough(b *testing.B) { benchRequests(b, false) }

// BenchmarkLatency is one program that waits for each answer.
func BenchmarkLatency(b *testing.B) {
	for name, direct := range map[string]bool{"direct": true, "through": false} {
		b.Run(name, func(b *testing.B) {
			api, open := benchTunnel(b, direct)
			ask := []byte(get(api, "/v1/me", "Authorization: Bearer {{secret:gh}}"))
			c := open()
			defer func() { _ = c.Close() }()
			in := bufio.NewReader(c)
			for b.Loop() {
				_, _ = c.Write(ask)
				resp, err := http.ReadResponse(in, nil)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, resp.Body)
			}
		})
	}
}
