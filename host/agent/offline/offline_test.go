package offline

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
)

// installed returns the tools of the example skills, as they describe themselves.
func installed(t testing.TB) []agent.ToolInfo {
	t.Helper()
	data, err := os.ReadFile("testdata/tools.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Name, Class, Title, Description, About string
		InputSchema                            json.RawMessage
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	classes := map[string]abi.Class{"read": abi.ClassRead, "mutate": abi.ClassMutate, "destructive": abi.ClassDestructive}
	var infos []agent.ToolInfo
	for _, x := range list {
		infos = append(infos, agent.ToolInfo{Name: x.Name, Class: classes[x.Class], Title: x.Title, Description: x.Description, About: x.About, Schema: x.InputSchema})
	}
	return infos
}

// A Tuesday.
func noon() time.Time { return time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC) }

func next(t testing.TB, tools []agent.ToolInfo, items ...agent.Item) agent.Turn {
	t.Helper()
	m := &Model{Now: noon}
	turn, err := m.Next(context.Background(), agent.Prompt{Items: items, Tools: tools})
	if err != nil {
		t.Fatal(err)
	}
	return turn
}

func user(text string) agent.Item { return agent.Item{Role: agent.RoleUser, Text: text} }

func render(turn agent.Turn) string {
	var calls []string
	for _, c := range turn.Calls {
		calls = append(calls, c.Tool+" "+string(c.Args))
	}
	if len(calls) == 0 {
		return turn.Text
	}
	return strings.Join(calls, "; ")
}

const ics = "BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nSUMMARY:Stand-up\nEND:VEVENT\nEND:VCALENDAR"

