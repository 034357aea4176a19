package wasm

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"math"
	"slices"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"
)

// Errors of WASI preview 1 (witx: errno).
const (
	errnoSuccess = 0
	errnoBadf    = 8
	errnoFault   = 21
	errnoInval   = 28
	errnoNosys   = 52
	errnoSpipe   = 70
)

// Bounds of WASI calls: what a guest names beyond them is invalid, so that no call
// makes the host work for longer than its limits can see.
const (
	maxIovecs        = 1024
	maxSubscriptions = 1024
	clockResolution  = 1_000_000 // ns
)

// wasiFunc is a function that answers an errno; every parameter but those named wide
// is an i32.
func wasiFunc(params []api.ValueType, run func(ctx context.Context, c *call, m memory, a []uint64) uint64) hostFunc {
	return hostFunc{params: params, results: types(i32), run: func(ctx context.Context, c *call, mod api.Module, s []uint64) {
		mem := mod.Memory()
		if mem == nil {
			s[0] = errnoFault
			return
		}
		s[0] = run(ctx, c, memory{mem}, s)
	}}
}

// uncounted makes f one that a guest may poll as long as its time lasts.
func (f hostFunc) uncounted() hostFunc {
	f.kernel = true
	return f
}

// memory is a guest's linear memory with the few accesses that WASI needs.
type memory struct{ api.Memory }

// bytes is a view of [p, p+n), valid until the guest runs again.
func (m memory) bytes(p, n uint64) ([]byte, bool) {
	if p > math.MaxUint32 || n > math.MaxUint32 {
		return nil, false
	}
	return m.Read(uint32(p), uint32(n))
}

func (m memory) put32(p uint64, v uint32) bool { return m.WriteUint32Le(uint32(p), v) }

// wasiFuncs is WASI preview 1 without files and sockets: no preopens, and a
// descriptor other than 0, 1 and 2 is bad. path_ and sock_ functions need none of
// their arguments to say so.
func wasiFuncs() map[string]hostFunc {
	n := func(k int) []api.ValueType {
		t := make([]api.ValueType, k)
		for i := range t {
			t[i] = i32
		}
		return t
	}
	m := map[string]hostFunc{
		"args_get":       wasiFunc(n(2), wasiArgsGet),
		"args_sizes_get": wasiFunc(n(2), wasiArgsSizes),
		"environ_get":    wasiFunc(n(2), func(context.Context, *call, memory, []uint64) uint64 { return errnoSuccess }),
		"environ_sizes_get": wasiFunc(n(2), func(_ context.Context, _ *call, m memory, a []uint64) uint64 {
			return errno(m.put32(a[0], 0) && m.put32(a[1], 0))
		}),
		"clock_res_get":       wasiFunc(n(2), wasiClockRes).uncounted(),
		"clock_time_get":      wasiFunc(types(i32, i64, i32), wasiClockTime).uncounted(),
		"random_get":          wasiFunc(n(2), wasiRandom),
		"poll_oneoff":         wasiFunc(n(4), wasiPoll),
		"sched_yield":         wasiFunc(nil, func(context.Context, *call, memory, []uint64) uint64 { return errnoSuccess }),
		"fd_write":            wasiFunc(n(4), wasiWrite),
		"fd_read":             wasiFunc(n(4), wasiRead),
		"fd_close":            wasiFunc(n(1), standard(errnoSuccess)),
		"fd_datasync":         wasiFunc(n(1), standard(errnoSuccess)),
		"fd_sync":             wasiFunc(n(1), standard(errnoSuccess)),
		"fd_fdstat_get":       wasiFunc(n(2), wasiFdstat),
		"fd_fdstat_set_flags": wasiFunc(n(2), standard(errnoSuccess)),
		"fd_filestat_get":     wasiFunc(n(2), wasiFilestat),
		"fd_seek":             wasiFunc(types(i32, i64, i32, i32), standard(errnoSpipe)),
		"fd_tell":             wasiFunc(n(2), standard(errnoSpipe)),
		"proc_exit":           {params: n(1), run: func(_ context.Context, c *call, _ api.Module, s []uint64) { panic(sys.NewExitError(uint32(s[0]))) }},
		"proc_raise":          wasiFunc(n(1), func(context.Context, *call, memory, []uint64) uint64 { return errnoNosys }),
	}
	for name, params := range map[string][]api.ValueType{
		"fd_advise": types(i32, i64, i64, i32), "fd_allocate": types(i32, i64, i64),
		"fd_fdstat_set_rights": types(i32, i64, i64), "fd_filestat_set_size": types(i32, i64),
		"fd_filestat_set_times": types(i32, i64, i64, i32),
		"fd_pread":              types(i32, i32, i32, i64, i32), "fd_pwrite": types(i32, i32, i32, i64, i32),
		"fd_prestat_get": n(2), "fd_prestat_dir_name": n(3), "fd_readdir": types(i32, i32, i32, i64, i32), "fd_renumber": n(2),
		"path_create_directory": n(3), "path_filestat_get": n(5),
		"path_filestat_set_times": types(i32, i32, i32, i32, i64, i64, i32),
		"path_link":               n(7), "path_open": types(i32, i32, i32, i32, i32, i64, i64, i32, i32),
		"path_readlink": n(6), "path_remove_directory": n(3), "path_rename": n(6), "path_symlink": n(5), "path_unlink_file": n(3),
		"sock_accept": n(3), "sock_recv": n(6), "sock_send": n(5), "sock_shutdown": n(2),
	} {
		m[name] = wasiFunc(params, func(context.Context, *call, memory, []uint64) uint64 { return errnoBadf })
	}
	return m
}

