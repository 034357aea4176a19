// units: one tool, convert. The two exports are those of the hyper-mcp v2
// interface: JSON in, JSON out.

import { Host, Memory } from "@extism/as-pdk";
import { error_set } from "@extism/as-pdk/lib/env";
import { convert, Outcome, show } from "./convert";
import { quote, Reader } from "./json";

const MAX_INPUT: i32 = 16 * 1024;

const TOOLS =
  '{"tools":[{"name":"convert","title":"Convert a measure","description":"Converts a value between units of length, ' +
  "mass, temperature, volume, area, speed, time, data, energy or pressure. Units by symbol or name: km, miles, °F, " +
  'square feet, kWh.","inputSchema":{"type":"object","properties":{"value":{"type":"number","description":"how many"},' +
  '"from":{"type":"string","maxLength":64,"description":"unit of the value"},"to":{"type":"string","maxLength":64,' +
  '"description":"unit of the result"}},"required":["value","from","to"],"additionalProperties":false},' +
  '"outputSchema":{"type":"object","properties":{"value":{"type":"number"},"unit":{"type":"string"},' +
  '"dimension":{"type":"string"}},"required":["value","unit","dimension"]}}]}';

class Request {
  tool: string = "";
  calls: i32 = 0;
  argumentLists: i32 = 0;
  values: i32 = 0;
  froms: i32 = 0;
  tos: i32 = 0;
  value: f64 = 0;
  from: string = "";
  to: string = "";
  wrong: string = "";
}

// onAbort replaces the runtime's abort, which would be an import; a trap is the end.
export function onAbort(message: string | null, file: string | null, line: u32, column: u32): void {
  unreachable();
}

function answer(text: string): i32 {
  Host.output(Uint8Array.wrap(String.UTF8.encode(text)));
  return 0;
}

// broken reports a call that is no call of a tool at all.
function broken(why: string): i32 {
  error_set(Memory.allocateString(why).offset);
  return 1;
}

export function list_tools(): i32 {
  return answer(TOOLS);
}

export function call_tool(): i32 {
  const input = Host.input();
  if (input.length > MAX_INPUT) return broken("input is larger than 16 KiB");
  const reader = new Reader(String.UTF8.decode(input.buffer));
  const q = new Request();
  readRequest(reader, q);
  if (reader.error.length > 0) return broken(reader.error);
  if (q.tool != "convert") return broken("unknown tool: this skill has only convert");
  if (q.wrong.length == 0 && (q.values == 0 || q.froms == 0 || q.tos == 0)) {
    q.wrong = "argument " + (q.values == 0 ? "value" : q.froms == 0 ? "from" : "to") + " is missing";
  }
  return say(q.wrong.length > 0 ? new Outcome(q.wrong) : convert(q.value, q.from, q.to));
}

function say(o: Outcome): i32 {
  const content = '{"content":[{"type":"text","text":' + quote(o.text) + "}]";
  if (!o.ok) return answer(content + ',"isError":true}');
  const data = '{"value":' + show(o.value) + ',"unit":' + quote(o.unit) + ',"dimension":' + quote(o.dimension) + "}";
  return answer(content + ',"structuredContent":' + data + "}");
}

function readRequest(r: Reader, q: Request): void {
  if (!r.open()) return;
  let first = true;
  while (r.next(first)) {
    first = false;
    if (r.key() == "request") {
      if (++q.calls > 1) r.fail("duplicate key");
      readCall(r, q);
    } else {
      r.skip();
    }
  }
  r.end();
}

function readCall(r: Reader, q: Request): void {
  if (!r.open()) return;
  let first = true;
  while (r.next(first)) {
    first = false;
    const key = r.key();
    if (key == "name") {
      if (q.tool.length > 0) r.fail("duplicate key");
      q.tool = r.string();
    } else if (key == "arguments") {
      if (++q.argumentLists > 1) r.fail("duplicate key");
      readArguments(r, q);
    } else {
      r.skip();
    }
  }
}

function readArguments(r: Reader, q: Request): void {
  if (!r.open()) return;
  let first = true;
  while (r.next(first)) {
    first = false;
    const key = r.key();
    if (key == "value") {
      if (++q.values > 1) r.fail("duplicate key");
      if (r.isNumber()) q.value = r.number();
      else wrong(r, q, "argument value: want a number");
    } else if (key == "from" || key == "to") {
      const again = key == "from" ? ++q.froms : ++q.tos;
      if (again > 1) r.fail("duplicate key");
      if (!r.isString()) wrong(r, q, "argument " + key + ": want a string");
      else if (key == "from") q.from = r.string();
      else q.to = r.string();
    } else {
      wrong(r, q, "unknown argument: convert takes value, from and to");
    }
  }
}

function wrong(r: Reader, q: Request, why: string): void {
  if (q.wrong.length == 0) q.wrong = why;
  r.skip();
}
