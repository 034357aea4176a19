package abi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestCheckJSON(t *testing.T) {
	t.Parallel()
	for _, ok := range []string{
		`null`, ` true `, `0`, `-0.5e+10`, `""`, `"\u00e9\ud83d\ude00\"\\\/\b\f\n\r\t"`, `[]`, `{}`, `[[],{}]`, `{"a":{"a":[1,{"a":2}]},"b":[]}`, "\t[1 , 2]\n",
	} {
		if err := CheckJSON([]byte(ok), 8); err != nil {
			t.Errorf("%s: %v", ok, err)
		}
	}
	for in, want := range map[string]error{
		``: ErrJSONSyntax, ` `: ErrJSONSyntax, `{`: ErrJSONSyntax, `[1,]`: ErrJSONSyntax, `[1 2]`: ErrJSONSyntax, `{"a"}`: ErrJSONSyntax, `{"a":}`: ErrJSONSyntax, `{"a":1,}`: ErrJSONSyntax,
		`{a:1}`: ErrJSONSyntax, `{1:1}`: ErrJSONSyntax, `[}`: ErrJSONSyntax, `{]`: ErrJSONSyntax, `[1}`: ErrJSONSyntax, `1 2`: ErrJSONSyntax, `nul`: ErrJSONSyntax, `NaN`: ErrJSONSyntax, `01`: ErrJSONSyntax,
		`+1`: ErrJSONSyntax, `1.`: ErrJSONSyntax, `.5`: ErrJSONSyntax, `1e`: ErrJSONSyntax, `-`: ErrJSONSyntax, `"`: ErrJSONSyntax, "\"\n\"": ErrJSONSyntax, `"\x"`: ErrJSONSyntax, `"\u12"`: ErrJSONSyntax, `"\`: ErrJSONSyntax,
		"\"\xff\"": ErrJSONSyntax, "\xef\xbb\xbf1": ErrJSONSyntax, `'a'`: ErrJSONSyntax, `// c`: ErrJSONSyntax, "1\x00": ErrJSONSyntax,
		`{"a":1,"a":2}`: ErrJSONDuplicate, `{"a":1,"\u0061":2}`: ErrJSONDuplicate, `[{"a":{"b":1,"b":1}}]`: ErrJSONDuplicate, manyKeys(40, true): ErrJSONDuplicate,
		strings.Repeat("[", 9) + strings.Repeat("]", 9): ErrJSONDepth, strings.Repeat(`{"a":`, 9): ErrJSONDepth,
	} {
		if err := CheckJSON([]byte(in), 8); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", in, err, want)
		}
	}
	if err := CheckJSON([]byte(manyKeys(1000, false)), 1); err != nil {
		t.Error(err)
	}
	if err := CheckJSON([]byte(strings.Repeat("[", 8)+strings.Repeat("]", 8)), 8); err != nil {
		t.Errorf("exactly at the limit: %v", err)
	}
}

func manyKeys(n int, dup bool) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":1`, i)
	}
	if dup {
		b.WriteString(`,"k3":1`)
	}
	return "{" + b.String()[1:] + "}"
}

func TestDepthOfJSONCostsNothing(t *testing.T) {
	for _, n := range []int{65, 10_000, 10_000_000} {
		for name, in := range map[string][]byte{
			"lists":   bytes.Repeat([]byte("["), n),
			"objects": bytes.Repeat([]byte(`{"a":`), n),
			"closed":  append(bytes.Repeat([]byte("["), n), bytes.Repeat([]byte("]"), n)...),
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := DecodeTools(in)
			_, err2 := DecodeCallResult(in, 1<<40)
			runtime.ReadMemStats(&after)
			if !errors.Is(err, ErrJSONDepth) || !errors.Is(err2, ErrJSONDepth) || !errors.Is(err, ErrAnswer) {
				t.Errorf("%d %s: %v, %v", n, name, err, err2)
			}
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 256*KiB {
				t.Errorf("%d %s: allocated %d bytes", n, name, grown)
			}
		}
	}
}

func FuzzCheckJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,-0.5e3,"\u00e9",null,true,false]}`, `[[[]]]`, `{"a":1,"a":2}`, `"\ud800"`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		err := CheckJSON(b, MaxJSONDepth)
		switch valid := json.Valid(b) && utf8.Valid(b); {
		case err == nil && !valid:
			t.Errorf("accepts %q", b)
		case errors.Is(err, ErrJSONSyntax) && valid:
			t.Errorf("refuses %q: %v", b, err)
		}
	})
}

func TestDecodeTools(t *testing.T) {
	t.Parallel()
	tools, err := DecodeTools([]byte(`{"tools":[
		{"name":"a","title":"A","description":"does a","inputSchema":{"type":"object","properties":{"x":{"type":"number","maximum":1e400}}},"annotations":["anything"],"_meta":5},
		{"name":"b","title":null,"inputSchema":null,"outputSchema":{"type":"object"}},
		{"name":"c"}],"nextCursor":null,"extra":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := `[{"name":"a","title":"A","description":"does a","inputSchema":{"type":"object","properties":{"x":{"type":"number","maximum":1e400}}}},` +
		`{"name":"b","inputSchema":{"type":"object"},"outputSchema":{"type":"object"}},{"name":"c","inputSchema":{"type":"object"}}]`
	if got := asJSON(t, tools); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, none := range []string{`{"tools":[]}`, `{"tools":null}`, `{}`} {
		if tools, err := DecodeTools([]byte(none)); err != nil || len(tools) != 0 {
			t.Errorf("%s: %v, %v", none, tools, err)
		}
	}
}

func manyTools(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `,{"name":"t%d"}`, i)
	}
	return `{"tools":[` + b.String()[1:] + `]}`
}

func deepSchema(n int) string {
	return `{"tools":[{"name":"a","inputSchema":` + strings.Repeat(`{"items":`, n-1) + `{}` + strings.Repeat("}", n-1) + `}]}`
}

func bigSchema(n int) string {
	return `{"tools":[{"name":"a","inputSchema":{"description":"` + strings.Repeat("x", n-len(`{"description":""}`)) + `"}}]}`
}

func TestDecodeToolsBounds(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]string{"256 tools": manyTools(256), "schema 32 deep": deepSchema(32), "schema of 64 KiB": bigSchema(64 * KiB)} {
		if _, err := DecodeTools([]byte(ok)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, c := range map[string]struct {
		in, want string
		is       error
	}{
		"empty":                   {"", "it is empty", ErrAnswer},
		"white space":             {" \n", "it is empty", ErrAnswer},
		"a list":                  {`[]`, "answer: want an object", ErrAnswer},
		"null":                    {`null`, "answer: want an object", ErrAnswer},
		"invalid UTF-8":           {"{\"tools\":[{\"name\":\"\xff\"}]}", "not valid UTF-8", ErrAnswer},
		"duplicate key":           {`{"tools":[],"tools":[{"name":"a"}]}`, "duplicate key", ErrAnswer},
		"tools is an object":      {`{"tools":{}}`, "tools: want a list", ErrAnswer},
		"tool is a string":        {`{"tools":["a"]}`, "tools[0]: want an object", ErrAnswer},
		"tool is null":            {`{"tools":[null]}`, "tools[0]: want an object", ErrAnswer},
		"no name":                 {`{"tools":[{}]}`, "tools[0].name: tool name", ErrAnswer},
		"name is a number":        {`{"tools":[{"name":1}]}`, "tools[0].name: want a string", ErrAnswer},
		"name in another case":    {`{"tools":[{"Name":"a"}]}`, "tools[0].name: tool name", ErrAnswer},
		"name with a space":       {`{"tools":[{"name":"a b"}]}`, "tools[0].name: tool name", ErrAnswer},
		"name with ANSI":          {`{"tools":[{"name":"a\u001b[2J"}]}`, "tools[0].name: tool name", ErrAnswer},
		"name that looks alike":   {`{"tools":[{"name":"\u0430"}]}`, "tools[0].name: tool name", ErrAnswer},
		"name of 129 bytes":       {`{"tools":[{"name":"` + strings.Repeat("a", 129) + `"}]}`, "tools[0].name: tool name", ErrAnswer},
		"two names":               {`{"tools":[{"name":"a"},{"name":"A"}]}`, `tools[1].name: "A" is there twice`, ErrAnswer},
		"description is a list":   {`{"tools":[{"name":"a","description":[]}]}`, "tools[0].description: want a string", ErrAnswer},
		"schema is a string":      {`{"tools":[{"name":"a","inputSchema":"x"}]}`, "tools[0].inputSchema: want an object", ErrAnswer},
		"output schema is a list": {`{"tools":[{"name":"a","outputSchema":[]}]}`, "tools[0].outputSchema: want an object", ErrAnswer},
		"257 tools":               {manyTools(257), "257 exceed the limit of 256", ErrAnswerTooLarge},
		"schema 33 deep":          {deepSchema(33), "nested too deep", ErrAnswer},
		"schema over 64 KiB":      {bigSchema(64*KiB + 1), "exceed the limit of 64 KiB", ErrAnswerTooLarge},
	} {
		tools, err := DecodeTools([]byte(c.in))
		wantError(t, err, c.want)
		if !errors.Is(err, c.is) || len(tools) != 0 {
			t.Errorf("%s: %d tools, %v", name, len(tools), err)
		}
		if err != nil && strings.ContainsAny(err.Error(), "\x1b\n") {
			t.Errorf("%s: the message is not one plain line: %q", name, err)
		}
	}
}

func TestLongDescriptionsAreCut(t *testing.T) {
	t.Parallel()
	for _, n := range []int{MaxDescription, MaxDescription + 1, 10 * MiB} {
		in := `{"tools":[{"name":"a","title":"` + strings.Repeat("é", 200) + `","description":"` + strings.Repeat("x", n) + `"}]}`
		tools, err := DecodeTools([]byte(in))
		if err != nil {
			t.Fatal(err)
		}
		d := tools[0].Description
		if len(d) > MaxDescription || !utf8.ValidString(d) || (n > MaxDescription) != strings.HasSuffix(d, "…") {
			t.Errorf("%d bytes became %d: …%q", n, len(d), d[len(d)-8:])
		}
		if title := tools[0].Title; len(title) > maxTitle || !utf8.ValidString(title) {
			t.Errorf("title of %d bytes", len(title))
		}
	}
}

func TestDecodeCallResult(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ in, want string }{
		"text":           {`{"content":[{"type":"text","text":"hi","annotations":{"x":1}}],"isError":false,"_meta":{}}`, `{"content":[{"type":"text","text":"hi"}]}`},
		"error":          {`{"content":[{"type":"text","text":""}],"isError":true}`, `{"content":[{"type":"text"}],"isError":true}`},
		"image":          {`{"content":[{"type":"image","data":"aGk=","mimeType":"image/png","text":null}]}`, `{"content":[{"type":"image","data":"aGk=","mimeType":"image/png"}]}`},
		"unpadded audio": {`{"content":[{"type":"audio","data":"aGk","mimeType":"audio/wav"}]}`, `{"content":[{"type":"audio","data":"aGk","mimeType":"audio/wav"}]}`},
		"resource":       {`{"content":[{"type":"resource","resource":{"uri":"a:b","text":"x"}}]}`, `{"content":[{"type":"resource","resource":{"uri":"a:b","text":"x"}}]}`},
		"link":           {`{"content":[{"type":"resource_link","uri":"a:b","name":"n"}]}`, `{"content":[{"type":"resource_link","uri":"a:b","name":"n"}]}`},
		"structured":     {`{"content":[],"structuredContent": {"n": 12345678901234567890}}`, `{"content":[],"structuredContent":{"n":12345678901234567890}}`},
		"no content":     {`{"isError":null,"structuredContent":null}`, `{"content":[]}`},
	} {
		r, err := DecodeCallResult([]byte(c.in), MiB)
		if err != nil || asJSON(t, r) != c.want {
			t.Errorf("%s: %v\n got %s\nwant %s", name, err, asJSON(t, r), c.want)
		}
	}
}

