// Command hostile is a program that does what a box must survive. The tests link
// it statically and run it in boxes.
package main

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

func main() {
	switch arg(1) {
	case "forks": // each child starts children, for ever
		for {
			_, _ = start("forks")
		}
	case "flood":
		line := []byte(strings.Repeat("x", 4096))
		for {
			if _, err := os.Stdout.Write(line); err != nil {
				return
			}
		}
	case "fill": // every writable place, until it is refused
		for _, dir := range []string{"/tmp", "/dev/shm", "/workspace", "/dev", "/etc", "/"} {
			fmt.Println(dir, fill(dir)>>20)
		}
	case "deaf":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "daemon": // leaves a process in a session of its own behind and ends
		if _, err := start("beat"); err != nil {
			fmt.Println(err)
		}
		wait("/workspace/beat")
	case "stay":
		if _, err := start("beat"); err != nil {
			fmt.Println(err)
		}
		wait("/workspace/beat")
		fmt.Println("ready")
		time.Sleep(time.Hour)
	case "beat":
		f, err := os.OpenFile("/workspace/beat", os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
		for err == nil {
			_, err = f.WriteString(".")
			time.Sleep(5 * time.Millisecond)
		}
	case "eat": // memory, in many processes, until no more than two are left
		for range 6 {
			_, _ = start("bite")
		}
		for left := 6; left > 2; left-- {
			_, _ = syscall.Wait4(-1, nil, 0, nil)
		}
		fmt.Println("two are left")
	case "bite":
		b := make([]byte, 40<<20)
		for i := range b {
			b[i] = 1
		}
		time.Sleep(time.Hour)
		fmt.Println(len(b))
	case "read":
		b, err := os.ReadFile(arg(2))
		fmt.Printf("%s%v", b, err)
	case "dial":
		c, err := net.Dial("unix", arg(2))
		if err != nil {
			fmt.Print(err)
			return
		}
		b, err := io.ReadAll(c)
		fmt.Printf("%s%v", b, err)
	case "env":
		fmt.Println(strings.Join(os.Environ(), "\n"))
	case "become":
		fmt.Println(syscall.Exec(arg(2), os.Args[2:], os.Environ()))
		os.Exit(1)
	case "echo":
		_, _ = io.Copy(os.Stdout, os.Stdin)
	case "exit":
		os.Exit(7)
	case "crash":
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Hour)
	case "burn":
		for i := 0; ; i++ {
			_ = i
		}
	}
}

func arg(i int) string {
	if i < len(os.Args) {
		return os.Args[i]
	}
	return ""
}

func start(what string) (*os.Process, error) {
	return os.StartProcess("/proc/self/exe", []string{"hostile", what}, &os.ProcAttr{
		Files: []*os.File{nil, os.Stdout, nil}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
}

func wait(path string) {
	for range 1000 {
		if fi, err := os.Stat(path); err == nil && fi.Size() > 0 {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// fill returns how many bytes it could write below dir.
func fill(dir string) (total int) {
	signal.Ignore(syscall.SIGXFSZ)
	block := make([]byte, 1<<20)
	for i := range 64 {
		f, err := os.Create(filepath.Join(dir, fmt.Sprint("full-", i)))
		if err != nil {
			return total
		}
		for range 64 {
			n, err := f.Write(block)
			total += n
			if err != nil {
				break
			}
		}
		if dir == "/workspace" {
			break // a directory of the host has no end of its own: its file has
		}
		_ = f.Close()
	}
	return total
}
