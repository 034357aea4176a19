//go:build gitleaks

package leaks

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

const (
	digits = "0123456789"
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	hexes  = digits + "abcdef"
)

// noise returns n letters of alphabet, the same for the same name.
func noise(name, alphabet string, n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s %d", name, i))
		for _, c := range sum {
			if b.Len() < n {
				b.WriteByte(alphabet[int(c)%len(alphabet)])
			}
		}
	}
	return b.String()
}

// fakes are secrets of known kinds by the rule that finds them. They are put together
// here, so that no file holds one.
func fakes() map[string]string {
	word := digits + lower + upper
	return map[string]string{
		"github-pat":                    "ghp" + "_" + noise("github", word, 36),
		"gitlab-pat":                    "glpat" + "-" + noise("gitlab", word, 20),
		"aws-access-token":              "AKIA" + noise("aws", upper+"234567", 16),
		"stripe-access-token":           "sk" + "_live_" + noise("stripe", word, 24),
		"gcp-api-key":                   "AIza" + noise("gcp", word, 35),
		"npm-access-token":              "npm" + "_" + noise("npm", lower+digits, 36),
		"sendgrid-api-token":            "SG" + "." + noise("sendgrid", lower+digits, 66),
		"slack-bot-token":               "xoxb" + "-" + noise("slack", "123456789", 12) + "-" + noise("slack2", "123456789", 12) + "-" + noise("slack3", word, 24),
		"digitalocean-pat":              "dop" + "_v1_" + noise("do", hexes, 64),
		"shopify-access-token":          "shpat" + "_" + noise("shopify", hexes, 32),
		"huggingface-access-token":      "hf" + "_" + noise("hf", lower, 34),
		"anthropic-api-key":             "sk" + "-ant-api03-" + noise("anthropic", word, 93) + "AA",
		"age-secret-key":                "AGE-SECRET" + "-KEY-1" + noise("age", "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58),
		"private-key":                   "-----BEGIN " + "PRIVATE KEY-----\n" + noise("pem", word, 64) + "\n" + noise("pem2", word, 64) + "\n-----END " + "PRIVATE KEY-----",
		"pulumi-api-token":              "pul" + "-" + noise("pulumi", hexes, 40),
		"databricks-api-token":          "dapi" + noise("databricks", hexes, 32),
		"grafana-service-account-token": "glsa" + "_" + noise("grafana", word, 32) + "_" + noise("grafana2", hexes, 8),
	}
}

func TestKnownKindsAreFound(t *testing.T) {
	t.Parallel()
	s := New()
	for rule, secret := range fakes() {
		spelled := map[string]string{"plain": secret, "base64": base64.StdEncoding.EncodeToString([]byte("the key " + secret + " of mine"))}
		for form, text := range spelled {
			for _, frame := range []string{"my key is %s thanks", "first line\nmy key is %s thanks", "a\nb\n%s", "%s # gitleaks" + ":allow", "again %[1]s and %[1]s"} {
				before, after, _ := strings.Cut(frame, "%s")
				line := fmt.Sprintf(frame, text)
				look := s.Find(line)
				if len(look.Hints) == 0 || look.Unread != 0 {
					if form == "plain" {
						t.Errorf("%s in %q: %+v", rule, frame, look)
					}
					continue
				}
				if form == "plain" && look.Hints[0].Rule != rule {
					t.Errorf("%s is called %s", rule, look.Hints[0].Rule)
				}
				if strings.Contains(fmt.Sprintf("%+v", look), secret) {
					t.Errorf("%s: its value is in the hint", rule)
				}
				out := s.Hide(line)
				if strings.Contains(out, secret) || strings.Contains(out, text) || strings.Contains(out, secret[len(secret)-8:]) || !strings.Contains(out, "[hidden: ") {
					t.Errorf("%s as %s: %q", rule, form, out)
				}
				if form == "plain" && strings.Count(frame, "%") == 1 && (!strings.HasPrefix(out, before) || !strings.HasSuffix(out, after)) {
					t.Errorf("%s: what stands around it is altered: %q", rule, out)
				}
			}
		}
	}
}

func TestEncodedKindsAreFound(t *testing.T) {
	t.Parallel()
	s, found, total := New(), 0, 0
	for rule, secret := range fakes() {
		for form, text := range map[string]string{
			"base64": base64.StdEncoding.EncodeToString([]byte(secret)), "hex": hex.EncodeToString([]byte(secret)),
			"base64 twice": base64.StdEncoding.EncodeToString([]byte(base64.StdEncoding.EncodeToString([]byte(secret)))),
		} {
			total++
			if line := "look: " + text + " end"; s.Hide(line) != line {
				found++
				if strings.Contains(s.Hide(line), text) {
					t.Errorf("%s as %s: found and not hidden", rule, form)
				}
			}
		}
	}
	if found*2 < total { // the reference measured about 70 %
		t.Errorf("%d of %d are found", found, total)
	}
	t.Logf("%d of %d encoded secrets are found", found, total)
}

func TestWhatIsBehindTheLimitIsHiddenAndCounted(t *testing.T) {
	t.Parallel()
	s, secret := New(), fakes()["github-pat"]
	text := strings.Repeat("word ", Limit/5) + strings.Repeat(" ", Limit%5) + secret
	if look := s.Find(text); look.Unread != len(secret) || len(look.Hints) != 0 {
		t.Errorf("%+v", look)
	}
	if out := s.Hide(text); strings.Contains(out, secret) || !strings.HasSuffix(out, fmt.Sprintf("[hidden: %d bytes that were not looked at]", len(secret))) {
		t.Errorf("ends with %q", out[Limit:])
	}
}

// TestBenignTextIsUnaltered: what a log holds is digests, identifiers, words and addresses.
func TestBenignTextIsUnaltered(t *testing.T) {
	t.Parallel()
	s, total, altered := New(), 0, 0
	for i := range 400 {
		sum := sha256.Sum256(fmt.Appendf(nil, "benign %d", i))
		d := hex.EncodeToString(sum[:])
		for _, text := range []string{
			d, "sha256:" + d, base64.StdEncoding.EncodeToString(sum[:]), noise(d, upper+"234567", 26), d[:8] + "-" + d[8:12] + "-" + d[12:16] + "-" + d[16:20] + "-" + d[20:32],
			"skill calc@1.2.3 has the digest sha256:" + d, "every call asks from now on", "set the Authorization header to Bearer <your token>, see {{secret:NAME}}",
			"https://example.org/" + d[:12] + "/page?n=" + fmt.Sprint(i), "glovebox secret set NAME", "[secret:gh]", "/var/lib/glovebox/skills/" + d[:12] + "/skill.wasm",
			fmt.Sprintf("the module %s cannot be compiled: 12 pages, limit %d", d, i), `{"expression":"3*(4+5)","id":"` + d[:20] + `"}`,
		} {
			total++
			if out := s.Hide(text); out != text {
				altered++
				t.Logf("%q", out)
			}
		}
	}
	if altered*1000 >= total {
		t.Errorf("%d of %d texts altered; want less than 0.1 %%", altered, total)
	}
}

type texter string

func (x texter) MarshalText() ([]byte, error) { return []byte(x), nil }

func TestNoLogHoldsAFoundSecret(t *testing.T) {
	t.Parallel()
	secret := fakes()["github-pat"]
	var text, doc bytes.Buffer
	for _, next := range []slog.Handler{slog.NewTextHandler(&text, nil), slog.NewJSONHandler(&doc, nil)} {
		log := slog.New(Handler(next, New()))
		log = log.With("with", "k "+secret).WithGroup("g")
		log.Info("pasted "+secret, "s", secret, "err", fmt.Errorf("wrapped: %w", errors.New(secret)), "b", []byte(secret),
			"m", map[string]string{"a": secret}, "t", texter(secret), slog.Group("in", "s", secret), "n", 7, "ok", "kept")
	}
	for _, out := range []string{text.String(), doc.String()} {
		if strings.Contains(out, secret) || strings.Count(out, "[hidden: github-pat]") < 7 || !strings.Contains(out, "kept") {
			t.Errorf("%s", out)
		}
	}
}

func TestScannersAreSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	shared, secret := New(), fakes()["github-pat"]
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if len(shared.Find("a "+secret).Hints) != 1 || len(New().Find("a "+secret).Hints) != 1 {
				t.Error("not found")
			}
		})
	}
	all.Wait()
}

func BenchmarkHideLine(b *testing.B) {
	s, line := New(), "skill calc@1.2.3 has the digest sha256:"+noise("d", hexes, 64)
	s.Hide(line)
	b.SetBytes(int64(len(line)))
	for b.Loop() {
		s.Hide(line)
	}
}
