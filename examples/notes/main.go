// Command notes is a skill that keeps notes as Markdown files in its own folder of
// the agent's workspace. It reaches nothing but that folder.
package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/glovebox-dev/glovebox/abi/guest"
)

type addInput struct {
	Text  string   `json:"text" desc:"What to write down, plain text or Markdown" min:"1" max:"100000"`
	Title string   `json:"title,omitempty" desc:"Title of the note; made from the text if absent" max:"120"`
	Tags  []string `json:"tags,omitempty" desc:"Words to file the note under" max:"10"`
}

type listInput struct {
	Tag   string `json:"tag,omitempty" desc:"Only notes with this tag"`
	Limit int    `json:"limit,omitempty" desc:"At most so many notes" min:"1" max:"200" default:"20"`
}

type readInput struct {
	Name string `json:"name" desc:"Name or title of the note; a part that fits one note only will do"`
}

type searchInput struct {
	Query string `json:"query" desc:"Words that must all occur in the note" min:"1" max:"200"`
	Limit int    `json:"limit,omitempty" desc:"At most so many notes" min:"1" max:"50" default:"10"`
}

type deleteInput struct {
	Name string `json:"name" desc:"The note's exact name, as list shows it"`
}

var skill = guest.New(
	guest.Tool("add", "Write down a new note. Use it to note, save, remember or jot down something.", add).Titled("Add a note"),
	guest.Tool("list", "List the notes, the newest first, with names, titles and dates.", list).Titled("List notes"),
	guest.Tool("read", "Show the text of one note by its name or title.", read).Titled("Read a note"),
	guest.Tool("search", "Find notes that contain all of some words, with the lines they stand in.", search).Titled("Search notes"),
	guest.Tool("delete", "Delete one note for good. It cannot be brought back.", remove).Titled("Delete a note"),
)

//go:wasmexport list_tools
func listTools() int32 { return skill.ListTools() }

//go:wasmexport call_tool
func callTool() int32 { return skill.CallTool() }

func main() {}

func add(ctx guest.Context, in addInput) (guest.Result, error) {
	n := note{Title: oneLine(in.Title), Created: ctx.Now(), Text: strings.TrimSpace(in.Text)}
	if n.Text == "" {
		return guest.Error("the text is empty: nothing was written"), nil
	}
	if n.Title == "" {
		n.Title = titleFrom(n.Text)
	}
	for _, t := range in.Tags {
		if t = slug(strings.TrimPrefix(t, "#")); t != "" && !slices.Contains(n.Tags, t) {
			n.Tags = append(n.Tags, t)
		}
	}
	base := slug(n.Title)
	if base == "" {
		base = "note"
	}
	for i := 1; i <= 1000; i++ {
		n.Name = base
		if i > 1 {
			n.Name = fmt.Sprintf("%s-%d", base, i)
		}
		err := ctx.Files().Create(path(n.Name), []byte(n.encode()))
		if guest.HasCode(err, guest.CodeConflict) {
			continue
		}
		if err != nil {
			return guest.Result{}, err
		}
		return guest.Textf("Noted as %q (%s).", n.Title, n.Name).With(map[string]string{"name": n.Name, "title": n.Title})
	}
	return guest.Error("a thousand notes have this title: choose another one"), nil
}

func list(ctx guest.Context, in listInput) (guest.Result, error) {
	notes, err := load(ctx, true)
	if err != nil {
		return guest.Result{}, err
	}
	tag := slug(strings.TrimPrefix(in.Tag, "#"))
	notes = slices.DeleteFunc(notes, func(n note) bool { return tag != "" && !slices.Contains(n.Tags, tag) })
	if len(notes) == 0 {
		return guest.Text("There are no notes" + suffix(" tagged "+tag, tag != "") + " yet."), nil
	}
	limit := or(in.Limit, 20)
	var b strings.Builder
	for i, n := range notes {
		if i == limit {
			fmt.Fprintf(&b, "… and %d more\n", len(notes)-limit)
			break
		}
		fmt.Fprintf(&b, "- %s — %s%s%s\n", n.Name, n.Title, suffix(" · "+n.day(), n.day() != ""), suffix(" · #"+strings.Join(n.Tags, " #"), len(n.Tags) > 0))
	}
	return guest.Markdown(strings.TrimSpace(b.String())), nil
}