func TestMessagesBecomeCalls(t *testing.T) {
	t.Parallel()
	icsArg, err := json.Marshal(ics)
	if err != nil {
		t.Fatal(err)
	}
	tools := installed(t)
	for _, tt := range []struct{ message, want string }{
		{"summarise this page: http://127.0.0.1:8080/article", `webpage.summary {"url":"http://127.0.0.1:8080/article"}`},
		{"Summarize https://example.org/a?b=c, please.", `webpage.summary {"url":"https://example.org/a?b=c"}`},
		{"can you give me the gist of (https://example.org/x_(y))?", `webpage.summary {"url":"https://example.org/x_(y)"}`},
		{"read https://example.org/", `webpage.read {"url":"https://example.org/"}`},
		{"open example.org/news", `webpage.read {"url":"https://example.org/news"}`},
		{"what does the page https://example.org/ say?", `webpage.read {"url":"https://example.org/"}`},
		{"summarise https://example.org/1 and https://example.org/2", `webpage.summary {"url":"https://example.org/1"}; webpage.summary {"url":"https://example.org/2"}`},
		{"what's new at https://example.org/feed.xml", `feed.digest {"url":"https://example.org/feed.xml"}`},
		{"top 3 headlines from https://example.org/rss", `feed.digest {"limit":3,"url":"https://example.org/rss"}`},
		{"show me the latest 5 entries of the feed at https://example.org/blog", `feed.digest {"limit":5,"url":"https://example.org/blog"}`},
		{"what is 3*(4+5)?", `calc.evaluate {"expression":"3*(4+5)"}`},
		{"calculate 2^10 - 1", `calc.evaluate {"expression":"2^10 - 1"}`},
		{"How much is 12 times 7", `calc.evaluate {"expression":"12 * 7"}`},
		{"what's 15% of 80", `calc.evaluate {"expression":"(15/100*80)"}`},
		{"sqrt(2)*10", `calc.evaluate {"expression":"sqrt(2)*10"}`},
		{"convert 5 miles to km", `units.convert {"from":"miles","to":"km","value":5}`},
		{"what is 72 °F in celsius?", `units.convert {"from":"°F","to":"celsius","value":72}`},
		{"how many km are 1,200.5 miles?", `units.convert {"from":"miles","to":"km","value":1200.5}`},
		{"100 square feet in square meters", `units.convert {"from":"square feet","to":"square meters","value":100}`},
		{"note: buy milk", `notes.add {"text":"buy milk"}`},
		{"Note that I owe Bob 5 euros", `notes.add {"text":"I owe Bob 5 euros"}`},
		{"remember to buy milk", `notes.add {"text":"buy milk"}`},
		{"Remember that my dentist is Dr Roe", `notes.add {"text":"my dentist is Dr Roe"}`},
		{"please remember my wifi is called home", `notes.add {"text":"my wifi is called home"}`},
		{"take a note to call Ana tomorrow", `notes.add {"text":"call Ana tomorrow"}`},
		{"add a note: delete the old list: all of it", `notes.add {"text":"delete the old list: all of it"}`},
		{`add a note titled "Shopping": buy "organic" milk`, `notes.add {"text":"buy \"organic\" milk","title":"Shopping"}`},
		{"jot down: 2+2=5", `notes.add {"text":"2+2=5"}`},
		{"note: read https://example.org/ later", `notes.add {"text":"read https://example.org/ later"}`},
		{"remember the article https://example.org/", `notes.add {"text":"the article https://example.org/"}`},
		{"list my notes", `notes.list {}`},
		{"what notes do I have?", `notes.list {}`},
		{"show all my notes", `notes.list {}`},
		{"search my notes for milk", `notes.search {"query":"milk"}`},
		{`find "oat milk" in my notes`, `notes.search {"query":"oat milk"}`},
		{"read my note about groceries", `notes.read {"name":"groceries"}`},
		{"show the note groceries", `notes.read {"name":"groceries"}`},
		{"delete the note groceries", `notes.delete {"name":"groceries"}`},
		{`remove my note "old ideas" please`, `notes.delete {"name":"old ideas"}`},
		{"run `.items[].name` on this json: {\"items\":[{\"name\":\"a\"}]}", `json.query {"data":{"items":[{"name":"a"}]},"filter":".items[].name"}`},
		{"query `.a` in ```json\n{\"a\": 1}\n```", `json.query {"data":{"a":1},"filter":".a"}`},
		{"format this json: {\"b\":1,\"a\":[1,2]}", `json.format {"data":{"a":[1,2],"b":1}}`},
		{"what is on my calendar tomorrow?", `calendar.agenda {"from":"2026-11-25","to":"2026-11-25"}`},
		{"what's on the agenda this week", `calendar.agenda {"from":"2026-11-23","to":"2026-11-29"}`},
		{"agenda from 2026-12-01 to 2026-12-24", `calendar.agenda {"from":"2026-12-01","to":"2026-12-24"}`},
		{"show the meetings in team.ics on Friday", `calendar.agenda {"from":"2026-11-27","path":"team.ics","to":"2026-11-27"}`},
		{"what meetings are in this calendar?\n```\n" + ics + "\n```", `calendar.agenda {"data":` + string(icsArg) + `}`},
		{"which appointments do I have today? " + ics, `calendar.agenda {"data":` + string(icsArg) + `,"from":"2026-11-24","to":"2026-11-24"}`},
		{"notes.add text=\"from a program\"", `notes.add {"text":"from a program"}`},
		{"webpage.summary sentences=3 https://example.org/", `webpage.summary {"sentences":3,"url":"https://example.org/"}`},
		{"script extract `[0-9]+`: room 12, floor 3", `script.extract {"pattern":"[0-9]+","text":"room 12, floor 3"}`},
		{"make a slug of \"Hello, World\"", `script.slug {"title":"Hello, World"}`},
		{"count the words of https://example.org/", `textstat.fetch_and_analyse {"url":"https://example.org/"}`},
	} {
		if got := render(next(t, tools, user(tt.message))); got != tt.want {
			t.Errorf("%s\n got  %.300s\n want %s", tt.message, got, tt.want)
		}
	}
}

