package abi

import (
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// Check accepts a need of exactly one kind of destination.
func (h HTTPNeed) Check() error {
	if err := checkDestination(h.Origin, h.Argument); err != nil {
		return err
	}
	return errors.Join(checkRequests(h.Methods, h.Paths, h.MaxResponse), checkWhy(h.Why))
}

func checkDestination(origin OriginPattern, argument string) error {
	switch {
	case origin == "" && argument == "":
		return fieldErrorf("origin", "missing; give origin, or argument for the origin of the URL in an argument of the call")
	case origin != "" && argument != "":
		return fieldErrorf("argument", "give either origin or argument")
	case argument != "" && !identRE.MatchString(argument):
		return fieldErrorf("argument", "%q; want the name of an argument", clip(argument))
	}
	return nil
}

func checkRequests(methods, paths []string, size Size) error {
	if len(methods) == 0 {
		return fieldErrorf("methods", "empty; name each, such as [GET]")
	}
	if len(paths) == 0 {
		return fieldErrorf("paths", `empty; write ["/**"] for all`)
	}
	if len(methods) > maxEntries || len(paths) > maxEntries {
		return fieldErrorf("paths", "more than %d entries", maxEntries)
	}
	for i, m := range methods {
		if !methodRE.MatchString(m) || m == "CONNECT" || m == "TRACE" || m == "TRACK" {
			return fieldErrorf(fmt.Sprintf("methods[%d]", i), "%q; want a method in upper case such as GET (CONNECT and TRACE are never sent)", clip(m))
		}
	}
	for i, p := range paths {
		if err := checkPathPattern(p); err != nil {
			return &FieldError{fmt.Sprintf("paths[%d]", i), err}
		}
	}
	return checkSize("max_response", size, MaxLimits().HTTPResponse)
}

func checkSize(path string, size Size, most int64) error {
	if size < 0 || int64(size) > most {
		return fieldErrorf(path, "%s exceeds the ceiling of %s", size, Size(most))
	}
	return nil
}

func checkWhy(why string) error {
	if err := checkText(why); err != nil {
		return &FieldError{"why", err}
	}
	return nil
}

// Check accepts a secret with exact origins and one position.
func (s SecretNeed) Check() error {
	if len(s.Only) == 0 || len(s.Only) > maxEntries {
		return fieldErrorf("only", "want 1 to %d exact origins", maxEntries)
	}
	for i, o := range s.Only {
		if o.Scheme() != "https" && !o.loopback() {
			return fieldErrorf(fmt.Sprintf("only[%d]", i), "%s; a secret travels over https, or over http to a loopback address", o)
		}
	}
	return checkWhy(s.Why)
}

// Check accepts exactly one position.
func (s InjectSpec) Check() error {
	kinds := 0
	for _, set := range []bool{s.Bearer, s.Header != "", s.Query != "", s.Basic != ""} {
		if set {
			kinds++
		}
	}
	switch {
	case kinds != 1:
		return errors.New("want exactly one of bearer: true, header, query and basic")
	case s.Format != "" && s.Header == "":
		return fieldErrorf("format", "belongs to header")
	case s.Format != "" && (strings.Count(s.Format, "{}") != 1 || !printableASCII(s.Format, 128)):
		return fieldErrorf("format", "%q; want printable text with exactly one {}", clip(s.Format))
	case s.Header != "" && !injectable(s.Header):
		return fieldErrorf("header", "%q cannot carry a secret", clip(s.Header))
	case s.Query != "" && !identRE.MatchString(s.Query):
		return fieldErrorf("query", "%q; want the name of a parameter", clip(s.Query))
	case s.Basic != "" && (strings.Contains(s.Basic, ":") || !printableASCII(s.Basic, 128)):
		return fieldErrorf("basic", "%q; want a user name without a colon", clip(s.Basic))
	}
	return nil
}

func printableASCII(s string, most int) bool {
	return len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}

// injectable refuses the headers that steer the connection or its routing.
func injectable(header string) bool {
	h := strings.ToLower(header)
	switch h {
	case "host", "connection", "content-length", "content-type", "transfer-encoding", "upgrade", "te", "trailer",
		"keep-alive", "expect", "cookie", "set-cookie", "range", "origin", "referer", "via", "forwarded":
		return false
	}
	return headerRE.MatchString(header) && !strings.HasPrefix(h, "proxy-") && !strings.HasPrefix(h, "sec-") && !strings.HasPrefix(h, "x-forwarded-")
}

// Injection returns the position that the broker understands.
func (s InjectSpec) Injection() Injection {
	switch {
	case s.Bearer:
		return Injection{Kind: InjectBearer}
	case s.Header != "":
		return Injection{Kind: InjectHeader, Name: s.Header, Format: s.Format}
	case s.Query != "":
		return Injection{Kind: InjectQuery, Name: s.Query}
	case s.Basic != "":
		return Injection{Kind: InjectBasic, User: s.Basic}
	}
	return Injection{}
}

// Check accepts ro and rw.
func (a Access) Check() error { return oneOf(string(a), string(AccessRead), string(AccessWrite)) }

// Check accepts a mount of one segment.
func (f FileNeed) Check() error {
	if err := checkMount(f.Mount, f.Access, f.MaxBytes); err != nil {
		return err
	}
	if f.Root != "" && f.Root != "workspace" {
		return fieldErrorf("root", `%q; want "workspace": a host path stands only in the grant`, clip(f.Root))
	}
	return checkWhy(f.Why)
}

func checkMount(mount string, access Access, size Size) error {
	switch {
	case !mountRE.MatchString(mount) || path.Clean(mount) != mount:
		return fieldErrorf("mount", "%q; want a slash and one name, such as /data", clip(mount))
	case access == AccessRead && size != 0:
		return fieldErrorf("max_bytes", "nothing is stored below a mount with access ro")
	case size < 0:
		return fieldErrorf("max_bytes", "negative")
	}
	return nil
}

// Check accepts a store within the ceiling.
func (k KVNeed) Check() error {
	if k.Scope != "" && k.Scope != "agent" {
		return &FieldError{"scope", notEnforced("keys are kept per skill and agent")}
	}
	return errors.Join(checkSize("max_bytes", k.MaxBytes, MaxLimits().KVBytes), checkWhy(k.Why))
}

// Check accepts a key with a default of its type.
func (c ConfigNeed) Check() error {
	if !identRE.MatchString(c.Key) {
		return fieldErrorf("key", "%q; want a letter, then at most 63 of A-Z a-z 0-9 _ . -", clip(c.Key))
	}
	if c.Type != "" {
		if err := oneOf(c.Type, "string", "integer", "number", "boolean"); err != nil {
			return &FieldError{"type", err}
		}
	}
	if c.Default != nil {
		if err := c.accepts(*c.Default); err != nil {
			return &FieldError{"default", err}
		}
	}
	return checkWhy(c.Why)
}

// accepts reports whether value is a value of the key's type.
func (c ConfigNeed) accepts(value string) error {
	var err error
	switch c.Type {
	case "integer":
		_, err = strconv.ParseInt(value, 10, 64)
	case "number":
		_, err = strconv.ParseFloat(value, 64)
	case "boolean":
		err = oneOf(value, "true", "false")
	}
	if err != nil {
		return fmt.Errorf("%q; want the text of a value of type %s", clip(value), c.Type)
	}
	return checkText(value)
}

// Check accepts ask: true.
func (h HumanNeed) Check() error {
	if !h.Ask {
		return fieldErrorf("ask", "false asks for nothing; remove needs.human")
	}
	return checkWhy(h.Why)
}
