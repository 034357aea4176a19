//go:build linux

package walls

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

func limits() []attempt {
	limit := func(id, what string, resource int, want func(Expect) uint64) attempt {
		return attempt{id: id, group: "limits", what: what, try: func(e Expect) (Verdict, string) {
			var r unix.Rlimit
			if err := unix.Getrlimit(resource, &r); err != nil {
				return Unobserved, err.Error()
			}
			if r.Max != want(e) || r.Cur != r.Max {
				return Fail, fmt.Sprintf("%d of %d, not %d", r.Cur, r.Max, want(e))
			}
			// A higher limit must be refused, in the box's own user name space too.
			return refused(unix.Setrlimit(resource, &unix.Rlimit{Cur: r.Max, Max: r.Max + 1}), unix.EPERM)
		}}
	}
	return []attempt{
		limit("limit-core", "raise the size of core files", unix.RLIMIT_CORE, func(Expect) uint64 { return 0 }),
		limit("limit-files", "raise the number of open files", unix.RLIMIT_NOFILE, func(e Expect) uint64 { return uint64(e.Files) }),
		limit("limit-procs", "raise the number of processes", unix.RLIMIT_NPROC, func(e Expect) uint64 { return uint64(e.Procs) }),
		limit("limit-file-size", "raise the size of files", unix.RLIMIT_FSIZE, func(e Expect) uint64 { return uint64(e.FileSize) }),
		limit("limit-memory", "raise the memory of a process", unix.RLIMIT_DATA, func(e Expect) uint64 { return uint64(e.Memory) }),
		{"memory", "limits", "take more memory than it may", false, func(e Expect) (Verdict, string) {
			if e.Memory <= 0 {
				return Unobserved, "no limit is known"
			}
			b, err := unix.Mmap(-1, 0, int(e.Memory)+1<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
			if err == nil {
				_ = unix.Munmap(b)
			}
			return refused(err, unix.ENOMEM)
		}},
		{"scratch-size", "limits", "have more scratch space than it may", false, func(e Expect) (Verdict, string) {
			var st unix.Statfs_t
			if err := unix.Statfs("/tmp", &st); err != nil {
				return Unobserved, err.Error()
			}
			size := int64(st.Blocks) * st.Bsize //nolint:unconvert // the width of Bsize depends on the architecture
			if st.Blocks == 0 || size > e.Scratch+1<<16 {
				return Fail, fmt.Sprint(size, " bytes")
			}
			return Pass, "bounded"
		}},
		{"open-files", "limits", "open files without an end", false, func(e Expect) (Verdict, string) {
			var all []*os.File
			defer func() {
				for _, f := range all {
					_ = f.Close()
				}
			}()
			for len(all) <= e.Files {
				f, err := os.Open("/dev/null")
				if err != nil {
					return refused(err, unix.EMFILE)
				}
				all = append(all, f)
			}
			return Fail, fmt.Sprint(len(all), " files")
		}},
		{"file-size", "limits", "write one file without an end", true, func(e Expect) (Verdict, string) {
			defer deaf(syscall.SIGXFSZ)()
			f, err := os.CreateTemp(e.Workspace, ".glovebox-probe-")
			if err != nil {
				return Unobserved, err.Error()
			}
			_, err = f.WriteAt([]byte{1}, e.FileSize)
			if rm := errors.Join(f.Close(), os.Remove(f.Name())); rm != nil {
				return Unobserved, rm.Error()
			}
			return refused(err, unix.EFBIG)
		}},
		{"fill-scratch", "limits", "fill the scratch space without an end", true, fill},
		{"fork-bomb", "limits", "start processes without an end", true, forkBomb},
	}
}

// fill writes files into /tmp until it is refused.
func fill(e Expect) (v Verdict, saw string) {
	defer deaf(syscall.SIGXFSZ)()
	block, total := make([]byte, 1<<20), int64(0)
	for i := 0; ; i++ {
		path := filepath.Join("/tmp", fmt.Sprint(".glovebox-probe-", i))
		f, err := os.Create(path)
		for n := int64(0); err == nil && n+int64(len(block)) <= e.FileSize; n += int64(len(block)) {
			_, err = f.Write(block)
			total += int64(len(block))
		}
		if f != nil {
			defer os.Remove(path) //nolint:errcheck // the box is thrown away
			if cerr := f.Close(); cerr != nil {
				return Unobserved, cerr.Error()
			}
		}
		if err != nil {
			return refused(err, unix.ENOSPC)
		}
		if total > e.Scratch+int64(len(block)) {
			return Fail, fmt.Sprint(total, " bytes")
		}
	}
}

// forkBomb starts processes that wait until it is refused.
func forkBomb(e Expect) (Verdict, string) {
	r, w, err := os.Pipe()
	if err != nil {
		return Unobserved, err.Error()
	}
	var all []*os.Process
	defer func() {
		_, _ = w.Close(), r.Close()
		for _, p := range all {
			_ = p.Kill()
			_, _ = p.Wait()
		}
	}()
	for len(all) <= e.Procs {
		p, err := os.StartProcess("/proc/self/exe", []string{"probe", Hostile, "wait"}, &os.ProcAttr{Files: []*os.File{r}})
		if err != nil {
			return refused(err, unix.EAGAIN)
		}
		all = append(all, p)
	}
	return Fail, fmt.Sprint(len(all), " processes")
}
