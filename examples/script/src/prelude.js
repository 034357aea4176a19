// What every script finds: tool() registers a tool, and the engine calls list and
// call. Arguments are checked against the declared properties before run sees them.
"use strict";
const registered = new Map();

globalThis.tool = ({ name, description, properties = {}, required = [], run }) => {
  const inputSchema = { type: "object", properties, required, additionalProperties: false };
  registered.set(name, { declaration: { name, description, inputSchema }, run });
};

const fits = (value, type) =>
  type === "integer" ? Number.isInteger(value) : type === "array" ? Array.isArray(value) : typeof value === type;

const check = ({ properties, required }, args) => {
  for (const name of required) if (!(name in args)) throw new Error(`argument ${name} is missing`);
  for (const [name, value] of Object.entries(args)) {
    if (!Object.hasOwn(properties, name)) throw new Error(`unknown argument ${name}`);
    if (!fits(value, properties[name].type)) throw new Error(`argument ${name}: want ${properties[name].type}`);
  }
};

Object.hasOwn ??= (object, key) => Object.prototype.hasOwnProperty.call(object, key);

globalThis.list = () => JSON.stringify({ tools: [...registered.values()].map((t) => t.declaration) });

globalThis.call = (input) => {
  const { name, arguments: args = {} } = JSON.parse(input).request;
  const found = registered.get(name);
  if (!found) throw new Error(`unknown tool ${name}`);
  try {
    check(found.declaration.inputSchema, args);
    const result = found.run(args);
    if (typeof result === "string") return JSON.stringify({ content: [{ type: "text", text: result }] });
    return JSON.stringify({ content: [{ type: "text", text: JSON.stringify(result) }], structuredContent: result });
  } catch (e) {
    return JSON.stringify({ content: [{ type: "text", text: String(e && e.message ? e.message : e) }], isError: true });
  }
};
