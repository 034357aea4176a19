package importer

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"

	"github.com/glovebox-dev/glovebox/abi"
)

// parse reads a configuration; name is what the skill is called if it does not say.
func parse(f Format, name string, data []byte) ([]*Skill, error) {
	tree, err := parseTree(data)
	if err != nil {
		return nil, err
	}
	top, ok := tree.(map[string]any)
	if !ok {
		return nil, errors.New("the file holds no mapping")
	}
	var list []*Skill
	switch f {
	case Extism:
		list = []*Skill{extism(name, top)}
	case HyperMCP:
		list = hyperMCP(top)
	case MCPRun:
		list = mcpRun(name, top)
	case Wassette:
		list = []*Skill{wassette(name, top)}
	default:
		return nil, fmt.Errorf("there is no format %q", f)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("the file holds nothing of the format %s", f)
	}
	seen := map[abi.SkillName]bool{}
	for _, s := range list {
		if seen[s.Manifest.Name] {
			return nil, fmt.Errorf("two skills would be named %q", s.Manifest.Name)
		}
		seen[s.Manifest.Name] = true
		if err := s.finish(); err != nil {
			return nil, err
		}
	}
	return list, nil
}

// extism reads https://extism.org/docs/concepts/manifest.
func extism(name string, top map[string]any) *Skill {
	s := newSkill(Extism, name)
	o := s.in("", top)
	modules := o.list("wasm")
	if len(modules) > 1 {
		s.leave("wasm", "%d modules are linked, and a skill is one", len(modules))
	}
	if len(modules) == 1 {
		m := s.in("wasm[0]", modules[0])
		m.ignore("name")
		s.from("wasm[0].path", m.text("path"))
		s.from("wasm[0].url", m.text("url"))
		s.sha256 = m.text("hash")
		m.drop("the module is not taken out of the text: put it beside the file and name its path", "data")
		m.drop("nothing is fetched", "headers", "method")
		m.rest()
	}
	s.hosts("allowed_hosts", o.list("allowed_hosts"))
	paths := o.object("allowed_paths")
	for _, host := range paths.keys() {
		guest, access := paths.text(host), abi.AccessWrite
		folder, readOnly := strings.CutPrefix(host, "ro:")
		if readOnly {
			access = abi.AccessRead
		}
		s.mount(paths.at(host), folder, guest, access)
	}
	config := o.object("config")
	for _, key := range config.keys() {
		s.setting(config.at(key), key, config.take(key))
	}
	memory := o.object("memory")
	if n, ok := memory.number("max_pages"); ok {
		s.memory("memory.max_pages", min(n, 1<<32)*64*abi.KiB)
	}
	if n, ok := memory.number("max_http_response_bytes"); ok {
		if size := s.size("memory.max_http_response_bytes", n, abi.MaxLimits().HTTPResponse); size != nil {
			for i := range s.Manifest.Needs.HTTP {
				s.Manifest.Needs.HTTP[i].MaxResponse = *size
			}
		}
	}
	if n, ok := memory.number("max_var_bytes"); ok {
		s.Manifest.Limits.Vars = s.size("memory.max_var_bytes", n, abi.MaxLimits().Vars)
	}
	memory.rest()
	if n, ok := o.number("timeout_ms"); ok {
		s.wall("timeout_ms", n)
	}
	o.rest()
	return s
}

// hyperMCP reads https://github.com/hyper-mcp-rs/hyper-mcp/blob/main/RUNTIME_CONFIG.md, whose
// plugins were a list once.
func hyperMCP(top map[string]any) []*Skill {
	var list []*Skill
	add := func(at, name string, v any) {
		s := newSkill(HyperMCP, name)
		s.plugin(s.in(at, v))
		list = append(list, s)
	}
	switch plugins := top["plugins"].(type) {
	case map[string]any:
		keys := (&object{m: plugins}).keys()
		for _, name := range keys {
			add("plugins."+strconv.Quote(name), name, plugins[name])
		}
	case []any:
		for i, v := range plugins {
			entry, _ := v.(map[string]any)
			name, _ := entry["name"].(string)
			add("plugins["+strconv.Itoa(i)+"]", name, v)
		}
	}
	if len(list) > 0 { // what is said for all of them is told once
		o := &object{s: list[0], m: top, taken: []string{"plugins"}}
		o.drop("credentials are not copied: the broker holds them", "auths")
		o.rest()
	}
	return list
}

func (s *Skill) plugin(o *object) {
	o.ignore("name")
	s.from(o.at("path"), o.text("path"))
	s.from(o.at("url"), o.text("url"))
	c := o.object("runtime_config")
	s.hosts(c.at("allowed_hosts"), c.list("allowed_hosts"))
	for i, v := range c.list("allowed_paths") {
		text, _ := v.(string)
		host, guest, mapped := strings.Cut(text, ":")
		if !mapped {
			guest = host
		}
		s.mount(c.at("allowed_paths")+"["+strconv.Itoa(i)+"]", host, guest, abi.AccessWrite)
	}
	env := c.object("env_vars")
	for _, key := range env.keys() {
		s.setting(env.at(key), key, env.take(key))
	}
	if size := c.text("memory_limit"); size != "" {
		s.quantity(c.at("memory_limit"), size)
	}
	c.drop("secrets are stored with \"glovebox secret set\" and bound to origins under needs.secrets", "allowed_secrets")
	c.drop("what a skill offers is not cut down here: deny the tools by a rule", "skip_tools", "skip_prompts", "skip_resources", "skip_resource_templates")
	c.rest()
	o.rest()
}

