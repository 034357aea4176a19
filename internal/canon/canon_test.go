package canon

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExamplesOfRFC8785(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"3.2.2 sample", `{
       "numbers": [333333333.33333329, 1E30, 4.50,
                   2e-3, 0.000000000000000000000000001],
       "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
       "literals": [null, true, false]
     }`, `{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],"string":"€$\u000f\nA'B\"\\\\\"/"}`},
		{"3.2.3 names sorted by UTF-16 code units", `{
       "\u20ac": "Euro Sign",
       "\r": "Carriage Return",
       "\ufb33": "Hebrew Letter Dalet With Dagesh",
       "1": "One",
       "\ud83d\ude00": "Emoji: Grinning Face",
       "\u0080": "Control",
       "\u00f6": "Latin Small Letter O With Diaeresis"
     }`, "{\"\\r\":\"Carriage Return\",\"1\":\"One\",\"\u0080\":\"Control\",\"ö\":\"Latin Small Letter O With Diaeresis\",\"€\":\"Euro Sign\",\"😀\":\"Emoji: Grinning Face\",\"\ufb33\":\"Hebrew Letter Dalet With Dagesh\"}"},
		{"empty containers", ` { "a" : [ ] , "b" : { } } `, `{"a":[],"b":{}}`},
		{"nested names are sorted", `{"b":{"d":1,"c":2},"a":0}`, `{"a":0,"b":{"c":2,"d":1}}`},
		{"html is not escaped", `"<a&b>\u2028"`, "\"<a&b>\u2028\""},
		{"delete is not escaped", `"\u007f"`, "\"\x7f\""},
		{"minus zero", `-0`, `0`},
		{"an exact large integer", `100000000000000000000`, `100000000000000000000`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := JSON([]byte(tt.in))
			if err != nil || string(got) != tt.want {
				t.Errorf("got  %s (%v)\nwant %s", got, err, tt.want)
			}
		})
	}
}

// The samples of RFC 8785 appendix B that JSON can express.
func TestNumbersOfRFC8785(t *testing.T) {
	t.Parallel()
	for bits, want := range map[uint64]string{
		0x0000000000000000: "0", 0x8000000000000000: "0",
		0x0000000000000001: "5e-324", 0x8000000000000001: "-5e-324",
		0x7fefffffffffffff: "1.7976931348623157e+308", 0xffefffffffffffff: "-1.7976931348623157e+308",
		0x4340000000000000: "9007199254740992", 0xc340000000000000: "-9007199254740992",
		0x4430000000000000: "295147905179352830000",
		0x44b52d02c7e14af5: "9.999999999999997e+22", 0x44b52d02c7e14af6: "1e+23", 0x44b52d02c7e14af7: "1.0000000000000001e+23",
		0x444b1ae4d6e2ef4e: "999999999999999700000", 0x444b1ae4d6e2ef4f: "999999999999999900000", 0x444b1ae4d6e2ef50: "1e+21",
		0x3eb0c6f7a0b5ed8c: "9.999999999999997e-7", 0x3eb0c6f7a0b5ed8d: "0.000001",
		0x41b3de4355555553: "333333333.3333332", 0x41b3de4355555554: "333333333.33333325",
		0x41b3de4355555555: "333333333.3333333", 0x41b3de4355555556: "333333333.3333334", 0x41b3de4355555557: "333333333.33333343",
		0xbecbf647612f3696: "-0.0000033333333333333333", 0x43143ff3c1cb0959: "1424953923781206.2",
	} {
		if got := formatNumber(math.Float64frombits(bits)); got != want {
			t.Errorf("%016x: got %s, want %s", bits, got, want)
		}
	}
}