func read(ctx guest.Context, in readInput) (guest.Result, error) {
	name, err := find(ctx, in.Name)
	if err != nil {
		return guest.Result{}, err
	}
	data, err := ctx.Files().Read(path(name))
	if err != nil {
		return guest.Result{}, err
	}
	n := decode(name, string(data))
	return guest.Markdown(n.display()), nil
}

func search(ctx guest.Context, in searchInput) (guest.Result, error) {
	notes, err := load(ctx, false)
	if err != nil {
		return guest.Result{}, err
	}
	words := strings.Fields(strings.ToLower(in.Query))
	if len(words) == 0 {
		return guest.Error("the query is empty"), nil
	}
	limit, found := or(in.Limit, 10), 0
	var b strings.Builder
	for _, n := range notes {
		if !n.hasAll(words) {
			continue
		}
		if found++; found > limit {
			continue
		}
		fmt.Fprintf(&b, "- %s — %s\n", n.Name, n.Title)
		for _, line := range n.linesWith(words, 3) {
			fmt.Fprintf(&b, "  > %s\n", line)
		}
	}
	switch {
	case found == 0:
		return guest.Textf("No note contains %s.", strings.Join(words, " and ")), nil
	case found > limit:
		fmt.Fprintf(&b, "… and %d more\n", found-limit)
	}
	return guest.Markdown(strings.TrimSpace(b.String())), nil
}

func remove(ctx guest.Context, in deleteInput) (guest.Result, error) {
	name := strings.TrimSuffix(strings.TrimSpace(in.Name), ".md")
	if name == "" || name != slug(name) {
		return guest.Error(fmt.Sprintf("%q is not the name of a note: list shows the names", in.Name)), nil
	}
	err := ctx.Files().Remove(path(name))
	if guest.HasCode(err, guest.CodeNotFound) {
		return guest.Error(fmt.Sprintf("there is no note named %q: nothing was deleted", name)), nil
	}
	if err != nil {
		return guest.Result{}, err
	}
	return guest.Textf("Deleted %s.", name), nil
}

// find resolves a name, a title or a part of either to the name of one note.
func find(ctx guest.Context, asked string) (string, error) {
	want := slug(strings.TrimSuffix(strings.TrimSpace(asked), ".md"))
	notes, err := load(ctx, true)
	if err != nil {
		return "", err
	}
	var near []string
	for _, n := range notes {
		if n.Name == want {
			return n.Name, nil
		}
		if want != "" && (strings.Contains(n.Name, want) || strings.Contains(slug(n.Title), want)) {
			near = append(near, n.Name)
		}
	}
	switch len(near) {
	case 0:
		return "", fmt.Errorf("there is no note named %q", asked)
	case 1:
		return near[0], nil
	}
	return "", fmt.Errorf("%q fits several notes: %s", asked, strings.Join(near[:min(len(near), 10)], ", "))
}

// load reads all notes, the newest first; headOnly leaves long texts cut.
func load(ctx guest.Context, headOnly bool) ([]note, error) {
	entries, err := ctx.Files().List(mount)
	if guest.HasCode(err, guest.CodeNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var notes []note
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name, ".md")
		if e.Type != "file" || !ok || name != slug(name) {
			continue
		}
		var data []byte
		if headOnly {
			data, _, err = ctx.Files().ReadAt(path(name), 0, 1024)
		} else {
			data, err = ctx.Files().Read(path(name))
		}
		var d *guest.Denied
		if errors.As(err, &d) || guest.HasCode(err, guest.CodeQuota) {
			return nil, err
		}
		if err != nil { // one bad file must not hide the others
			ctx.Log("warn", "a note was not read", "name", name, "error", err.Error())
			continue
		}
		n := decode(name, string(data))
		n.modified = e.MTime
		notes = append(notes, n)
	}
	slices.SortStableFunc(notes, newestFirst)
	return notes, nil
}

func or(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

func suffix(s string, when bool) string {
	if when {
		return s
	}
	return ""
}
