package broker

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/internal/redact"
)

// secretSource is where values come from: the vault, or placeholders in a recording.
type secretSource interface {
	current(ctx context.Context) (secretSet, error)
}

// secretSet is the secrets at the time of one request.
type secretSet interface {
	get(r abi.SecretRight) (Secret, bool)
	known() *redact.Matcher // nil knows none
}

var placeholderRE = regexp.MustCompile(`\{\{secret:([^{}]{0,200})\}\}`)

const placeholderStart = "{{secret:"

// injection writes secrets into one hop of a request.
type injection struct {
	rights abi.Rights
	origin abi.Origin
	secure bool // https, or an origin that the operator opened
	set    secretSet
	used   []abi.SecretRight
}

// value returns the value of name after checking that this skill holds it for this
// origin.
func (in *injection) value(name abi.SecretName) (abi.SecretRight, string, *abi.Problem) {
	r, ok := secretRight(in.rights, name)
	if !ok {
		return r, "", &abi.Problem{
			Code: abi.CodeDenied, Capability: capSecrets, Rule: ruleUngranted,
			Message: "a secret that the request names is not granted to this skill",
		}
	}
	if !slices.Contains(r.Only, in.origin) {
		return r, "", misuse(name, "it is bound to other origins than %s", in.origin)
	}
	if !in.secure {
		return r, "", misuse(name, "it is sent over https only, and %s is not", in.origin)
	}
	s, ok := in.set.get(r)
	if !ok {
		return r, "", &abi.Problem{
			Code: abi.CodeNotFound, Capability: capSecrets, Rule: ruleMissing,
			Message: "secret " + string(name) + " is granted and no value is stored for it",
			Hint:    "glovebox secret set " + word(string(r.Store)),
		}
	}
	in.used = append(in.used, r)
	return r, s.value(), nil
}

// headers returns guest with the placeholders in granted positions replaced. A
// placeholder anywhere else is an error.
func (in *injection) headers(guest http.Header) (http.Header, *abi.Problem) {
	out := http.Header{}
	for key, values := range guest {
		if strings.Contains(key, "{{") {
			return nil, invalid(ruleHeader, "a header name cannot hold a placeholder")
		}
		for _, v := range values {
			name, plain, ok := placeholderOf(v)
			if !ok {
				out[key] = append(out[key], v)
				continue
			}
			r, value, p := in.value(name)
			if p != nil {
				return nil, p
			}
			full, p := in.field(r, value)
			if p != nil {
				return nil, p
			}
			if key != headerOf(r.Inject) || !accepts(r, plain) {
				return nil, misuse(name, "it is allowed as %s only", position(r.Inject))
			}
			out[key] = append(out[key], full)
		}
	}
	return out, nil
}

// placeholderOf returns the secret that the header value v names and v as text: v
// itself, or what a plugin put into HTTP basic authentication.
func placeholderOf(v string) (abi.SecretName, string, bool) {
	if scheme, rest, ok := strings.Cut(v, " "); ok && strings.EqualFold(scheme, "basic") {
		if b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest)); err == nil {
			v = string(b)
		}
	}
	for _, form := range decodings(v) {
		if m := placeholderRE.FindStringSubmatch(form); m != nil {
			return abi.SecretName(m[1]), v, true
		}
		if strings.Contains(form, placeholderStart) {
			return "", v, true // a broken one: never granted
		}
	}
	return "", v, false
}

// accepts reports whether text is the placeholder of r as its position wants it: bare,
// or with what goes around it already in place.
func accepts(r abi.SecretRight, text string) bool {
	ph := r.Name.Placeholder()
	if text == ph {
		return true
	}
	switch r.Inject.Kind {
	case abi.InjectBearer:
		scheme, rest, ok := strings.Cut(text, " ")
		return ok && strings.EqualFold(scheme, "bearer") && rest == ph
	case abi.InjectHeader:
		return text == strings.Replace(formatOf(r.Inject), "{}", ph, 1)
	case abi.InjectBasic:
		return text == r.Inject.User+":"+ph || text == "Basic "+ph
	case abi.InjectNone, abi.InjectQuery:
	}
	return false
}

func formatOf(i abi.Injection) string {
	if i.Format == "" {
		return "{}"
	}
	return i.Format
}

// headerOf returns the canonical name of the header that i writes, "" for none.
func headerOf(i abi.Injection) string {
	switch i.Kind {
	case abi.InjectBearer, abi.InjectBasic:
		return "Authorization"
	case abi.InjectHeader:
		return http.CanonicalHeaderKey(i.Name)
	case abi.InjectNone, abi.InjectQuery:
	}
	return ""
}

func position(i abi.Injection) string {
	if i.Kind == abi.InjectQuery {
		return "query parameter " + i.Name
	}
	return "header " + strings.ToLower(headerOf(i))
}