func errno(ok bool) uint64 {
	if ok {
		return errnoSuccess
	}
	return errnoFault
}

// standard answers result for the descriptors 0, 1 and 2.
func standard(result uint64) func(context.Context, *call, memory, []uint64) uint64 {
	return func(_ context.Context, _ *call, _ memory, a []uint64) uint64 {
		if a[0] > 2 {
			return errnoBadf
		}
		return result
	}
}

func wasiArgsSizes(_ context.Context, c *call, m memory, a []uint64) uint64 {
	size := 0
	for _, s := range c.stdio.args {
		size += len(s) + 1
	}
	return errno(m.put32(a[0], uint32(len(c.stdio.args))) && m.put32(a[1], uint32(size)))
}

func wasiArgsGet(_ context.Context, c *call, m memory, a []uint64) uint64 {
	table, text := a[0], a[1]
	for _, s := range c.stdio.args {
		if !m.put32(table, uint32(text)) || !m.Write(uint32(text), append([]byte(s), 0)) {
			return errnoFault
		}
		table += 4
		text += uint64(len(s)) + 1
	}
	return errnoSuccess
}

func wasiClockRes(_ context.Context, _ *call, m memory, a []uint64) uint64 {
	if a[0] > 3 {
		return errnoInval
	}
	return errno(m.WriteUint64Le(uint32(a[1]), clockResolution))
}

// clockNow is the time of clock id: 0 the wall, the others since the call began.
func (c *call) clockNow(id uint64) int64 {
	if id == 0 {
		return time.Now().UnixNano()
	}
	return int64(time.Since(c.began)) + 1
}

func wasiClockTime(_ context.Context, c *call, m memory, a []uint64) uint64 {
	if a[0] > 3 {
		return errnoInval
	}
	return errno(m.WriteUint64Le(uint32(a[2]), uint64(c.clockNow(a[0]))))
}

func wasiRandom(ctx context.Context, c *call, m memory, a []uint64) uint64 {
	b, ok := m.bytes(a[0], a[1])
	if !ok {
		return errnoFault
	}
	c.pieces(ctx, b, func(p []byte) { _, _ = rand.Read(p) }) // never fails since Go 1.24: it ends the program instead
	return errnoSuccess
}

// maxPiece is how many bytes a host function works through between two looks at the
// deadline.
const maxPiece = 64 << 10

// pieces gives b to f bit by bit and ends the guest when its time is up: a buffer may
// be as large as the memory, and a list names it a thousand times.
func (c *call) pieces(ctx context.Context, b []byte, f func(p []byte)) {
	for p := range slices.Chunk(b, maxPiece) {
		if ctx.Err() != nil {
			c.trap(context.Cause(ctx))
		}
		f(p)
	}
}

// iovecs gives the buffers of a scatter or gather list one by one.
func iovecs(m memory, list, count uint64, each func(buf []byte) bool) uint64 {
	if count > maxIovecs {
		return errnoInval
	}
	vec, ok := m.bytes(list, 8*count)
	if !ok {
		return errnoFault
	}
	for i := range count {
		p, n := binary.LittleEndian.Uint32(vec[8*i:]), binary.LittleEndian.Uint32(vec[8*i+4:])
		buf, ok := m.bytes(uint64(p), uint64(n))
		if !ok {
			return errnoFault
		}
		if !each(buf) {
			break
		}
	}
	return errnoSuccess
}

