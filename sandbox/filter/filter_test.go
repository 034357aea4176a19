package filter_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/bpf"

	"github.com/glovebox-dev/glovebox/internal/testenv"
	"github.com/glovebox-dev/glovebox/sandbox/filter"
)

// answer runs a filter on one call, as the kernel would: the interpreter reads
// big-endian words, the kernel native ones at the same offsets.
func answer(t *testing.T, prog []bpf.RawInstruction, audit, nr uint32, args ...uint64) uint32 {
	t.Helper()
	ins, ok := bpf.Disassemble(prog)
	if !ok {
		t.Fatal("the filter holds unknown instructions")
	}
	vm, err := bpf.NewVM(ins)
	if err != nil {
		t.Fatal(err)
	}
	data := make([]byte, 64)
	binary.BigEndian.PutUint32(data[0:], nr)
	binary.BigEndian.PutUint32(data[4:], audit)
	for i, a := range args {
		binary.BigEndian.PutUint32(data[16+8*i:], uint32(a)) // the low half comes first
		binary.BigEndian.PutUint32(data[20+8*i:], uint32(a>>32))
	}
	got, err := vm.Run(data)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(got)
}

func name(v uint32) string {
	switch v {
	case filter.Allow:
		return "allow"
	case filter.Kill:
		return "kill"
	case filter.EPERM:
		return "EPERM"
	case filter.ENOSYS:
		return "ENOSYS"
	case filter.EAFNOSUPPORT:
		return "EAFNOSUPPORT"
	}
	return fmt.Sprintf("%#x", v)
}

func each(t *testing.T, do func(t *testing.T, a filter.Arch, audit uint32)) {
	for _, a := range filter.Arches() {
		t.Run(a.Name, func(t *testing.T) {
			t.Parallel()
			do(t, a, map[string]uint32{"amd64": 0xc000003e, "arm64": 0xc00000b7}[a.Name])
		})
	}
}

func TestBoxRefusesEveryCallOfTheList(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a filter.Arch, audit uint32) {
		prog, err := filter.Box(a, filter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		refused := 0
		for _, g := range filter.Denied() {
			for _, call := range g.Calls {
				n, ok := filter.Number(a, call)
				if !ok {
					continue
				}
				refused++
				if got := answer(t, prog, audit, n); got != filter.EPERM {
					t.Errorf("%s (%d): %s", call, n, name(got))
				}
			}
		}
		if refused < 60 {
			t.Errorf("only %d calls were tried", refused)
		}
		t.Logf("%d calls are refused by %d instructions", refused, len(prog))
	})
}

func TestBoxJudgesArguments(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a filter.Arch, audit uint32) {
		prog, err := filter.Box(a, filter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			what, call string
			want       uint32
			args       []uint64
		}{
			{"a new thread", "clone", filter.Allow, []uint64{0x3d0f00}},
			{"a child process", "clone", filter.Allow, []uint64{17}},
			{"a user name space", "clone", filter.EPERM, []uint64{0x10000000}},
			{"a mount name space", "clone", filter.EPERM, []uint64{0x20000 | 17}},
			{"a network name space", "clone", filter.EPERM, []uint64{0x40000000}},
			{"a process name space", "clone", filter.EPERM, []uint64{0x20000000}},
			{"flags that lie in memory", "clone3", filter.ENOSYS, nil},
			{"a unix socket", "socket", filter.Allow, []uint64{1, 1}},
			{"a TCP socket", "socket", filter.Allow, []uint64{2, 1 | 0x80000}},
			{"a TCP socket of IPv6", "socket", filter.Allow, []uint64{10, 1}},
			{"a raw socket", "socket", filter.EPERM, []uint64{2, 3 | 0x80000}},
			{"netlink", "socket", filter.EAFNOSUPPORT, []uint64{16, 3}},
			{"packets", "socket", filter.EAFNOSUPPORT, []uint64{17, 3}},
			{"ciphers in the kernel", "socket", filter.EAFNOSUPPORT, []uint64{38, 5}},
			{"the hypervisor", "socket", filter.EAFNOSUPPORT, []uint64{40, 1}},
			{"a family whose upper half is ours", "socket", filter.EAFNOSUPPORT, []uint64{1<<32 | 40, 1}},
			{"a pair of unix sockets", "socketpair", filter.Allow, []uint64{1, 1}},
			{"a pair of others", "socketpair", filter.EAFNOSUPPORT, []uint64{30, 1}},
			{"the personality is asked", "personality", filter.Allow, []uint64{0xffffffff}},
			{"no random addresses", "personality", filter.EPERM, []uint64{0x40000}},
			{"keys into a terminal", "ioctl", filter.EPERM, []uint64{0, 0x5412}},
			{"the same with an upper half", "ioctl", filter.EPERM, []uint64{0, 1<<32 | 0x5412}},
			{"the console's clipboard", "ioctl", filter.EPERM, []uint64{0, 0x541c}},
			{"another request", "ioctl", filter.Allow, []uint64{0, 0x5401}},
			{"a file without a name", "memfd_create", filter.EPERM, nil},
			{"reading", "read", filter.Allow, nil},
			{"executing", "execve", filter.Allow, nil},
		} {
			n, ok := filter.Number(a, c.call)
			if !ok {
				t.Fatalf("%s has no number", c.call)
			}
			if got := answer(t, prog, audit, n, c.args...); got != c.want {
				t.Errorf("%s: %s, want %s", c.what, name(got), name(c.want))
			}
		}
		if got := answer(t, prog, audit, 470); got != filter.ENOSYS {
			t.Errorf("a call of a later kernel: %s", name(got))
		}
		if prog, err = filter.Box(a, filter.Options{Memfd: true}); err != nil {
			t.Fatal(err)
		}
		if n, _ := filter.Number(a, "memfd_create"); answer(t, prog, audit, n) != filter.Allow {
			t.Error("a box that may has no files without a name")
		}
	})
}