// Tools that nobody here has seen: names and schemas alone must do.
func TestForeignTools(t *testing.T) {
	t.Parallel()
	tool := func(name, desc, schema string) agent.ToolInfo {
		return agent.ToolInfo{Name: name, Class: abi.ClassRead, Description: desc, Schema: json.RawMessage(schema)}
	}
	tools := append(installed(t),
		tool("weather.get_forecast", "Forecast for a city", `{"type":"object","properties":{"city":{"type":"string"},"days":{"type":"integer"},"unit":{"enum":["metric","imperial"]}},"required":["city"]}`),
		tool("hash.hash", "Hashes text with an algorithm", `{"type":"object","properties":{"data":{"type":"string"},"algorithm":{"type":"string","enum":["sha256","md5"]}},"required":["data","algorithm"]}`),
		tool("time.now", "Current time", `{"type":"object","properties":{"timezone":{"type":"string"}}}`),
		tool("crypto-price.price", "Price of a cryptocurrency", `{"type":"object","properties":{"symbol":{"type":"string"}},"required":["symbol"]}`),
		tool("broken.tool", "Has no schema", `{`),
	)
	for _, tt := range []struct{ message, want string }{
		{"what's the weather like in Paris?", `weather.get_forecast {"city":"Paris"}`},
		{"weather forecast for New York in imperial", `weather.get_forecast {"city":"New York in imperial","unit":"imperial"}`},
		{"weather city=Oslo days=3", `weather.get_forecast {"city":"Oslo","days":3}`},
		{"sha256 hash of ```\nabc\n```", `hash.hash {"algorithm":"sha256","data":"abc"}`},
		{"what time is it?", `time.now {}`},
		{"crypto price of \"BTC\"", `crypto-price.price {"symbol":"BTC"}`},
	} {
		if got := render(next(t, tools, user(tt.message))); got != tt.want {
			t.Errorf("%s\n got  %.300s\n want %s", tt.message, got, tt.want)
		}
	}
}

func TestMissingArgumentsAreAskedFor(t *testing.T) {
	t.Parallel()
	tools := installed(t)
	for _, tt := range []struct{ message, tool, arg string }{
		{"summarise this page", "webpage.summary", "url"},
		{"delete a note", "notes.delete", "name"},
		{"delete it from my notes", "notes.delete", "name"},
		{"search my notes", "notes.search", "query"},
		{"add a note", "notes.add", "text"},
		{"convert units", "units.convert", "value"},
		{"calculate something", "calc.evaluate", "expression"},
		{"what's in the feed?", "feed.digest", "url"},
	} {
		turn := next(t, tools, user(tt.message))
		if len(turn.Calls) != 0 || !strings.HasPrefix(turn.Text, questionMark+" to use "+tt.tool+": its "+tt.arg) || !strings.Contains(turn.Text, "For example: ") || !strings.Contains(turn.Text, "not a language model") {
			t.Errorf("%s\n got %s", tt.message, render(turn))
		}
	}
}

func TestAnswerToAQuestionCompletesTheCall(t *testing.T) {
	t.Parallel()
	tools := installed(t)
	for _, tt := range []struct{ first, answer, want string }{
		{"summarise this page", "https://example.org/", `webpage.summary {"url":"https://example.org/"}`},
		{"delete a note", "groceries", `notes.delete {"name":"groceries"}`},
		{"search my notes", "milk", `notes.search {"query":"milk"}`},
		{"add a note", "buy milk", `notes.add {"text":"buy milk"}`},
		{"summarise this page", "list my notes", `notes.list {}`}, // a new wish
	} {
		q := next(t, tools, user(tt.first))
		turn := next(t, tools, user(tt.first), agent.Item{Role: agent.RoleModel, Text: q.Text}, user(tt.answer))
		if got := render(turn); got != tt.want {
			t.Errorf("%s / %s\n got  %s\n want %s", tt.first, tt.answer, got, tt.want)
		}
	}
}

