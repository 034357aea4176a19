package host

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/glovebox-dev/glovebox/abi"
	"github.com/glovebox-dev/glovebox/host/agent"
	"github.com/glovebox-dev/glovebox/host/agent/offline"
)

// TestOfflinePlannerFindsTheMemory: among the tools of every example, the words that a
// person uses lead to the three tools of the memory.
func TestOfflinePlannerFindsTheMemory(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("agent/offline/testdata/tools.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []struct {
		Name, Title, Description, About string
		InputSchema                     json.RawMessage
	}
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	var tools []agent.ToolInfo
	for _, x := range list {
		tools = append(tools, agent.ToolInfo{Name: x.Name, Class: abi.ClassRead, Title: x.Title, Description: x.Description, About: x.About, Schema: x.InputSchema})
	}
	for _, s := range memoryTools() {
		tools = append(tools, agent.ToolInfo{Name: s.Ref.String(), Class: s.Descriptor.Effect.Class(), Description: s.Tool.Description, About: s.About, Schema: s.Tool.InputSchema})
	}
	for _, tt := range []struct{ message, want string }{
		{"remember that my dentist is Dr Roe", `memory.store {"text":"my dentist is Dr Roe"}`},
		{"Please remember that the spare key is under the mat", `memory.store {"text":"the spare key is under the mat"}`},
		{"what do you know about my dentist?", `memory.search {"query":"dentist"}`},
		{"what do you remember about the spare key?", `memory.search {"query":"spare key"}`},
		{"recall the spare key", `memory.search {"query":"spare key"}`},
		{"search the memory for dentist", `memory.search {"query":"dentist"}`},
		{"forget memory 12", `memory.forget {"id":12}`},
		{"forget row 12 of the memory", `memory.forget {"id":12}`},
		{"note: buy milk", `notes.add {"text":"buy milk"}`},
		{"search my notes for milk", `notes.search {"query":"milk"}`},
		{"what is 3*(4+5)?", `calc.evaluate {"expression":"3*(4+5)"}`},
	} {
		turn, err := (&offline.Model{}).Next(t.Context(), agent.Prompt{Items: []agent.Item{{Role: agent.RoleUser, Text: tt.message}}, Tools: tools})
		if err != nil {
			t.Fatal(err)
		}
		got := turn.Text
		if len(turn.Calls) == 1 {
			got = turn.Calls[0].Tool + " " + string(turn.Calls[0].Args)
		}
		if got != tt.want {
			t.Errorf("%s\n got  %.200s\n want %s", tt.message, strings.ReplaceAll(got, "\n", " "), tt.want)
		}
	}
}
