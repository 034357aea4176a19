package broker

import (
	"fmt"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// Names of the fixed rules, as guests, audit and documentation spell them.
const (
	ruleNotGranted = "egress/not-granted"     // no right for the origin
	ruleMethod     = "egress/method"          // the origin is granted, the method is not
	rulePath       = "egress/path"            // origin and method are granted, the path is not
	rulePort       = "egress/port"            // a URL of an argument with a port other than 80 and 443
	rulePrivate    = "egress/private"         // loopback, private or local: needs the operator
	ruleSpecial    = "egress/special-purpose" // link-local, metadata, reserved …: never
	ruleSelf       = "egress/own-listener"    // the daemon's own door: never
	ruleURL        = "egress/url"             // not a URL that can be judged
	ruleHeader     = "egress/header"          // a header that a guest may not set, or a malformed one
	ruleRequest    = "egress/request"         // another malformed part of a request
	ruleRedirect   = "egress/redirect"        // too many hops, or a hop that cannot be followed
	ruleEncoding   = "egress/encoding"        // a body in a coding that cannot be searched for secrets
	ruleProtocol   = "egress/protocol"        // HTTP/2, WebSocket and others where they are not permitted
	ruleOwnAuth    = "egress/own-credentials" // of a box, where the broker's or none belong
	ruleMisuse     = "secret/misuse"          // a placeholder outside its position or audience
	ruleUngranted  = "secret/not-granted"     // a secret that the skill does not hold
	ruleMissing    = "secret/missing"         // granted, and nothing is stored under its name
	ruleLeak       = "secret/leak"            // a stored value in what a guest wants to send
	ruleRecorded   = "recorded/unmatched"     // a test without an answer for this request
)

const (
	capHTTP    = "http"
	capSecrets = "secrets"
)

func denied(rule, format string, args ...any) *abi.Problem {
	return &abi.Problem{Code: abi.CodeDenied, Capability: capHTTP, Rule: rule, Message: fmt.Sprintf(format, args...)}
}

func invalid(rule, format string, args ...any) *abi.Problem {
	return &abi.Problem{Code: abi.CodeInvalid, Capability: capHTTP, Rule: rule, Message: fmt.Sprintf(format, args...)}
}

func misuse(name abi.SecretName, format string, args ...any) *abi.Problem {
	return &abi.Problem{
		Code: abi.CodeDenied, Capability: capSecrets, Rule: ruleMisuse,
		Message: fmt.Sprintf("secret %s: ", name) + fmt.Sprintf(format, args...),
	}
}

// tooLarge names the limit that was passed.
func tooLarge(what, limit string, max int64) *abi.Problem {
	return &abi.Problem{
		Code: abi.CodeTooLarge, Capability: capHTTP, Rule: limit,
		Message: fmt.Sprintf("%s exceeds %s %s", what, limit, size(max)),
	}
}

func size(n int64) string {
	switch {
	case n >= abi.MiB && n%abi.MiB == 0:
		return fmt.Sprintf("%d MiB", n/abi.MiB)
	case n >= abi.KiB && n%abi.KiB == 0:
		return fmt.Sprintf("%d KiB", n/abi.KiB)
	}
	return fmt.Sprintf("%d B", n)
}

// notGranted is the denial of an origin, with the command that would grant it.
func notGranted(skill abi.SkillName, rights abi.Rights, o abi.Origin) *abi.Problem {
	p := denied(ruleNotGranted, "%s is not granted to skill %s", o, skill)
	p.Hint = "glovebox skill grant " + word(string(skill)) + " --http " + word(rights.HTTPFlag(o))
	return p
}

// blockedProblem is the denial of an address or a local name. It names the origin
// that the guest asked for and never what it resolved to.
func blockedProblem(rule string, skill abi.SkillName, o abi.Origin) *abi.Problem {
	switch rule {
	case rulePrivate:
		p := denied(rule, "%s is a private or local address, which is not open to skill %s", o, skill)
		p.Hint = allowHint(skill, o)
		return p
	case ruleSelf:
		return denied(rule, "%s is glovebox itself, which no skill can reach", o)
	}
	return denied(ruleSpecial, "%s is a special-purpose address, which no skill can reach", o)
}

// word quotes s for a shell where it needs to be.
func word(s string) string {
	plain := strings.IndexFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:/-", r))
	}) < 0
	if plain && s != "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// allowHint is the command that opens an origin to a skill.
func allowHint(skill abi.SkillName, o abi.Origin) string {
	return "glovebox egress allow " + word(string(o)) + " --skill " + word(string(skill))
}