func TestOtherABIsEndTheProcess(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a filter.Arch, audit uint32) {
		box, err := filter.Box(a, filter.Options{})
		if err != nil {
			t.Fatal(err)
		}
		compiler, err := filter.Compiler(a)
		if err != nil {
			t.Fatal(err)
		}
		for what, prog := range map[string][]bpf.RawInstruction{"box": box, "compiler": compiler} {
			for _, other := range []uint32{0x40000003 /* i386 */, 0x40000028 /* arm */, 0} {
				if got := answer(t, prog, other, 0); got != filter.Kill {
					t.Errorf("%s, architecture %#x: %s", what, other, name(got))
				}
			}
			if got := answer(t, prog, audit, 0x40000000|39); a.Name == "amd64" && got != filter.Kill {
				t.Errorf("%s, x32: %s", what, name(got))
			}
		}
	})
}

func TestCompilerIsAnAllowList(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, a filter.Arch, audit uint32) {
		prog, err := filter.Compiler(a)
		if err != nil {
			t.Fatal(err)
		}
		for call, want := range map[string]uint32{
			"read": filter.Allow, "mmap": filter.Allow, "futex": filter.Allow, "exit_group": filter.Allow,
			"execve": filter.EPERM, "socket": filter.EPERM, "socketpair": filter.EPERM, "ptrace": filter.EPERM, "prctl": filter.EPERM,
			"ioctl": filter.EPERM, "unshare": filter.EPERM, "memfd_create": filter.EPERM, "clone3": filter.ENOSYS,
		} {
			if n, ok := filter.Number(a, call); !ok || answer(t, prog, audit, n) != want {
				t.Errorf("%s: not %s", call, name(want))
			}
		}
		clone, _ := filter.Number(a, "clone")
		limit, _ := filter.Number(a, "prlimit64")
		for _, c := range []struct {
			what string
			nr   uint32
			want uint32
			args []uint64
		}{
			{"a thread", clone, filter.Allow, []uint64{0x3d0f00}},
			{"a process", clone, filter.EPERM, []uint64{17}},
			{"a thread in a name space of its own", clone, filter.EPERM, []uint64{0x10010000}},
			{"a limit is asked", limit, filter.Allow, []uint64{0, 7, 0, 1 << 40}},
			{"a limit is set", limit, filter.EPERM, []uint64{0, 7, 0x1000}},
			{"a limit is set from a high address", limit, filter.EPERM, []uint64{0, 7, 1 << 40}},
			{"a call of a later kernel", 470, filter.EPERM, nil},
		} {
			if got := answer(t, prog, audit, c.nr, c.args...); got != c.want {
				t.Errorf("%s: %s, want %s", c.what, name(got), name(c.want))
			}
		}
	})
}

// TestNumbers compares the tables with those of golang.org/x/sys, which are made
// from the kernel's headers.
func TestNumbers(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(testenv.ModuleDir(t, "golang.org/x/sys"), "unix")
	line := regexp.MustCompile(`(?m)^\s*SYS_(\w+)\s*=\s*(\d+)`)
	each(t, func(t *testing.T, a filter.Arch, _ uint32) {
		b, err := os.ReadFile(filepath.Join(dir, "zsysnum_linux_"+a.Name+".go"))
		if err != nil {
			t.Fatal(err)
		}
		known := map[string]uint32{}
		for _, m := range line.FindAllStringSubmatch(string(b), -1) {
			n, err := strconv.ParseUint(m[2], 10, 32)
			if err != nil {
				t.Fatal(err)
			}
			known[strings.ToLower(m[1])] = uint32(n)
		}
		for _, call := range filter.Names() {
			ours, ok := filter.Number(a, call)
			if theirs, has := known[call]; has != ok || ok && theirs != ours {
				t.Errorf("%s: %d here, %d there", call, ours, theirs)
			}
		}
	})
}

func TestUnknownArchitecturesHaveNoFilter(t *testing.T) {
	t.Parallel()
	for _, a := range []filter.Arch{{}, {Name: "riscv64"}} {
		if _, err := filter.Box(a, filter.Options{}); !errors.Is(err, filter.ErrArch) {
			t.Errorf("%q: %v", a.Name, err)
		}
		if _, err := filter.Compiler(a); !errors.Is(err, filter.ErrArch) {
			t.Errorf("%q: %v", a.Name, err)
		}
	}
}