func TestDoubtIsAnError(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 10_000) + strings.Repeat("]", 10_000)
	tests := []struct{ name, in, want string }{
		{"nothing", ``, "ends too early"},
		{"two values", `{} {}`, "bytes after the value"},
		{"duplicate name", `{"to":"a","to":"b"}`, `"to" appears twice`},
		{"duplicate name by escape", `{"to":"a","\u0074o":"b"}`, `"to" appears twice`},
		{"invalid UTF-8", "\"\xff\"", "invalid UTF-8"},
		{"overlong UTF-8", "\"\xc0\xaf\"", "invalid UTF-8"},
		{"surrogate in UTF-8", "\"\xed\xa0\x80\"", "invalid UTF-8"},
		{"lone high surrogate", `"\ud800"`, "lone surrogate"},
		{"high surrogate and letter", `"\ud800\u0041"`, "lone surrogate"},
		{"lone low surrogate", `"\udc00"`, "lone surrogate"},
		{"byte order mark", "\ufeff{}", "no value starts"},
		{"raw newline in a string", "\"a\nb\"", "control character"},
		{"unknown escape", `"\x41"`, "unknown escape"},
		{"short escape", `"\u00"`, "hex digits"},
		{"string without end", `"abc`, "does not end"},
		{"escape without end", `"\`, "does not end"},
		{"leading zero", `01`, "bytes after"},
		{"bare minus", `-`, "want a digit"},
		{"no digit after point", `1.`, "after the point"},
		{"no digit in exponent", `1e+`, "in the exponent"},
		{"plus", `+1`, "no value starts"},
		{"NaN", `NaN`, "no value starts"},
		{"a number past a double", `1e400`, "does not fit"},
		{"an integer that a double rounds", `9007199254740993`, "not exact"},
		{"trailing comma", `[1,]`, "no value starts"},
		{"comment", `{/**/}`, "want a name"},
		{"single quotes", `{'a':1}`, "want a name"},
		{"colon missing", `{"a" 1}`, "want :"},
		{"comma missing", `[1 2]`, "want , or ]"},
		{"comma missing in object", `{"a":1 "b":2}`, "want , or }"},
		{"nested 10,000 deep", deep, "nested deeper than 64"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tt.in), Limits{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestLimitsAtTheEdge(t *testing.T) {
	t.Parallel()
	at := func(depth int) []byte {
		return []byte(strings.Repeat("[", depth) + strings.Repeat("]", depth))
	}
	tests := []struct {
		name string
		in   []byte
		l    Limits
		ok   bool
	}{
		{"depth n", at(64), Limits{}, true},
		{"depth n+1", at(65), Limits{}, false},
		{"bytes n", []byte(`"ab"`), Limits{Bytes: 4}, true},
		{"bytes n+1", []byte(`"abc"`), Limits{Bytes: 4}, false},
		{"nodes n", []byte(`{"a":[1]}`), Limits{Nodes: 4}, true},
		{"nodes n+1", []byte(`{"a":[1,2]}`), Limits{Nodes: 4}, false},
	}
	for _, tt := range tests {
		_, err := Parse(tt.in, tt.l)
		if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

func TestRoundsIsOptIn(t *testing.T) {
	t.Parallel()
	v, err := Parse([]byte(`18446744073709551615`), Limits{Rounds: true})
	if err != nil || string(v.Canonical()) != "18446744073709552000" {
		t.Errorf("got %s, %v", v.Canonical(), err)
	}
}

func TestMarshal(t *testing.T) {
	t.Parallel()
	got, err := Marshal(struct {
		B string `json:"b"`
		A int    `json:"a"`
	}{"<", 1})
	if err != nil || string(got) != `{"a":1,"b":"<"}` {
		t.Errorf("got %s, %v", got, err)
	}
	if _, err := Marshal(func() {}); err == nil {
		t.Error("a function was marshalled")
	}
}

func TestEveryDoubleSurvives(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.Float64().Draw(t, "f")
		if math.IsInf(f, 0) || math.IsNaN(f) {
			t.Skip()
		}
		got, err := JSON([]byte(formatNumber(f)))
		if err != nil {
			t.Fatal(err)
		}
		var back float64
		if err := json.Unmarshal(got, &back); err != nil || back != f {
			t.Fatalf("%v became %s", f, got)
		}
	})
}

// FuzzJSON checks that the canonical form is a fixed point, that encoding/json reads
// the same value from it as from the input, and that what we accept is valid JSON.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5e-7,null,true,"\ud83d\ude00\u0001"],"b":{}}`, `1e20`, `-0.0`, `"\u2028"`, `[[[[]]]]`, "\"\xff\"", `{"a":1,"a":2}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c, err := JSON(in)
		if err != nil {
			return
		}
		if !json.Valid(in) {
			t.Fatalf("accepted invalid JSON %q", in)
		}
		again, err := JSON(c)
		if err != nil || !bytes.Equal(c, again) {
			t.Fatalf("canonical %q is no fixed point: %q, %v", c, again, err)
		}
		var x, y any
		if err := errors.Join(json.Unmarshal(in, &x), json.Unmarshal(c, &y)); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(x, y) { // -0 == 0
			t.Fatalf("%q changed its value: %v and %v", in, x, y)
		}
	})
}

func BenchmarkJSON(b *testing.B) {
	in := []byte(`{"url":"https://example.org/a/b?c=d","limit":10,"tags":["x","y"],"deep":{"b":1,"a":2}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := JSON(in); err != nil {
			b.Fatal(err)
		}
	}
}
