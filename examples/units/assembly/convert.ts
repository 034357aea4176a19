// Finding units by what people write, and converting.

import { Unit, units } from "./table";

export class Outcome {
  constructor(
    public text: string,
    public value: f64 = 0,
    public unit: string = "",
    public dimension: string = "",
    public ok: bool = false,
  ) {}
}

// plain folds spellings that mean the same: ² and 2, metre and meter, °C and C.
function plain(name: string): string {
  return name
    .trim()
    .replaceAll("  ", " ")
    .replaceAll("²", "2")
    .replaceAll("³", "3")
    .replaceAll("^", "")
    .replaceAll("°", "")
    .replaceAll("metre", "meter")
    .replaceAll("litre", "liter");
}

// same compares spellings; case counts in those of one and two letters, where it
// tells mm from Mm and Mb from MB.
function same(spelling: string, name: string, folded: bool): bool {
  return folded ? spelling.length > 2 && spelling.toLowerCase() == name : spelling == name;
}

function spelled(u: Unit, name: string, folded: bool): bool {
  if (same(u.symbol, name, folded)) return true;
  for (let i = 0; i < u.names.length; i++) {
    if (same(u.names[i], name, folded)) return true;
  }
  return false;
}

function matches(all: Unit[], name: string, folded: bool): Unit[] {
  const found: Unit[] = [];
  for (let i = 0; i < all.length; i++) {
    if (spelled(all[i], name, folded)) found.push(all[i]);
  }
  return found;
}

// find looks for the exact spelling, then without regard to case, then in the singular.
function find(all: Unit[], name: string): Unit[] {
  let found = matches(all, name, false);
  const low = name.toLowerCase();
  if (found.length == 0) found = matches(all, low, true);
  if (found.length == 0 && low.length > 3 && low.endsWith("s")) {
    found = matches(all, low.slice(0, low.length - 1), true);
    if (found.length == 0 && low.endsWith("es")) found = matches(all, low.slice(0, low.length - 2), true);
  }
  return found;
}

// distance is the number of edits between two short words (Levenshtein).
function distance(a: string, b: string): i32 {
  let row = new Array<i32>(b.length + 1);
  for (let j = 0; j <= b.length; j++) row[j] = j;
  for (let i = 1; i <= a.length; i++) {
    let diagonal = row[0];
    row[0] = i;
    for (let j = 1; j <= b.length; j++) {
      const substitute = diagonal + (a.charCodeAt(i - 1) == b.charCodeAt(j - 1) ? 0 : 1);
      diagonal = row[j];
      row[j] = min(substitute, min(row[j], row[j - 1]) + 1);
    }
  }
  return row[b.length];
}

// near names up to five units that name may be a slip of.
function near(all: Unit[], name: string): string {
  const low = name.toLowerCase();
  let out = "";
  let count = 0;
  for (let edits = 0; edits <= 2 && count == 0; edits++) {
    for (let i = 0; i < all.length && count < 5; i++) {
      const word = all[i].names[0];
      const symbol = all[i].symbol.toLowerCase();
      if (low.length > edits && (distance(low, word.toLowerCase()) <= edits || distance(low, symbol) <= max(edits - 1, 0))) {
        out += (count++ == 0 ? "" : ", ") + all[i].symbol + " (" + word + ")";
      }
    }
  }
  return out;
}

function list(all: Unit[], dimension: string): string {
  let out = "";
  for (let i = 0; i < all.length; i++) {
    if (all[i].dimension == dimension) out += (out.length == 0 ? "" : ", ") + all[i].symbol;
  }
  return out;
}

function unknown(all: Unit[], name: string, found: Unit[]): Outcome {
  const shown = '"' + (name.length > 40 ? name.slice(0, 40) + "…" : name) + '"';
  if (found.length > 1) {
    let choice = "";
    for (let i = 0; i < found.length; i++) choice += (i == 0 ? "" : " or ") + found[i].symbol + " (" + found[i].names[0] + ")";
    return new Outcome("unit " + shown + " is ambiguous: write " + choice);
  }
  const close = name.length <= 40 ? near(all, name) : "";
  const kinds = "length, mass, temperature, volume, area, speed, time, data, energy and pressure";
  return new Outcome("unknown unit " + shown + (close.length > 0 ? ": did you mean " + close + "?" : ": known are units of " + kinds));
}

// tidy keeps 12 significant digits, so that 0.1 + 0.2 does not show.
function tidy(v: f64): f64 {
  if (v == 0 || !isFinite(v)) return v;
  const shift = 11 - <i32>Math.floor(Math.log10(Math.abs(v)));
  if (shift > 300 || shift < -300) return v;
  const unit = Math.pow(10, Math.abs(<f64>shift));
  const r = shift >= 0 ? Math.round(v * unit) / unit : Math.round(v / unit) * unit;
  return isFinite(r) ? r : v;
}

// show is the shortest decimal of v; AssemblyScript writes 5.0 for 5.
export function show(v: f64): string {
  const s = v.toString();
  return s.endsWith(".0") ? s.slice(0, s.length - 2) : s;
}

export function convert(value: f64, from: string, to: string): Outcome {
  const all = units();
  const source = find(all, plain(from));
  if (source.length != 1) return unknown(all, from, source);
  const target = find(all, plain(to));
  if (target.length != 1) return unknown(all, to, target);
  const a = source[0];
  const b = target[0];
  if (a.dimension != b.dimension) {
    return new Outcome(
      a.symbol + " is a unit of " + a.dimension + " and " + b.symbol + " one of " + b.dimension + ": " +
        a.symbol + " converts to " + list(all, a.dimension),
    );
  }
  const base = value * a.factor + a.offset;
  if (a.dimension == "temperature" && base < -0.000000001) return new Outcome(show(value) + " " + a.symbol + " is below absolute zero");
  const result = tidy((base - b.offset) / b.factor);
  if (!isFinite(result)) return new Outcome("the result is too large");
  return new Outcome(show(value) + " " + a.symbol + " = " + show(result) + " " + b.symbol, result, b.symbol, b.dimension, true);
}
