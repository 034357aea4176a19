// Command relay runs inside a box without a network and carries the bytes of the
// programs there to the one socket that leads out of it, the one of broker/proxy:
//
//	relay --socket /run/egress.sock [--names api.example:443,…] -- PROGRAM [ARGUMENT…]
//
// Programs that know of proxies find one on 127.0.0.1:3128. For those that do not, the
// relay answers DNS for the names that it is given, with addresses of the loopback
// network, and opens a tunnel for who connects there. It starts the program as its child,
// ends with it, and gives its own privileges up before.
//
// It holds no secret and decides nothing: a program that stops or subverts it only loses
// its way out.
package main

import (
	"errors"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// Exit statuses of the relay itself, as a shell has them.
const (
	exitRelay   = 125 // the relay could not do its work
	exitCannot  = 126 // the program could not be started
	exitMissing = 127 // there is no such program
)

func main() {
	status, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "error: relay:", err)
	}
	os.Exit(status)
}

func run(args []string) (status int, err error) {
	flags := flag.NewFlagSet("relay", flag.ContinueOnError)
	socket := flags.String("socket", "", "unix `SOCKET` that leads out of the box")
	proxy := flags.String("proxy", "127.0.0.1:3128", "`ADDRESS` for programs that know of proxies")
	list := flags.String("names", "", "`NAME:PORT,…` that are answered for")
	if err := flags.Parse(args); err != nil {
		return exitRelay, err
	}
	if *socket == "" || flags.NArg() == 0 {
		return exitRelay, errors.New("want --socket SOCKET -- PROGRAM [ARGUMENT…]")
	}
	names, err := parseNames(*list)
	if err != nil {
		return exitRelay, err
	}
	r := &relay{socket: *socket}
	if err := r.listen(*proxy, names); err != nil {
		return exitRelay, err
	}
	if err := dropPrivileges(); err != nil {
		return exitRelay, fmt.Errorf("give up privileges: %w", err)
	}
	return start(flags.Args())
}

// name is one that the relay answers for.
type name struct {
	host string // lower case, without a final dot
	port uint16
}

func parseNames(list string) ([]name, error) {
	var out []name
	for item := range strings.SplitSeq(list, ",") {
		if item == "" {
			continue
		}
		host, port, err := net.SplitHostPort(item)
		if err != nil {
			return nil, fmt.Errorf("name %q: %w", item, err)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || host == "" {
			return nil, fmt.Errorf("name %q: want NAME:PORT", item)
		}
		out = append(out, name{strings.ToLower(host), uint16(n)})
	}
	return out, nil
}

// addresses gives each host one of its own: 127.1.0.1 and so on.
func addresses(names []name) (map[string]netip.Addr, error) {
	const perNet = 254
	out := map[string]netip.Addr{}
	for _, n := range names {
		if _, ok := out[n.host]; ok {
			continue
		}
		i := len(out)
		if i >= 256*perNet {
			return nil, fmt.Errorf("more than %d names", 256*perNet)
		}
		out[n.host] = netip.AddrFrom4([4]byte{127, 1, byte(i / perNet), byte(i%perNet + 1)}) //nolint:gosec // in range
	}
	return out, nil
}

// start runs the program until it ends and returns its exit status. Signals that ask the
// relay to end are passed on.
func start(argv []string) (int, error) {
	path, err := find(argv[0])
	if err != nil {
		return exitMissing, err
	}
	p, err := os.StartProcess(path, argv, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return exitCannot, err
	}
	asked := make(chan os.Signal, 4)
	signal.Notify(asked, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	go func() {
		for s := range asked {
			_ = p.Signal(s)
		}
	}()
	state, err := p.Wait()
	if err != nil {
		return exitRelay, err
	}
	if w, ok := state.Sys().(syscall.WaitStatus); ok && w.Signaled() {
		return 128 + int(w.Signal()), nil
	}
	return state.ExitCode(), nil
}

// find looks for a program where the usual ones are: the relay reads no environment.
func find(program string) (string, error) {
	if strings.Contains(program, "/") {
		return program, nil
	}
	for _, dir := range []string{"/usr/local/bin", "/usr/bin", "/bin"} {
		path := filepath.Join(dir, program)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("there is no program %q in the box", program)
}