func wasiWrite(ctx context.Context, c *call, m memory, a []uint64) uint64 {
	if a[0] != 1 && a[0] != 2 {
		return errnoBadf
	}
	total := uint64(0)
	e := iovecs(m, a[1], a[2], func(buf []byte) bool {
		total += uint64(len(buf))
		c.pieces(ctx, buf, func(p []byte) { c.write(int(a[0]), p) })
		return true
	})
	if e != errnoSuccess {
		return e
	}
	return errno(m.put32(a[3], uint32(min(total, math.MaxUint32))))
}

func wasiRead(_ context.Context, c *call, m memory, a []uint64) uint64 {
	if a[0] != 0 {
		return errnoBadf
	}
	total := 0
	e := iovecs(m, a[1], a[2], func(buf []byte) bool {
		n := copy(buf, c.stdio.stdin)
		c.stdio.stdin = c.stdio.stdin[n:]
		total += n
		return n == len(buf)
	})
	if e != errnoSuccess {
		return e
	}
	return errno(m.put32(a[3], uint32(total)))
}

// wasiFdstat answers a character device that can be read (0) or written (1, 2).
func wasiFdstat(_ context.Context, _ *call, m memory, a []uint64) uint64 {
	if a[0] > 2 {
		return errnoBadf
	}
	b, ok := m.bytes(a[1], 24)
	if !ok {
		return errnoFault
	}
	clear(b)
	b[0] = 2 // character device
	rights := uint64(1 << 1)
	if a[0] > 0 {
		b[2], rights = 1, 1<<6 // append; fd_write
	}
	binary.LittleEndian.PutUint64(b[8:], rights|1<<27) // poll_fd_readwrite
	return errnoSuccess
}

func wasiFilestat(_ context.Context, _ *call, m memory, a []uint64) uint64 {
	if a[0] > 2 {
		return errnoBadf
	}
	b, ok := m.bytes(a[1], 64)
	if !ok {
		return errnoFault
	}
	clear(b)
	b[16] = 2 // character device
	return errnoSuccess
}

// wasiPoll sleeps until the first of its clocks; a standard descriptor is always
// ready. The sleep is wall time of the call, ends with it, and holds no slot.
func wasiPoll(ctx context.Context, c *call, m memory, a []uint64) uint64 {
	in, out, count := a[0], a[1], a[2]
	if count == 0 || count > maxSubscriptions {
		return errnoInval
	}
	subs, ok := m.bytes(in, 48*count)
	if !ok {
		return errnoFault
	}
	events, ready, wait := []byte{}, uint32(0), time.Duration(math.MaxInt64)
	type timed struct {
		at  time.Duration
		sub []byte
	}
	var clocks []timed
	for i := range count {
		sub := append([]byte(nil), subs[48*i:48*i+48]...)
		switch sub[8] {
		case 0:
			d, e := c.clockWait(sub)
			if e != errnoSuccess {
				return e
			}
			clocks = append(clocks, timed{d, sub})
			wait = min(wait, d)
		case 1, 2:
			e := uint16(errnoSuccess)
			if binary.LittleEndian.Uint32(sub[16:]) > 2 {
				e = errnoBadf
			}
			events = appendEvent(events, sub, e)
			ready++
		default:
			return errnoInval
		}
	}
	if ready == 0 {
		c.sleep(ctx, wait)
		for _, t := range clocks {
			if t.at <= wait {
				events = appendEvent(events, t.sub, errnoSuccess)
				ready++
			}
		}
	}
	return errno(m.Write(uint32(out), events) && m.put32(a[3], ready))
}

// clockWait is how long a clock subscription still has to wait.
func (c *call) clockWait(sub []byte) (time.Duration, uint64) {
	id, at, flags := uint64(binary.LittleEndian.Uint32(sub[16:])), binary.LittleEndian.Uint64(sub[24:]), binary.LittleEndian.Uint16(sub[40:])
	if id > 3 || flags > 1 {
		return 0, errnoInval
	}
	d := time.Duration(min(at, math.MaxInt64))
	if flags == 1 {
		d -= time.Duration(c.clockNow(id))
	}
	return max(d, 0), errnoSuccess
}

// appendEvent appends the 32 bytes of one event.
func appendEvent(b, sub []byte, e uint16) []byte {
	var ev [32]byte
	copy(ev[:8], sub[:8])
	binary.LittleEndian.PutUint16(ev[8:], e)
	ev[10] = sub[8]
	return append(b, ev[:]...)
}

// sleep waits for d or for the end of the call, whichever comes first.
func (c *call) sleep(ctx context.Context, d time.Duration) {
	if d <= 0 {
		return
	}
	c.outside(ctx, false, func() {
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	})
}
