package main

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
)

// TestEveryVerbSpeaksJSON runs verbs in this process: with --json stdout holds one
// document, and an error is a problem on stderr.
func TestEveryVerbSpeaksJSON(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	state := filepath.Join(dir, "state")
	calc := filepath.Join("..", "..", "examples", "calc")
	bundle := filepath.Join(dir, "calc.sigstore.json")
	reg := filepath.Join(dir, "registry")
	cases := []struct {
		args  string
		stdin string
		code  int
	}{
		{"version", "", exitDone},
		{"status", "", exitUnreachable}, {"down", "", exitUnreachable}, {"chat hi", "", exitUnreachable},
		{"approve", "", exitUnreachable}, {"deny abc", "", exitUnreachable},
		{"approval list", "", exitUnreachable}, {"approval show abc", "", exitUnreachable}, {"approval approve abc", "", exitUnreachable},
		{"approval deny abc", "", exitUnreachable}, {"approval endorse abc --argument to --for once", "", exitUnreachable},
		{"approval endorse abc", "", exitUsage}, {"approval show a/b", "", exitUsage}, {"approval revoke abc", "", exitUnreachable}, {"approval endorsements", "", exitUnreachable}, {"approval marked", "", exitUnreachable}, {"approval clear main s", "", exitUnreachable},
		{"budget", "", exitUnreachable}, {"budget main", "", exitUnreachable}, {"budget a b", "", exitUsage},
		{"memory list", "", exitUnreachable}, {"memory search a", "", exitUnreachable}, {"memory show 1", "", exitUnreachable}, {"memory show x", "", exitUsage},
		{"memory forget 1", "", exitUnreachable}, {"memory promote 1", "", exitUnreachable}, {"memory promote 0", "", exitUsage},
		{"egress allow http://127.0.0.1:1 --skill calc", "", exitDone}, {"egress allow http://127.0.0.1:1", "", exitUsage}, {"egress list", "", exitDone}, {"egress rm http://127.0.0.1:1", "", exitDone},
		{"mcp add files --url https://files.example/mcp", "", exitDone}, {"mcp add files --url https://files.example/mcp", "", exitRefused}, {"mcp add x --url http://x.example/mcp", "", exitRefused}, {"mcp add x", "", exitUsage}, {"mcp list", "", exitDone},
		{"mcp test none", "", exitFailed}, {"mcp approve none", "", exitFailed}, {"mcp rm files", "", exitDone}, {"mcp rm files", "", exitFailed},
		{"secret set gh", "a-value-of-a-secret", exitDone}, {"secret list", "", exitDone}, {"secret rm gh", "", exitDone}, {"secret rm gh", "", exitFailed},
		{"skill list", "", exitDone}, {"skill inspect " + calc, "", exitDone}, {"skill test " + calc, "", exitDone},
		{"skill sbom " + calc, "", exitDone}, {"skill sbom " + filepath.Join(calc, "skill.wasm"), "", exitRefused},
		{"skill import skill-md " + filepath.Join(dir, "made", "made") + " --dir " + dir, "", exitFailed}, {"skill import nonsense x", "", exitUsage},
		{"skill import extism testdata/plugin.json --dir " + filepath.Join(dir, "imported"), "", exitDone},
		{"skill build " + calc + " --prebuilt --verify", "", exitUsage},
		{"skill verify " + calc + " --bundle " + bundle, "", exitRefused}, {"skill sign " + calc + " --out " + bundle, "", exitDone}, {"skill verify " + calc + " --bundle " + bundle, "", exitDone},
		{"skill sign " + calc + " --identity-token t", "", exitUsage}, {"skill verify " + calc + " --publisher-key k --issuer i", "", exitUsage},
		{"skill pack " + calc + " --unsigned --out " + filepath.Join(dir, "calc.tar"), "", exitDone}, {"skill publish " + calc + " --unsigned " + filepath.Join(dir, "site"), "", exitDone},
		{"skill publish " + calc + " --unsigned oci://registry.example/calc", "", exitUsage}, {"skill pack " + dir, "", exitFailed},
		{"trust show", "", exitDone}, {"trust update --mirror http://127.0.0.1:1 --tuf-root " + filepath.Join(calc, "skill.yaml"), "", exitFailed},
		{"registry init " + reg, "", exitDone}, {"registry init " + reg, "", exitFailed}, {"registry delegate " + reg + " acme --new " + reg + ".acme.pem", "", exitDone}, {"registry delegate " + reg + " acme", "", exitUsage},
		{"registry add-skill " + reg + " " + calc, "", exitRefused}, {"registry yank " + reg + " calc 1.0.0 --reason bad", "", exitFailed}, {"registry revoke " + reg + " --hint h --reason stolen", "", exitDone}, {"registry revoke " + reg + " --hint h", "", exitUsage},
		{"registry put " + reg + " osv/npm.zip testdata/plugin.json", "", exitDone}, {"registry rotate " + reg + " timestamp --file timestamp-2.pem", "", exitDone}, {"registry sign " + reg, "", exitDone}, {"registry sign " + dir, "", exitFailed},
		{"registry add corp " + reg + " --root " + reg + "/1.root.json", "", exitDone}, {"registry add corp " + reg, "", exitUsage}, {"registry add other " + dir + " --root " + reg + "/1.root.json", "", exitRefused},
		{"registry list", "", exitDone}, {"registry refresh", "", exitDone}, {"registry search calc", "", exitDone}, {"registry show acme/calc", "", exitFailed}, {"registry rm corp", "", exitDone}, {"registry rm corp", "", exitFailed},
		{"osv status", "", exitDone}, {"osv check " + calc, "", exitDone}, {"osv check --ecosystem npm a@1.0.0", "", exitRefused}, {"osv check --ecosystem npm a@1.0.0 --format x", "", exitUsage},
		{"osv update --ecosystem npm --from ../../skills/advisory/testdata/osv --as-of " + time.Now().UTC().Format(time.DateOnly), "", exitDone}, {"osv check --ecosystem npm a@1.0.0", "", exitDone}, {"osv update", "", exitUsage},
		{"skill run " + calc + " evaluate -", `{"expression":"1+1"}`, exitDone},
		{"skill run " + calc + " nosuchtool {}", "", exitFailed},
		{"skill new made --dir " + filepath.Join(dir, "made"), "", exitDone}, {"skill build " + filepath.Join(dir, "nothing"), "", exitFailed},
		{"skill install " + calc + " --bundle x", "", exitUsage}, {"skill install " + calc, "", exitRefused}, {"skill install nosuchskill", "", exitFailed},
		{"skill upgrade calc", "", exitFailed}, {"skill pin calc", "", exitFailed}, {"skill unpin calc", "", exitFailed}, {"skill remove calc", "", exitFailed}, {"skill why calc", "", exitFailed},
		{"skill grant nosuchskill --all", "", exitFailed}, {"skill revoke calc", "", exitDone},
		{"audit tail", "", exitUsage}, {"audit verify", "", exitUsage}, {"egress log", "", exitUsage}, {"explain 1", "", exitUsage}, {"explain x", "", exitUsage}, {"drill", "", exitDone}, {"drill --skills " + filepath.Join(dir, "nothing"), "", exitUsage},
		{"up --listen 192.0.2.1:1", "", exitUsage}, {"nonsense", "", exitUsage}, {"chat --nonsense", "", exitUsage},
	}
	seen := map[string]bool{}
	for _, c := range cases { // in order: later ones see what earlier ones did
		var out, errs bytes.Buffer
		a := &app{in: strings.NewReader(c.stdin), out: &out, err: &errs}
		args := append(strings.Fields(c.args), "--json", "--state", state)
		if code := a.run(t.Context(), args); code != c.code {
			t.Errorf("%s: exit code %d, want %d: %s%s", c.args, code, c.code, &out, &errs)
			continue
		}
		doc := out.Bytes()
		if c.code != exitDone {
			doc = errs.Bytes()
			var problem struct{ Type, Title, Detail string }
			if err := json.Unmarshal(doc, &problem); err != nil || problem.Detail == "" || problem.Type == "" {
				t.Errorf("%s: stderr is no problem: %s", c.args, doc)
			}
		}
		if !json.Valid(doc) {
			t.Errorf("%s: not one JSON document: %s", c.args, doc)
		}
		if strings.Contains(out.String()+errs.String(), "a-value-of-a-secret") {
			t.Errorf("%s printed a secret", c.args)
		}
		cmd, _, err := a.root().Find(args)
		if err == nil {
			seen[cmd.CommandPath()] = true
		}
	}
	var walk func(*cobra.Command)
	walk = func(cmd *cobra.Command) {
		if !cmd.HasSubCommands() && !seen[cmd.CommandPath()] && cmd.Name() != "help" {
			t.Errorf("%s has no case", cmd.CommandPath())
		}
		for _, sub := range cmd.Commands() {
			walk(sub)
		}
	}
	walk((&app{}).root())
}
