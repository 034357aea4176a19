package server

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	sdk "github.com/modelcontextprotocol/go-sdk/mcp"
)

// skillsExtension is SEP-2640.
const skillsExtension = "io.modelcontextprotocol/skills"

// Bounds of one skill (SEP-2640: what a host must accept, and a server should keep).
const (
	maxSkillFiles = 512
	maxSkillBytes = 16 << 20
	skillTTL      = 60_000 // milliseconds that an entry holds
)

// Shelf has the skills to be served: verified bundles, asked for at each request.
type Shelf interface {
	Skills(ctx context.Context, client ClientID) ([]Skill, error)
	// Read returns a file of a skill, of which the shelf has checked the digest.
	Read(ctx context.Context, skill abi.SkillName, file string) ([]byte, error)
}

// Skill is one bundle with all its files.
type Skill struct {
	Name        abi.SkillName
	Frontmatter map[string]any // of SKILL.md, as it is there
	Files       []File         // SKILL.md among them
}

// File is one file of a skill.
type File struct {
	Path   string // below the skill's folder, slashes
	Digest abi.Digest
	Size   int64
}

type skillEntry struct {
	URI         string         `json:"uri"`
	Frontmatter map[string]any `json:"frontmatter"`
	Resources   []skillFile    `json:"resources"`
}

type skillFile struct {
	URI    string     `json:"uri"`
	Digest abi.Digest `json:"digest"`
	Size   int64      `json:"size"`
}

const skillFileName = "SKILL.md"

// skillRoot is the folder of all skills that are served.
const skillRoot = "skill://glovebox/"

func skillURI(name abi.SkillName, file string) string { return skillRoot + string(name) + "/" + file }

// entry describes a skill that can be served.
func (s Skill) entry() (skillEntry, error) {
	if err := s.Name.Check(); err != nil {
		return skillEntry{}, err
	}
	if s.Frontmatter["name"] != string(s.Name) {
		return skillEntry{}, fmt.Errorf("its %s has another name", skillFileName)
	}
	e := skillEntry{URI: skillURI(s.Name, skillFileName), Frontmatter: s.Frontmatter}
	size, own := int64(0), false
	for _, f := range s.Files {
		if path.Clean("/"+f.Path) != "/"+f.Path || !fileRE.MatchString(f.Path) {
			return skillEntry{}, fmt.Errorf("file %q has no plain path", f.Path)
		}
		own = own || f.Path == skillFileName
		size += f.Size
		e.Resources = append(e.Resources, skillFile{skillURI(s.Name, f.Path), f.Digest, f.Size})
	}
	switch {
	case !own:
		return skillEntry{}, fmt.Errorf("it has no %s", skillFileName)
	case len(s.Files) > maxSkillFiles || size > maxSkillBytes:
		return skillEntry{}, fmt.Errorf("%d files of %d bytes exceed the limits", len(s.Files), size)
	}
	slices.SortFunc(e.Resources, func(a, b skillFile) int { return strings.Compare(a.URI, b.URI) })
	return e, nil
}

