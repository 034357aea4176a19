package arch

// Glovebox returns the rules of this tree: the picture of docs/architecture.md.
func Glovebox() Rules {
	return Rules{
		Row: map[string]int{
			"cmd/glovebox": 7,

			"host": 6,

			"skills/install": 5,

			"mcp": 4, "mcp/server": 4, "host/admin": 4, "host/agent": 4, "host/agent/offline": 4, "host/agent/scripted": 4,
			"skills/artifact": 4, "skills/registry": 4, "skills/importer": 4,

			"host/approval": 3, "host/provenance": 3, "host/wasm": 3, "skills": 3, "mcp/listing": 3, "mcp/packages": 3,

			"host/policy": 2, "host/wasm/compile": 2, "host/wasm/kv": 2, "host/memory": 2,
			"skills/advisory": 2, "skills/signature": 2, "broker/proxy": 2, "broker/relay": 2,

			"internal/guard": 1, "internal/leaks": 1, "host/policy/gate": 1, "host/budget": 1, "host/audit": 1, "host/config": 1,
			"broker": 1, "sandbox": 1, "sandbox/probe": 1, "sandbox/enter": 2, "host/wasm/module": 1, "skills/sbom": 1, "mcp/source": 1,

			"abi": 0, "abi/guest": 0, "internal/sqlitex": 0, "internal/durable": 0, "internal/redact": 0, "internal/canon": 0, "internal/label": 0, "internal/atom": 0, "mcp/reason": 0,
			"sandbox/filter": 0, "sandbox/lock": 0, "sandbox/walls": 0,

			// Programs that measure the tree.
			"internal/contain": 6, "internal/contain/probe": 6, "internal/contain/run": 7, "internal/bench": 7, "internal/sabotage": 7,

			// Test support stands in the row of what it serves.
			"internal/arch": 0, "internal/testenv": 0, "skills/signature/signtest": 3, "abi/abitest": 1, "host/wasm/module/modtest": 1,
		},
		Owner: map[string][]string{
			"os/exec":                         {"sandbox", "internal/testenv", "internal/bench", "internal/sabotage"},
			"github.com/mattn/go-sqlite3":     {"internal/sqlitex"},
			"github.com/tetratelabs/wazero":   {"host/wasm/..."},
			"github.com/extism/go-sdk":        nil, // the oracle of tests
			"github.com/extism/go-pdk":        {"abi/guest"},
			"github.com/labstack/echo":        {"host/admin"},
			"crypto/aes":                      {"broker"},
			"crypto/ecdsa":                    {"broker/...", "host/audit", "skills/signature", "skills/registry"},
			"crypto/ed25519":                  {"broker", "host/audit"},
			"golang.org/x/crypto":             {"broker"},
			"github.com/modelcontextprotocol": {"mcp/..."},
			"deps.dev":                        {"mcp/packages"},
			"github.com/sony/gobreaker":       {"mcp"},
			"github.com/google/osv-scanner":   nil, // the oracle of a test module
			"github.com/google/osv-scalibr":   {"skills/advisory"},
			"github.com/sigstore":             {"skills/signature/..."},
			"github.com/theupdateframework":   {"skills/registry", "skills/signature"},
			"oras.land/oras-go":               {"skills/artifact"},
			"github.com/CycloneDX":            {"skills/sbom"},
			"github.com/zricethezav/gitleaks": {"internal/leaks"},
			"github.com/spf13/viper":          {"internal/leaks"},
			"github.com/invopop/jsonschema":   nil, // generates the checked-in schemas, in a test
			"github.com/rogpeppe/go-internal": nil,
			"unsafe":                          {"abi/guest", "sandbox/lock"},
			"golang.org/x/net/bpf":            {"sandbox/filter", "sandbox/lock"},
			"plugin":                          nil,
			"C":                               nil,
			"math/rand":                       nil, // math/rand/v2 as well: what looks random here must be random
		},
		Caller: map[string][]string{
			"os.Getenv": {"cmd/glovebox", "host/config", "internal/testenv"}, "os.LookupEnv": {"cmd/glovebox", "host/config"}, "os.Environ": {"cmd/glovebox", "host/config"},
			"os.StartProcess": {"sandbox", "sandbox/walls", "broker/relay"}, "syscall.ForkExec": {"sandbox"}, "syscall.Exec": {"sandbox"}, "syscall.StartProcess": {"sandbox"},
			"golang.org/x/sys/unix.Exec": {"sandbox"},
			"net.Dialer":                 {"broker", "broker/relay"}, "net.Dial": {"internal/contain/probe"}, "net.DialTimeout": nil, "net.DialTCP": nil, "net.DialUDP": nil, "net.DialIP": nil, "net.DialUnix": nil,
			"net.DefaultResolver": {"broker"}, "net.Resolver": {"broker"}, "net.LookupHost": nil, "net.LookupIP": nil, "net.LookupAddr": nil,
			"net/http.Client": {"broker"}, "net/http.Transport": {"broker"}, "net/http.DefaultClient": nil, "net/http.DefaultTransport": nil,
			"net/http.Get": nil, "net/http.Post": nil, "net/http.Head": nil, "net/http.PostForm": nil, "net/http.DefaultServeMux": nil, "net/http.HandleFunc": nil,
			"crypto/tls.Dial": nil, "crypto/tls.Dialer": nil,
			"fmt.Print": {"cmd/glovebox"}, "fmt.Println": {"cmd/glovebox", "internal/bench", "internal/sabotage"}, "fmt.Printf": {"cmd/glovebox", "internal/bench", "internal/sabotage"},
			"log.Print": nil, "log.Printf": nil, "log.Println": nil, "log.Fatal": nil, "log.Fatalf": nil,
			"os.Exit":  {"cmd/glovebox", "broker/relay", "sandbox/probe", "sandbox/enter", "internal/contain/run", "internal/bench", "internal/sabotage"},
			"os.DirFS": nil, "os.Chdir": nil, "log/slog.SetDefault": nil, "log/slog.Default": nil,
		},
		Leaf: map[string][]string{
			"abi":              {},
			"abi/guest":        {},
			"host/policy":      {"abi", "host/policy/gate", "internal/canon", "internal/label"},
			"host/policy/gate": {"abi", "internal/atom", "internal/label"},
		},
		Guest: []string{"examples", "docs", "tools", "host/wasm/interop"},
	}
}