// field returns the header value that carries value.
func (in *injection) field(r abi.SecretRight, value string) (string, *abi.Problem) {
	full := ""
	switch r.Inject.Kind {
	case abi.InjectBearer:
		full = "Bearer " + value
	case abi.InjectHeader:
		full = strings.Replace(formatOf(r.Inject), "{}", value, 1)
	case abi.InjectBasic:
		full = "Basic " + base64.StdEncoding.EncodeToString([]byte(r.Inject.User+":"+value))
	case abi.InjectQuery, abi.InjectNone:
		return "", misuse(r.Name, "it is allowed as %s only", position(r.Inject))
	}
	key := headerOf(r.Inject)
	if !token(key) || forbidden[key] || strings.HasPrefix(key, "Proxy-") || !fieldValue(full) || strings.TrimSpace(full) != full {
		return "", &abi.Problem{
			Code: abi.CodeInvalid, Capability: capSecrets, Rule: ruleHeader,
			Message: "secret " + string(r.Name) + " holds a character that " + position(r.Inject) + " cannot carry, such as a line end",
			Hint:    "glovebox secret set " + word(string(r.Store)),
		}
	}
	return full, nil
}

// query returns the escaped query with the placeholders in granted parameters
// replaced; all other bytes stay as they were judged.
func (in *injection) query(q string) (string, *abi.Problem) {
	if !strings.Contains(allDecoded(q), placeholderStart) {
		return q, nil
	}
	pairs := strings.Split(q, "&")
	for i, pair := range pairs {
		if !strings.Contains(allDecoded(pair), placeholderStart) {
			continue
		}
		rawKey, rawValue, _ := strings.Cut(pair, "=")
		key, kerr := url.QueryUnescape(rawKey)
		text, verr := url.QueryUnescape(rawValue)
		m := placeholderRE.FindStringSubmatch(text)
		if kerr != nil || verr != nil || m == nil || m[0] != text {
			return "", &abi.Problem{
				Code: abi.CodeDenied, Capability: capSecrets, Rule: ruleMisuse,
				Message: "a placeholder in a URL is the whole value of its query parameter, and stands nowhere else",
			}
		}
		r, value, p := in.value(abi.SecretName(m[1]))
		if p != nil {
			return "", p
		}
		if r.Inject.Kind != abi.InjectQuery || r.Inject.Name != key {
			return "", misuse(r.Name, "it is allowed as %s only", position(r.Inject))
		}
		pairs[i] = rawKey + "=" + url.QueryEscape(value)
	}
	return strings.Join(pairs, "&"), nil
}

// auth adds the secret that a request names outright.
func (in *injection) auth(name abi.SecretName, right abi.HTTPRight, h http.Header, query string, first bool) (string, *abi.Problem) {
	if name == "" {
		return query, nil
	}
	if right.Auth != "" && right.Auth != name {
		return "", misuse(name, "the grant of %s names another one", in.origin)
	}
	r, value, p := in.value(name)
	if p != nil {
		return "", p
	}
	if r.Inject.Kind == abi.InjectQuery {
		if !first { // the server's Location is complete
			return query, nil
		}
		for pair := range strings.SplitSeq(query, "&") {
			raw, _, _ := strings.Cut(pair, "=")
			if key, err := url.QueryUnescape(raw); err != nil || key == r.Inject.Name {
				return "", invalid(ruleRequest, "auth sets %s, which the request has too", position(r.Inject))
			}
		}
		if query != "" {
			query += "&"
		}
		return query + url.QueryEscape(r.Inject.Name) + "=" + url.QueryEscape(value), nil
	}
	full, p := in.field(r, value)
	if p != nil {
		return "", p
	}
	key := headerOf(r.Inject)
	if _, taken := h[key]; taken {
		return "", invalid(ruleRequest, "auth sets %s, which the request has too", position(r.Inject))
	}
	h.Set(key, full)
	return query, nil
}

// strayPlaceholder finds a placeholder of one of the skill's secrets in bytes where
// none is ever replaced, a path or a body.
func strayPlaceholder(rights abi.Rights, text string) (abi.SecretName, bool) {
	if !strings.Contains(text, "secret") {
		return "", false
	}
	for _, r := range rights.Secrets {
		ph := r.Name.Placeholder()
		for _, form := range []string{ph, url.QueryEscape(ph), url.PathEscape(ph)} {
			if strings.Contains(text, form) || strings.Contains(text, strings.ToLower(form)) {
				return r.Name, true
			}
		}
	}
	return "", false
}

// decodings returns s and what percent-decoding makes of it, up to three times.
func decodings(s string) []string {
	out := []string{s}
	for range 3 {
		next := unescape(s)
		if next == s {
			break
		}
		out = append(out, next)
		s = next
	}
	return out
}

// unescape decodes the percent triplets of s and leaves what is none as it is.
func unescape(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if c, err := hex.DecodeString(s[i+1 : i+3]); err == nil {
				b.WriteByte(c[0])
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func allDecoded(s string) string {
	d := decodings(s)
	return d[len(d)-1]
}
