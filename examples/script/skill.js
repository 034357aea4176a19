// The skill itself: text work with JavaScript's regular expressions.

tool({
  name: "extract",
  description: "Finds all matches of a JavaScript regular expression in a text, with their groups",
  properties: {
    pattern: { type: "string", description: "for example (\\w+)@(\\w+\\.\\w+)" },
    flags: { type: "string", description: "of i, m, s and u" },
    text: { type: "string" },
  },
  required: ["pattern", "text"],
  run({ pattern, flags = "", text }) {
    if (!/^[imsu]*$/.test(flags)) throw new Error("flags: want some of i, m, s and u");
    const matches = [];
    for (const m of text.matchAll(new RegExp(pattern, flags + "g"))) {
      matches.push({ match: m[0], index: m.index, groups: m.slice(1).map((g) => (g === undefined ? null : g)) });
      if (matches.length === 1000) break;
    }
    return { matches };
  },
});

tool({
  name: "slug",
  description: "Makes a title fit for a file name or an address: lower case, ASCII letters, digits and hyphens",
  properties: { title: { type: "string" } },
  required: ["title"],
  run({ title }) {
    const plain = title.normalize("NFKD").replace(/[\u0300-\u036f]/g, "").replace(/ß/g, "ss").toLowerCase();
    const slug = plain.replace(/[^a-z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 80);
    if (slug === "") throw new Error("title: no letter or digit is left");
    return slug;
  },
});