func TestNothingFitsListsWhatCanBeDone(t *testing.T) {
	t.Parallel()
	tools := installed(t)
	for _, message := range []string{
		"hello", "help", "what can you do?", "write me a poem about love", "who is the president of France?", "???", "`", "```", "{", "[", "a: b: c", "delete everything",
		"what's the weather like in Paris", "tell me a joke", strings.Repeat("word ", 10_000),
	} {
		turn := next(t, tools, user(message))
		if len(turn.Calls) != 0 || !strings.HasPrefix(turn.Text, Disclaimer) {
			t.Errorf("%.40q\n got %.300s", message, render(turn))
			continue
		}
		for _, tool := range tools {
			if !strings.Contains(turn.Text, tool.Name) {
				t.Errorf("%s is not listed", tool.Name)
			}
		}
	}
	if turn := next(t, nil, user("hello")); !strings.Contains(turn.Text, "No skill is installed") {
		t.Errorf("without tools: %s", turn.Text)
	}
	if turn := next(t, tools); !strings.HasPrefix(turn.Text, Disclaimer) {
		t.Errorf("without a message: %s", turn.Text)
	}
}

// Each example that the planner offers works when it is typed.
func TestExamplesRouteToTheirTool(t *testing.T) {
	t.Parallel()
	tools := installed(t)
	for _, x := range newToolset(tools).tools {
		turn := next(t, tools, user(example(x)))
		if len(turn.Calls) != 1 || turn.Calls[0].Tool != x.info.Name {
			t.Errorf("%s: %q gave %.200s", x.info.Name, example(x), render(turn))
		}
	}
}

// What cannot be undone is never proposed to who did not ask for it.
func TestDestructiveToolsAreNotGuessed(t *testing.T) {
	t.Parallel()
	tools := installed(t)
	for _, message := range []string{"note: milk", "my note", "notes", "milk in my notes", "remember to delete the old files", "what about the note groceries"} {
		turn := next(t, tools, user(message))
		if strings.Contains(render(turn), "notes.delete {") || strings.Contains(render(turn), "use notes.delete") {
			t.Errorf("%s\n got %s", message, render(turn))
		}
	}
	wipe := agent.ToolInfo{Name: "webpage.wipe", Description: "Looks at a page", Schema: json.RawMessage(`{"properties":{"url":{"type":"string"}},"required":["url"]}`)}
	if turn := next(t, []agent.ToolInfo{wipe}, user("look at https://example.org/")); len(turn.Calls) != 0 {
		t.Errorf("got %s", render(turn))
	}
	if turn := next(t, []agent.ToolInfo{wipe}, user("wipe the page https://example.org/")); len(turn.Calls) != 1 {
		t.Errorf("who asks by name got %s", render(turn))
	}
	// A tool that declares nothing counts as destructive, whatever it says of itself.
	evil := agent.ToolInfo{Name: "helper.anything", Description: strings.Repeat("note summarise page url calculate milk buy ", 80), Schema: json.RawMessage(`{"type":"object"}`)}
	turn := next(t, append(installed(t), evil), user("note: buy milk"))
	if got := render(turn); got != `notes.add {"text":"buy milk"}` {
		t.Errorf("got %s", got)
	}
}

