package proxy

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/glovebox-dev/glovebox/abi"
)

// Names of the rules of this package, as the record and documentation spell them.
const (
	ruleNotGranted = "egress/not-granted" // no right for the name and port of a CONNECT
	ruleConnect    = "egress/connect"     // something else than CONNECT on the socket
	ruleName       = "egress/name"        // another name in the handshake or the Host header than in CONNECT
	ruleRequest    = "egress/request"     // a request that could be read in two ways, or is too large
	ruleProtocol   = "egress/protocol"    // a protocol that is not permitted there
	ruleQuota      = "egress/quota"       // what the box may send, receive or ask is spent
	ruleCut        = "egress/cut"         // stored values were met twice: nothing leaves any more
	rulePeer       = "egress/peer"        // a process of another user on the socket
)

const capHTTP = "http"

func malformed(format string, args ...any) *abi.Problem {
	return &abi.Problem{Code: abi.CodeInvalid, Capability: capHTTP, Rule: ruleRequest, Message: fmt.Sprintf(format, args...)}
}

func denied(rule, format string, args ...any) *abi.Problem {
	return &abi.Problem{Code: abi.CodeDenied, Capability: capHTTP, Rule: rule, Message: fmt.Sprintf(format, args...)}
}

func spent(what string) *abi.Problem {
	return &abi.Problem{Code: abi.CodeQuota, Capability: capHTTP, Rule: ruleQuota, Message: "this box may not " + what + " more"}
}

// problemOf returns the problem in err, nil if err is that of a connection.
func problemOf(err error) *abi.Problem {
	var p *abi.Problem
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// status is how a refusal looks in HTTP.
func status(p *abi.Problem) int {
	switch p.Code {
	case abi.CodeInvalid:
		return http.StatusBadRequest
	case abi.CodeTooLarge:
		if p.RequestSent {
			return http.StatusBadGateway
		}
		return http.StatusRequestEntityTooLarge
	case abi.CodeQuota:
		return http.StatusTooManyRequests
	case abi.CodeNetwork:
		return http.StatusBadGateway
	case abi.CodeTimeout:
		return http.StatusGatewayTimeout
	case abi.CodeUnavailable, abi.CodeInternal:
		return http.StatusServiceUnavailable
	}
	return http.StatusForbidden
}

// body is what a program in the box reads of a refusal.
func body(p *abi.Problem) []byte {
	word := "egress denied"
	if p.Code == abi.CodeNetwork || p.Code == abi.CodeTimeout {
		word = "egress failed"
	}
	doc, err := json.Marshal(struct {
		Error  string `json:"error"`
		Reason string `json:"reason"`
		Rule   string `json:"rule,omitempty"`
		Hint   string `json:"hint,omitempty"`
	}{word, p.Message, p.Rule, p.Hint})
	if err != nil {
		return []byte(`{"error":"egress denied"}`)
	}
	return append(doc, '\n')
}