// quantity asks for memory in the notation of Kubernetes, such as 256Mi.
func (s *Skill) quantity(key, text string) {
	size, err := abi.ParseSize(strings.TrimSuffix(text, "B") + "B")
	if err != nil {
		s.leave(key, "%.40q is no size", text)
		return
	}
	s.memory(key, int64(size))
}

// mcpRun reads the installations of a profile of mcp.run, one of them, or the settings of one.
func mcpRun(name string, top map[string]any) []*Skill {
	installs, ok := top["installs"].([]any)
	if !ok {
		installs = []any{top}
	}
	var list []*Skill
	for i, v := range installs {
		entry, _ := v.(map[string]any)
		called, ok := entry["name"].(string)
		if !ok {
			called = name
		}
		at := ""
		if len(installs) > 1 || top["installs"] != nil {
			at = "installs[" + strconv.Itoa(i) + "]"
		}
		s := newSkill(MCPRun, called)
		s.Manifest.ABI = abi.ProfileMCPv1 // call and describe
		s.install(s.in(at, entry))
		list = append(list, s)
	}
	return list
}

func (s *Skill) install(o *object) {
	settings := o
	if o.m["settings"] != nil {
		settings = o.object("settings")
		o.ignore("name", "created_at", "modified_at")
		o.drop("mcp.run's address is no digest of the module, and nothing is fetched: put the module into the folder as skill.wasm", "binding")
		servlet := o.object("servlet")
		meta, _ := servlet.take("meta").(map[string]any)
		if text, ok := meta["description"].(string); ok {
			s.describe(servlet.at("meta")+".description", text)
		}
		o.rest()
	}
	config := settings.object("config")
	for _, key := range config.keys() {
		s.setting(config.at(key), key, config.take(key))
	}
	p := settings.object("permissions")
	network := p.object("network")
	if network.take("enabled") != false {
		s.hosts(network.at("domains"), network.list("domains"))
	}
	network.ignore("domains", "required")
	network.rest()
	files := p.object("filesystem")
	if files.take("enabled") != false {
		volumes := files.object("volumes")
		for _, guest := range volumes.keys() {
			s.mount(volumes.at(guest), volumes.text(guest), path.Base(guest), abi.AccessWrite)
		}
	}
	files.ignore("volumes", "required")
	files.rest()
	p.rest()
	if settings != o {
		settings.rest()
		return
	}
	settings.ignore("name")
	settings.rest()
}

// wassette reads https://github.com/microsoft/policy-mcp.
func wassette(name string, top map[string]any) *Skill {
	s := newSkill(Wassette, name)
	s.leave("module", "wassette runs components (wasip2), and this host core modules: compile the skill for wasip1")
	o := s.in("", top)
	o.ignore("version")
	if text := o.text("description"); text != "" {
		s.describe("description", text)
	}
	p := o.object("permissions")
	storage := p.object("storage")
	for i, v := range storage.list("allow") {
		e := s.in(fmt.Sprintf("%s[%d]", storage.at("allow"), i), v)
		uri, access := e.text("uri"), abi.AccessRead
		for _, a := range e.list("access") {
			if a == "write" {
				access = abi.AccessWrite
			}
		}
		folder := strings.TrimRight(strings.TrimPrefix(uri, "fs://"), "*/")
		s.mount(e.at("uri"), folder, path.Base("/"+folder), access)
		e.rest()
	}
	storage.rest()
	network := p.object("network")
	var hosts []any
	for i, v := range network.list("allow") {
		e := s.in(fmt.Sprintf("%s[%d]", network.at("allow"), i), v)
		if host := e.take("host"); host != nil {
			hosts = append(hosts, host)
		}
		e.drop("a range of addresses names no origin", "cidr")
		e.drop("a list that wassette keeps names no origins here", "defaults")
		e.rest()
	}
	s.hosts(network.at("allow"), hosts)
	network.rest()
	env := p.object("environment")
	for i, v := range env.list("allow") {
		e := s.in(fmt.Sprintf("%s[%d]", env.at("allow"), i), v)
		s.setting(e.at("key"), e.text("key"), e.take("value"))
		e.rest()
	}
	env.rest()
	limits := p.object("resources").object("limits")
	switch memory := limits.take("memory").(type) {
	case string:
		s.quantity(limits.at("memory"), memory)
	case json.Number: // MB
		n, err := memory.Int64()
		if err != nil || n < 0 || n > 1<<32 {
			n = 0
		}
		s.memory(limits.at("memory"), n*abi.MiB)
	}
	limits.rest()
	p.ignore("resources")
	p.rest()
	o.rest()
	return s
}
