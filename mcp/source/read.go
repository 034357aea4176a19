package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/mcp/reason"
)

// MaxFile bounds a file that is imported, in bytes.
const MaxFile = 1 << 20

// Read reads server.json or an object with mcpServers (or VS Code's servers). as is the
// name to give to the one server in the file; "" takes the file's own.
func Read(text []byte, as abi.SkillName) ([]Server, error) {
	if len(text) > MaxFile {
		return nil, refuse(reason.Oversize, "", "the file has more than %d bytes", MaxFile)
	}
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\uFEFF")))
	if err := abi.CheckJSON(text, 32); err != nil {
		return nil, &reason.Refusal{Reason: reason.Config, What: "the file is no JSON", Err: err}
	}
	var top map[string]json.RawMessage
	if err := json.Unmarshal(text, &top); err != nil {
		return nil, refuse(reason.Config, "", "the file is no JSON object")
	}
	var list []Server
	var err error
	switch {
	case top["mcpServers"] != nil:
		list, err = readClient(top["mcpServers"])
	case top["servers"] != nil:
		list, err = readClient(top["servers"])
	case top["packages"] != nil || top["remotes"] != nil:
		var s Server
		s, err = readRegistry(text)
		list = []Server{s}
	default:
		return nil, refuse(reason.Config, "", "the file is neither server.json nor an object with mcpServers")
	}
	if err != nil {
		return nil, err
	}
	if as != "" {
		if len(list) != 1 {
			return nil, refuse(reason.Config, "leave --as out", "the file has %d servers, and one name was given", len(list))
		}
		list[0].Name = as
	}
	for _, s := range list {
		if err := s.Check(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// decode is strict: a key that is not understood is named.
func decode(text json.RawMessage, v any, what string) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &reason.Refusal{Reason: reason.Config, What: what + " says what cannot be kept here", Err: errors.New(strings.TrimPrefix(err.Error(), "json: "))}
	}
	return nil
}

// clientServer is one entry of mcpServers, as the common clients write it.
type clientServer struct {
	Type        string            `json:"type"`
	Command     string            `json:"command"`
	Args        []string          `json:"args"`
	Env         map[string]string `json:"env"`
	URL         string            `json:"url"`
	Headers     map[string]string `json:"headers"`
	Description json.RawMessage   `json:"description"` // for people
	Disabled    bool              `json:"disabled"`
	AutoApprove []json.RawMessage `json:"autoApprove"`
	AlwaysAllow []json.RawMessage `json:"alwaysAllow"`
}

func readClient(text json.RawMessage) ([]Server, error) {
	var entries map[string]json.RawMessage
	if err := decode(text, &entries, "mcpServers"); err != nil {
		return nil, err
	}
	var list []Server
	for _, label := range slices.Sorted(maps.Keys(entries)) {
		var c clientServer
		if err := decode(entries[label], &c, fmt.Sprintf("server %.80q", label)); err != nil {
			return nil, err
		}
		if c.Disabled {
			continue
		}
		s, err := c.server(label)
		if err != nil {
			return nil, fmt.Errorf("server %.80q: %w", label, err)
		}
		list = append(list, s)
	}
	if len(list) == 0 {
		return nil, refuse(reason.Config, "", "the file has no server")
	}
	return list, nil
}

func (c clientServer) server(label string) (Server, error) {
	s := Server{Name: nameOf(label), Env: variables(c.Env)}
	switch {
	case len(c.AutoApprove)+len(c.AlwaysAllow) > 0:
		return s, refuse(reason.Config, "take it out; glovebox explain has the rules of approvals", "it has calls approved in advance")
	case c.Command != "" && c.URL == "" && (c.Type == "" || c.Type == "stdio") && len(c.Headers) == 0:
		var err error
		s.Package, s.Binary, s.Args, err = Command(append([]string{c.Command}, c.Args...))
		return s, err
	case c.Command == "" && c.URL != "" && (c.Type == "" || c.Type == "http" || c.Type == "streamable-http" || c.Type == "streamableHttp") && len(c.Args)+len(c.Env) == 0:
		s.Remote = &Remote{URL: c.URL, Headers: variables(c.Headers)}
		return s, nil
	}
	return s, refuse(reason.Config, "", "it is neither a command nor an address over streamable HTTP")
}

// registryFile is server.json (schema 2025-12-11), without the fields for people.
type registryFile struct {
	Name     string `json:"name"`
	Version  string `json:"version"`
	Packages []struct {
		RegistryType    string            `json:"registryType"`
		RegistryBaseURL string            `json:"registryBaseUrl"`
		Identifier      string            `json:"identifier"`
		Version         string            `json:"version"`
		FileSHA256      string            `json:"fileSha256"`
		RuntimeHint     string            `json:"runtimeHint"`
		RuntimeArgs     []registryInput   `json:"runtimeArguments"`
		PackageArgs     []registryInput   `json:"packageArguments"`
		Env             []registryInput   `json:"environmentVariables"`
		Transport       registryTransport `json:"transport"`
	} `json:"packages"`
	Remotes []registryTransport `json:"remotes"`

	Schema      json.RawMessage `json:"$schema"`
	Title       json.RawMessage `json:"title"`
	Description json.RawMessage `json:"description"`
	Repository  json.RawMessage `json:"repository"`
	Website     json.RawMessage `json:"websiteUrl"`
	Icons       json.RawMessage `json:"icons"`
	Meta        json.RawMessage `json:"_meta"`
}

type registryTransport struct {
	Type      string          `json:"type"`
	URL       string          `json:"url"`
	Headers   []registryInput `json:"headers"`
	Variables json.RawMessage `json:"variables"`
}

// registryInput is a fixed value, or one that somebody has to give.
type registryInput struct {
	Type     string `json:"type"`
	Name     string `json:"name"`
	Value    string `json:"value"`
	Default  string `json:"default"`
	Required bool   `json:"isRequired"`
	Secret   bool   `json:"isSecret"`
	Repeated bool   `json:"isRepeated"`

	Hint        json.RawMessage `json:"valueHint"`
	Placeholder json.RawMessage `json:"placeholder"`
	Description json.RawMessage `json:"description"`
	Format      json.RawMessage `json:"format"`
	Choices     json.RawMessage `json:"choices"`
	Variables   json.RawMessage `json:"variables"`
}

func readRegistry(text []byte) (Server, error) {
	var f registryFile
	if err := decode(text, &f, "server.json"); err != nil {
		return Server{}, err
	}
	_, short, ok := strings.Cut(f.Name, "/")
	if !ok {
		return Server{}, refuse(reason.Config, "", "server.json names no NAMESPACE/NAME")
	}
	s := Server{Name: nameOf(short)}
	for _, p := range f.Packages {
		if p.RegistryType != string(NPM) && p.RegistryType != string(PyPI) || p.Transport.Type != "stdio" {
			continue
		}
		if p.RegistryBaseURL != "" && p.RegistryBaseURL != "https://registry.npmjs.org" && p.RegistryBaseURL != "https://pypi.org" {
			return s, refuse(reason.Config, "", "package %.80q comes from a registry of its own, %.120q", p.Identifier, p.RegistryBaseURL)
		}
		if len(p.RuntimeArgs) > 0 {
			return s, refuse(reason.Config, "", "package %.80q has arguments for its runtime", p.Identifier)
		}
		s.Package = &Package{Registry: Registry(p.RegistryType), Name: p.Identifier, Version: p.Version}
		var err error
		if s.Args, err = arguments(p.PackageArgs); err != nil {
			return s, err
		}
		s.Env, err = values(p.Env)
		return s, err
	}
	for _, r := range f.Remotes {
		if r.Type != "streamable-http" {
			continue
		}
		headers, err := values(r.Headers)
		s.Remote = &Remote{URL: r.URL, Headers: headers}
		return s, err
	}
	return s, refuse(reason.Launcher, "", "server.json has no package of npm or pypi for stdio, and no address for streamable HTTP")
}

func arguments(inputs []registryInput) ([]string, error) {
	var args []string
	for _, in := range inputs {
		v, set, err := in.fixed()
		if err != nil {
			return nil, err
		}
		switch {
		case in.Type == "named" && in.Name != "" && set:
			args = append(args, in.Name, v)
		case in.Type == "positional" && set:
			args = append(args, v)
		case in.Required:
			return nil, refuse(reason.Config, "write its value into a copy of the file", "an argument has no value")
		}
	}
	return args, nil
}

func values(inputs []registryInput) ([]Variable, error) {
	var list []Variable
	for _, in := range inputs {
		v, set, err := in.fixed()
		switch {
		case err != nil:
			return nil, err
		case in.Secret && set && !holderRE.MatchString(v):
			return nil, refuse(reason.Config, "write {{secret:NAME}} there", "the secret %.80q stands in the file", in.Name)
		case !set && in.Secret && in.Required:
			list = append(list, Variable{in.Name, "{{secret:" + strings.ToLower(strings.ReplaceAll(in.Name, "_", "-")) + "}}"})
		case !set && in.Required:
			return nil, refuse(reason.Config, "write its value into a copy of the file", "%.80q has no value", in.Name)
		case set:
			list = append(list, Variable{in.Name, v})
		}
	}
	return list, nil
}

// fixed returns the value that stands in the file. What is to be put together from
// variables has none.
func (in registryInput) fixed() (value string, set bool, err error) {
	if in.Repeated || len(in.Variables) > 0 {
		return "", false, refuse(reason.Config, "write its value into a copy of the file", "the value of %.80q is to be put together", in.Name)
	}
	value = in.Value
	if value == "" {
		value = in.Default
	}
	return value, value != "", nil
}

// nameOf makes a label of a name that others chose; Check judges it.
func nameOf(label string) abi.SkillName {
	return abi.SkillName(strings.Trim(strings.NewReplacer("_", "-", " ", "-", ".", "-").Replace(strings.ToLower(label)), "-"))
}

func variables(m map[string]string) []Variable {
	var list []Variable
	for _, name := range slices.Sorted(maps.Keys(m)) {
		list = append(list, Variable{name, m[name]})
	}
	return list
}