func manyItems(n int) string {
	return `{"content":[{"type":"text","text":"x"}` + strings.Repeat(`,{"type":"text","text":"x"}`, n-1) + `]}`
}

func TestDecodeCallResultBounds(t *testing.T) {
	t.Parallel()
	if r, err := DecodeCallResult([]byte(manyItems(64)), 64); err != nil || len(r.Content) != 64 {
		t.Errorf("64 items of 1 byte under a limit of 64: %v", err)
	}
	for name, c := range map[string]struct {
		in, want string
		is       error
	}{
		"empty":                    {"", "it is empty", ErrAnswer},
		"plain text":               {"hello", "not valid JSON", ErrAnswer},
		"content is an object":     {`{"content":{}}`, "content: want a list", ErrAnswer},
		"item is a string":         {`{"content":["x"]}`, "content[0]: want an object", ErrAnswer},
		"no type":                  {`{"content":[{"text":"x"}]}`, `content[0].type: ""; want text`, ErrAnswer},
		"unknown type":             {`{"content":[{"type":"video"}]}`, `content[0].type: "video"; want text`, ErrAnswer},
		"type is a number":         {`{"content":[{"type":1}]}`, "content[0].type: want a string", ErrAnswer},
		"text is missing":          {`{"content":[{"type":"text"}]}`, "content[0].text: missing", ErrAnswer},
		"text is a number":         {`{"content":[{"type":"text","text":1}]}`, "content[0].text: want a string", ErrAnswer},
		"isError is a string":      {`{"isError":"false"}`, "isError: want true or false", ErrAnswer},
		"structured is a list":     {`{"structuredContent":[]}`, "structuredContent: want an object", ErrAnswer},
		"data is not base64":       {`{"content":[{"type":"image","data":"a b="}]}`, "content[0].data: not base64", ErrAnswer},
		"data with line breaks":    {`{"content":[{"type":"image","data":"aG\nk="}]}`, "content[0].data: not base64", ErrAnswer},
		"ANSI in the media type":   {`{"content":[{"type":"image","data":"","mimeType":"\u001b[2J"}]}`, "content[0].mimeType: want at most 128", ErrAnswer},
		"resource is missing":      {`{"content":[{"type":"resource"}]}`, "content[0].resource: missing", ErrAnswer},
		"resource without a URI":   {`{"content":[{"type":"resource","resource":{}}]}`, "content[0].resource.uri: want 1 to", ErrAnswer},
		"65 items":                 {manyItems(65), "65 items exceed the limit of 64", ErrAnswerTooLarge},
		"one byte over":            {`{"content":[{"type":"text","text":"` + strings.Repeat("x", 65) + `"}]}`, "content of 65 bytes exceeds limits.output of 64", ErrAnswerTooLarge},
		"resource over":            {`{"content":[{"type":"resource","resource":{"uri":"a","text":"` + strings.Repeat("x", 65) + `"}}]}`, "exceeds limits.output", ErrAnswerTooLarge},
		"structured over":          {`{"structuredContent":{"a":"` + strings.Repeat("x", 65) + `"}}`, "exceeds limits.output", ErrAnswerTooLarge},
		"structured nested 65":     {`{"structuredContent":` + strings.Repeat(`{"a":`, 64) + "1" + strings.Repeat("}", 65), "nested too deep", ErrJSONDepth},
		"two readings of one name": {`{"content":[{"type":"text","text":"a","text":"b"}]}`, "duplicate key", ErrJSONDuplicate},
	} {
		r, err := DecodeCallResult([]byte(c.in), 64)
		wantError(t, err, c.want)
		if !errors.Is(err, c.is) || len(r.Content) != 0 {
			t.Errorf("%s: %+v, %v", name, r, err)
		}
	}
}

