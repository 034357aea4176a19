package main

// walls are the controls around programs that are not WebAssembly.
func walls() []Control {
	const (
		box      = "sandbox/filter/filter.go"
		compiler = "sandbox/filter/compiler.go"
		lock     = "sandbox/lock/lock_linux.go"
		build    = "sandbox/build_linux.go"
		enter    = "sandbox/enter_linux.go"
		start    = "sandbox/start_linux.go"
		report   = "sandbox/report.go"
		describe = "sandbox/box.go"

		judged  = "sandbox/filter.TestBoxJudgesArguments"
		self    = "sandbox.TestSelfTest"
		all     = "sandbox.TestWallsHoldInEveryProfile"
		refused = "sandbox.TestBoxesAreWellDescribed"
		rows    = "sandbox.TestReportJudgesRows"
		limits  = "sandbox.TestBoxLimits"
		small   = "sandbox.TestSmallInsideStepIsTrustedAsThisProgram"
	)
	return []Control{
		{"copies do not stop in the middle", box, "\"userfaultfd\", ", "", self},
		{"nobody reads another's memory", box, "\"process_vm_readv\", ", "", self},
		{"clone3 does not exist", box, "p.on(\"clone3\", ret(ENOSYS))", "p.on(\"clone3\", ret(Allow))", judged},
		{"no name spaces by clone", box, "Val: cloneNew, SkipFalse: 1}, ret(EPERM)", "Val: cloneNew, SkipFalse: 1}, ret(Allow)", judged},
		{"three families of sockets", box, "ret(EAFNOSUPPORT),", "ret(Allow),", judged},
		{"no raw sockets", box, "Val: 3, SkipFalse: 1}, ret(EPERM)", "Val: 3, SkipFalse: 1}, ret(Allow)", judged},
		{"no keys into terminals", box, "Val: tioclinux, SkipTrue: 1}, ret(EPERM)", "Val: tioclinux, SkipTrue: 1}, ret(Allow)", judged},
		{"another ABI ends the process", box, "SkipTrue: 1}, ret(Kill),\n", "SkipTrue: 1}, ret(Allow),\n", "sandbox/filter.TestOtherABIsEndTheProcess"},
		{"later calls do not exist", box, "Val: youngest, SkipTrue: 1}, ret(ENOSYS)", "Val: youngest, SkipTrue: 1}, ret(Allow)", judged},
		{"the compiler's filter is an allow-list", compiler, "p.add(ret(EPERM))", "p.add(ret(Allow))", "sandbox/filter.TestCompilerIsAnAllowList"},
		{"the compiler's child is filtered", "sandbox/inside_linux.go", "return lock.Filter(prog)", "_, _ = lock.Filter, prog\n\treturn nil", "sandbox.TestConfined"},
		{"the compiler's jail is judged by its filter", "sandbox/bwrap_linux.go", "case !f.Filtered:", "case false:", "sandbox.TestFindingsThatDoNotHold"},
		{"a filter holds on every thread", lock, "unix.SECCOMP_FILTER_FLAG_TSYNC, ", "0, ", "sandbox/lock.TestFilterHoldsOnEveryThread"},
		{"Landlock tells reading from writing", lock, "if a.Write {", "if true {", "sandbox/lock.TestLandlockLeavesWhatIsNamed"},
		{"the box's system calls are filtered", enter, "if err := lock.Filter(prog); err != nil {", "if err := error(nil); err != nil {\n\t\t_ = prog", self},
		{"the second wall stands", enter, "if e.Landlock {", "if false {", self},
		{"no descriptor is inherited", enter, "unix.CloseRange(3, ", "unix.CloseRange(1<<20, ", self},
		{"processes are counted", enter, "\t\t{\"processes\", unix.RLIMIT_NPROC, uint64(l.Procs)},\n", "", self},
		{"memory of a process ends", enter, "\t\t{\"data\", unix.RLIMIT_DATA, uint64(l.Memory)},\n", "", self},
		{"the root is read-only", build, "\"--remount-ro\", \"/\", \"--chdir\"", "\"--chdir\"", self},
		{"/proc is read-only", build, "\"--remount-ro\", \"/proc\", ", "", self},
		{"a session of its own", build, "\"--new-session\", ", "", self},
		{"no network", build, "\"--unshare-all\", ", "\"--unshare-all\", \"--share-net\", ", self},
		{"the kernel's facts are covered", build, "p := \"/proc/\" + fact; regular(p)", "p := \"/proc/\" + fact; false && regular(p)", self},
		{"servers do not run what they write", build, "v.allow(path, true, runs)", "v.allow(path, true, true)", all},
		{"no path leads over a link", build, "unix.RESOLVE_NO_SYMLINKS | ", "", refused},
		{"bubblewrap has no environment", start, "cmd.Env, cmd.Dir, cmd.ExtraFiles = []string{}, ", "cmd.Env, cmd.Dir, cmd.ExtraFiles = []string{\"LEAK=1\"}, ", self},
		{"bubblewrap is not root", start, "if os.Geteuid() == 0 {\n\t\tcmd.SysProcAttr.Credential", "if false {\n\t\tcmd.SysProcAttr.Credential", self},
		{"output ends", "sandbox/output.go", "\t\tif len(keep) < len(p) {\n\t\t\tm.stop()\n\t\t}\n", "", limits},
		{"a whole box has a memory", "sandbox/cgroup_linux.go", "memory, procs := strconv.FormatInt(l.Memory, 10)", "memory, procs := strconv.FormatInt(l.Memory<<10, 10)", limits},
		{"the box's places are the box's", describe, "case !clean(m.Box) || system(m.Box):", "case !clean(m.Box):", refused},
		{"wide directories are not shown", describe, "!clean(m.Host) || slices.Contains(hostRoots(), m.Host)", "!clean(m.Host)", refused},
		{"no zero byte splits an argument", describe, "if strings.ContainsRune(s, 0) {", "if false {", refused},
		{"no sandbox, no program", report, "if !x.report.Ready {", "if false {", "sandbox.TestWithoutWallsNothingRuns"},
		{"a wall that was not tried does not hold", report, "if r.Verdict != walls.Pass && r.Verdict != walls.Open {", "if r.Verdict == walls.Fail {", rows},
		{"every wall is tried", report, "case len(p.Rows) != want || want == 0:", "case false:", rows},
		{"a program does not choose what is shown", "sandbox/bwrap_linux.go", "if slices.Contains(libraryDirs, filepath.Dir(loader)) && regular(loader) {", "if regular(loader) {", "sandbox.TestProgramsDoNotChooseWhatIsShown"},
		{"the small program is trusted as this one", "sandbox/check_linux.go", "if fi.Mode().Perm()&0o022 != 0 || owner(fi) != owner(own) {", "if false && owner(fi) != owner(own) {", small},
	}
}
