//go:build linux

package walls

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Hostile is the argument with which the probe becomes a child that breaks a rule
// and should not survive it.
const Hostile = "hostile"

// oldKernel are rows that only this architecture has.
func oldKernel() []attempt {
	return []attempt{
		denied("modify_ldt", "write the table of segments", unix.SYS_MODIFY_LDT, 0, bad, 0),
		denied("iopl", "reach the hardware's ports", unix.SYS_IOPL, bad),
		{"x32", "kernel", "call through the second ABI", true, func(Expect) (Verdict, string) {
			p, err := os.StartProcess("/proc/self/exe", []string{"probe", Hostile}, &os.ProcAttr{Files: make([]*os.File, 3)})
			if err != nil {
				return Unobserved, err.Error()
			}
			st, err := p.Wait()
			if err != nil {
				return Unobserved, err.Error()
			}
			if ws, ok := st.Sys().(syscall.WaitStatus); ok && ws.Signaled() && ws.Signal() == syscall.SIGSYS {
				return Pass, "SIGSYS"
			}
			return Fail, st.String()
		}},
	}
}

// OtherABI calls the kernel in a way that the filter answers with death.
func OtherABI() { _, _, _ = unix.RawSyscall(0x40000000|unix.SYS_GETPID, 0, 0, 0) }