func TestResultsAreQuotedAndDenialsStated(t *testing.T) {
	t.Parallel()
	tools := installed(t)
	call := agent.Item{Role: agent.RoleModel, Calls: []agent.ToolCall{{Tool: "x.y"}}}
	result := func(r agent.Result) agent.Item { return agent.Item{Role: agent.RoleTool, Result: &r} }
	for _, tt := range []struct {
		name string
		res  agent.Result
		want string
	}{
		{"one line", agent.Result{Tool: "calc.evaluate", Ran: true, Data: agent.Quote("calc.evaluate", "27\n")}, "calc.evaluate: 27"},
		{"several lines", agent.Result{Tool: "webpage.read", Ran: true, Data: agent.Quote("webpage.read", "# T\n\nbody")}, "From webpage.read:\n\n> # T\n> \n> body"},
		{"nothing", agent.Result{Tool: "a.b", Ran: true}, "a.b ran and returned nothing."},
		{"an error", agent.Result{Tool: "a.b", Ran: true, IsError: true, Data: agent.Quote("a.b", "no such note")}, "a.b failed:\n\n> no such note"},
		{"an error without words", agent.Result{Tool: "a.b", Ran: true, IsError: true}, "a.b failed and gave no reason."},
		{"a denial", agent.Result{Tool: "a.b", IsError: true, Denied: "tool is not granted (rule gate/not-granted)", Hint: "glovebox skill grant a"}, "I was not allowed to call a.b: tool is not granted (rule gate/not-granted).\nHint: glovebox skill grant a"},
		{"a refusal on the way", agent.Result{Tool: "a.b", Ran: true, Data: agent.Quote("a.b", "partly"), Notes: []string{"denied: egress (rule g.yaml:3)"}}, "a.b: partly\n\nOn the way a.b was refused: denied: egress (rule g.yaml:3)"},
	} {
		turn := next(t, tools, user("go"), call, result(tt.res))
		if want := tt.want + "\n\n(" + Disclaimer + ")"; turn.Text != want || len(turn.Calls) != 0 {
			t.Errorf("%s\n got  %q\n want %q", tt.name, turn.Text, want)
		}
		turn = next(t, tools, user("before"), agent.Item{Role: agent.RoleModel, Text: "hi"}, user("go"), call, result(tt.res))
		if turn.Text != tt.want {
			t.Errorf("%s: the introduction is repeated: %q", tt.name, turn.Text)
		}
	}
}

// The same prompt always gives the same answer.
func TestDeterministic(t *testing.T) {
	t.Parallel()
	tools := installed(t)
	for _, message := range []string{"show note", "read page", "convert json", "notes", "list search read"} {
		first := render(next(t, tools, user(message)))
		for range 20 {
			if again := render(next(t, tools, user(message))); again != first {
				t.Fatalf("%s: %s and %s", message, first, again)
			}
		}
	}
}

// FuzzPlan: no message and no descriptor make the planner panic, call a tool that is
// not installed, or write arguments that are not one JSON object.
func FuzzPlan(f *testing.F) {
	tools := installed(f)
	for _, m := range []string{"note: buy milk", "what is 3*(4+5)?", "convert 5 miles to km", "query `a` in {\"a\":1}", ics, "summarise http://a.b/c)", "\"'“«`", "5 ° in °", "text=\"", "from=1 to=2 value=3"} {
		f.Add(m, `{"properties":{"from":{"type":"string"},"to":{"type":"string"},"value":{"type":"number"}},"required":["value"]}`)
	}
	f.Fuzz(func(t *testing.T, message, schema string) {
		all := append(tools[:len(tools):len(tools)], agent.ToolInfo{Name: "fuzz.tool", Class: abi.ClassRead, Description: message, Schema: json.RawMessage(schema)})
		for _, c := range next(t, all, user(message)).Calls {
			var args map[string]any
			if err := json.Unmarshal(c.Args, &args); err != nil {
				t.Fatalf("%q: arguments %q: %v", message, c.Args, err)
			}
			known := false
			for _, tool := range all {
				known = known || tool.Name == c.Tool
			}
			if !known {
				t.Fatalf("%q called %q", message, c.Tool)
			}
		}
	})
}

func BenchmarkNext(b *testing.B) {
	var tools []agent.ToolInfo
	for i := range 10 {
		for _, t := range installed(b) {
			t.Name = fmt.Sprintf("s%d-%s", i, t.Name)
			tools = append(tools, t)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		next(b, tools, user("summarise this page: https://example.org/"))
	}
}