var fileRE = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.@+-]*(/[A-Za-z0-9_][A-Za-z0-9_.@+-]*)*$`)

type skillsListParams struct {
	sdk.ParamsBase
	Cursor string `json:"cursor,omitempty"`
}

type skillsListResult struct {
	sdk.ResultBase
	ResultType string       `json:"resultType"` // the SDK adds it to its own results only
	Skills     []skillEntry `json:"skills"`
	TTLMs      int          `json:"ttlMs"`
	CacheScope string       `json:"cacheScope"`
}

type skillsGetParams struct {
	sdk.ParamsBase
	URI string `json:"uri"`
}

type skillsGetResult struct {
	sdk.ResultBase
	ResultType string     `json:"resultType"`
	Skill      skillEntry `json:"skill"`
	TTLMs      int        `json:"ttlMs"`
	CacheScope string     `json:"cacheScope"`
}

func declareSkills(c *sdk.ServerCapabilities) {
	c.Resources = &sdk.ResourceCapabilities{}
	c.AddExtension(skillsExtension, map[string]any{"directoryRead": true})
}

// serveSkills adds skills/list, skills/get and the files as resources.
func (d *door) serveSkills() error {
	if err := sdk.AddReceivingCustomMethod(d.server, "skills/list", func(ctx context.Context, _ *sdk.ServerSession, p *skillsListParams) (*skillsListResult, error) {
		if p != nil && p.Cursor != "" {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "there is one page"}
		}
		all, err := d.skills(ctx)
		if err != nil {
			return nil, err
		}
		return &skillsListResult{ResultType: "complete", Skills: all, TTLMs: skillTTL, CacheScope: "private"}, nil
	}); err != nil {
		return err
	}
	if err := sdk.AddReceivingCustomMethod(d.server, "skills/get", func(ctx context.Context, _ *sdk.ServerSession, p *skillsGetParams) (*skillsGetResult, error) {
		all, err := d.skills(ctx)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(all, func(e skillEntry) bool { return p != nil && e.URI == p.URI })
		if i < 0 {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "no such skill"}
		}
		return &skillsGetResult{ResultType: "complete", Skill: all[i], TTLMs: skillTTL, CacheScope: "private"}, nil
	}); err != nil {
		return err
	}
	if err := sdk.AddReceivingCustomMethod(d.server, "resources/directory/read", d.directory); err != nil {
		return err
	}
	d.server.AddResourceTemplate(&sdk.ResourceTemplate{Name: "skill-file", URITemplate: skillRoot + "{+path}", Description: "A file of an installed skill."}, d.file)
	return nil
}

type directoryParams struct {
	sdk.ParamsBase
	URI    string `json:"uri"`
	Cursor string `json:"cursor,omitempty"`
}

type directoryResult struct {
	sdk.ResultBase
	ResultType string          `json:"resultType"`
	Resources  []*sdk.Resource `json:"resources"`
	TTLMs      int             `json:"ttlMs"`
	CacheScope string          `json:"cacheScope"`
}

// directory lists the direct children of a skill's folder, which are those of its entry.
func (d *door) directory(ctx context.Context, _ *sdk.ServerSession, p *directoryParams) (*directoryResult, error) {
	all, err := d.skills(ctx)
	if err != nil {
		return nil, err
	}
	none := &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: "no such directory"}
	if p == nil || p.Cursor != "" || !strings.HasPrefix(p.URI+"/", skillRoot) {
		return nil, none
	}
	res := &directoryResult{ResultType: "complete", TTLMs: skillTTL, CacheScope: "private"}
	folder, folders := strings.TrimSuffix(p.URI, "/")+"/", map[string]bool{}
	for _, e := range all {
		for _, f := range e.Resources {
			rest, ok := strings.CutPrefix(f.URI, folder)
			if !ok {
				continue
			}
			name, _, deeper := strings.Cut(rest, "/")
			switch {
			case !deeper:
				res.Resources = append(res.Resources, &sdk.Resource{URI: f.URI, Name: name, MIMEType: mimeOf(name), Size: f.Size})
			case !folders[name]:
				folders[name] = true
				res.Resources = append(res.Resources, &sdk.Resource{URI: folder + name, Name: name, MIMEType: "inode/directory"})
			}
		}
	}
	if len(res.Resources) == 0 {
		return nil, none
	}
	return res, nil
}

// skills lists the entries that can be served; one that cannot is left out.
func (d *door) skills(ctx context.Context) ([]skillEntry, error) {
	list, err := d.cfg.Skills.Skills(ctx, d.client)
	if err != nil {
		return nil, d.internal("list skills", err)
	}
	entries := []skillEntry{}
	for _, s := range list {
		e, err := s.entry()
		if err != nil {
			d.cfg.Log.Warn("skill is not served", "skill", string(s.Name), "err", err)
			continue
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// addSkills puts each SKILL.md into a list of resources.
func (d *door) addSkills(ctx context.Context, list *sdk.ListResourcesResult) error {
	all, err := d.skills(ctx)
	for _, e := range all {
		name, _ := e.Frontmatter["name"].(string)
		description, _ := e.Frontmatter["description"].(string)
		list.Resources = append(list.Resources, &sdk.Resource{URI: e.URI, Name: name, Description: description, MIMEType: mimeOf(skillFileName)})
	}
	return err
}

// file reads one file that an entry lists, and checks that it is still that one.
func (d *door) file(ctx context.Context, req *sdk.ReadResourceRequest) (*sdk.ReadResourceResult, error) {
	uri := req.Params.URI
	rest, ok := strings.CutPrefix(uri, skillRoot)
	name, file, found := strings.Cut(rest, "/")
	if !ok || !found {
		return nil, sdk.ResourceNotFoundError(uri)
	}
	all, err := d.skills(ctx)
	if err != nil {
		return nil, err
	}
	for _, e := range all {
		i := slices.IndexFunc(e.Resources, func(f skillFile) bool { return f.URI == uri })
		if i < 0 {
			continue
		}
		text, err := d.cfg.Skills.Read(ctx, abi.SkillName(name), file)
		if err != nil {
			return nil, d.internal("read the file", err)
		}
		if int64(len(text)) != e.Resources[i].Size || abi.DigestOf(text) != e.Resources[i].Digest {
			return nil, d.internal("read the file", fmt.Errorf("%s is not what its skill lists", uri))
		}
		return &sdk.ReadResourceResult{Contents: []*sdk.ResourceContents{contents(uri, file, text)}}, nil
	}
	return nil, sdk.ResourceNotFoundError(uri)
}

func contents(uri, file string, text []byte) *sdk.ResourceContents {
	c := &sdk.ResourceContents{URI: uri, MIMEType: mimeOf(file)}
	if utf8.Valid(text) && (strings.HasPrefix(c.MIMEType, "text/") || c.MIMEType == "application/json") {
		c.Text = string(text)
	} else {
		c.Blob = text
	}
	return c
}

// mimeOf knows the kinds of files that skills have, the same on each machine.
func mimeOf(file string) string {
	switch path.Ext(file) {
	case ".md":
		return "text/markdown"
	case ".json":
		return "application/json"
	case ".yaml", ".yml", ".txt", ".csv":
		return "text/plain"
	case ".wasm":
		return "application/wasm"
	}
	return "application/octet-stream"
}
