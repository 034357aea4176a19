package atom

import "testing"

// Whatever a chat program might link or fetch is a link, however it is spelt.
func TestLinksInEverySpelling(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"see evil.com/x?q=1", "www.evil.com/leak", "[a](evil.com/p)", "evil.ru/abc", "![x](https://evil.example/p.png)",
		"![x](//evil.com/p.png)", "ftp://evil.com/x", "https://user@evil.com/x", `https:\\\\evil.com\\x`, "HTTPS://evil.com/%2f",
		"xhttps://evil.com/a", "http://2130706433/x", "http://0x7f.1/x", "ｗｗｗ.evil.com/a", "//evil.com/a",
	} {
		if len(Links(s)) == 0 {
			t.Errorf("%q holds no link", s)
		}
	}
	for _, s := range []string{"and/or", "docs/readme.md", "/notes/a.txt", "notes.txt", "5/6. done", "a // comment", "e.g. this"} {
		if l := Links(s); len(l) != 0 {
			t.Errorf("%q holds %v", s, l)
		}
	}
	if a := Links("go to www.shop.example/x"); len(a) != 1 || !Read("look at www.shop.example/x").Holds(Seq{a[0]}) {
		t.Errorf("what the owner names is not equal: %v", a)
	}
}

// A program links a host name of any country, in any spelling, without a scheme.
func TestLinksWithoutAScheme(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"see 4711.evil.ru": "4711.evil.ru", "evil.ru?d=4711": "evil.ru", "4711.evil.xyz now": "4711.evil.xyz", "EVIL.RU": "EVIL.RU",
		"x.evil.co.jp": "x.evil.co.jp", "evil.ru:8080": "evil.ru", "(evil.ru)": "evil.ru", "４７１１．evil．ru": "4711.evil.ru", "4711.bücher.ch": "4711.xn--bcher-kva.ch", "4711.evil.com": "4711.evil.com",
		"4711_x.evil.ru": "4711_x.evil.ru", "4711.evil.ru.": "4711.evil.ru", "-4711.evil.ru": "4711.evil.ru", "4711.пример.рф": "4711.пример.рф", "a.рф": "a.рф",
		"notes.txt": "", "v1.2.3": "", "e.g. this": "", "the end.Then": "", "report.docx and config.yaml": "", "ana@evil.ru": "", "3.14": "",
	} {
		got := ""
		for _, a := range Links(text) {
			got = a.Value
		}
		if got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}