func FuzzDecodeTools(f *testing.F) {
	f.Add([]byte(`{"tools":[{"name":"a","description":"d","inputSchema":{"type":"object"}}]}`))
	f.Add([]byte(deepSchema(33)))
	f.Fuzz(func(t *testing.T, b []byte) {
		tools, err := DecodeTools(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(map[string]any{"tools": tools})
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeTools(again)
		if err != nil {
			t.Fatalf("%s: %v", again, err)
		}
		if err := SameTools(tools, back); err != nil {
			t.Errorf("%s: %v", again, err)
		}
	})
}

func FuzzDecodeCallResult(f *testing.F) {
	f.Add([]byte(`{"content":[{"type":"text","text":"hi"},{"type":"image","data":"aGk="},{"type":"resource","resource":{"uri":"a","blob":"aGk"}}],"isError":true,"structuredContent":{"a":1}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeCallResult(b, 1000)
		if err != nil {
			return
		}
		size := len(r.StructuredContent)
		for _, c := range r.Content {
			size += len(c.Text) + len(c.Data)
		}
		if size > 1000 || len(r.Content) > MaxContent {
			t.Errorf("%d items of %d bytes", len(r.Content), size)
		}
	})
}

// TestHiddenTextInJSON (TXT-1): what a schema or a structured result hides is written
// out, and decodes to the same.
func TestHiddenTextInJSON(t *testing.T) {
	t.Parallel()
	const text = "a\u202eb\u200bc\u009bd\U000e0041e"
	seen := func(raw json.RawMessage) {
		t.Helper()
		if bytes.ContainsFunc(raw, func(r rune) bool { return hidden(r) || unicode.IsControl(r) }) || !json.Valid(raw) || !bytes.Contains(raw, []byte(`\u202e`)) {
			t.Errorf("%q", raw)
		}
		var back map[string]any
		if err := json.Unmarshal(raw, &back); err != nil || back[text] != text {
			t.Errorf("another text came back: %v, %v", back, err)
		}
	}
	tools, err := DecodeTools([]byte(`{"tools":[{"name":"t","inputSchema":{"` + text + `":"` + text + `"}}]}`))
	if err != nil {
		t.Fatal(err)
	}
	seen(tools[0].InputSchema)
	canonical, err := canonicalJSON(json.RawMessage(`{"` + text + `":"` + text + `"}`))
	if err != nil || !bytes.Equal(canonical, tools[0].InputSchema) {
		t.Errorf("%q, %v", canonical, err)
	}
	if again, err := canonicalJSON(canonical); err != nil || !bytes.Equal(again, canonical) {
		t.Errorf("not stable: %q, %v", again, err)
	}
	r, err := DecodeCallResult([]byte(`{"content":[],"structuredContent":{"`+text+`":"`+text+`"}}`), MiB)
	if err != nil {
		t.Fatal(err)
	}
	seen(r.StructuredContent)
}
