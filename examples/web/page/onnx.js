// A sampler that `dtool export --recipe …` wrote, taken apart: its description, its defaults, and the model to run.
//
// onnxruntime-web does not let a graph input that has a default be fed. So the defaults are read from the file here and
// left out of the bytes that onnxruntime-web gets: all inputs are then ordinary ones. Nothing else is changed.

/** What a person is told: `message` says what is wrong, `hint` what to do. */
export class PageError extends Error {
  constructor(message, hint = "") {
    super(message);
    this.hint = hint;
  }
}

// TensorProto.DataType: onnxruntime-web's name, and the array that holds it.
const TYPES = {
  1: ["float32", Float32Array],
  6: ["int32", Int32Array],
  7: ["int64", BigInt64Array],
  11: ["float64", Float64Array],
  13: ["uint64", BigUint64Array],
};

// Field numbers of onnx.proto.
const MODEL = { graph: 7, metadata: 14 };
const GRAPH = { initializer: 5, input: 11 };
const TENSOR = { dims: 1, type: 2, name: 8, raw: 9, external: 13 };
const VALUE = { name: 1 };
const ENTRY = { key: 1, value: 2 };

/** The number at `at` and where it ends; all that is read here is below 2⁵³. */
function varint(bytes, at) {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    if (at >= bytes.length || scale > 2 ** 63) throw new RangeError("a number has no end");
    const byte = bytes[at++];
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
}

/** The fields of a protobuf message: number, value (bytes of a message, or a number), and all its bytes. */
function* fields(bytes) {
  for (let at = 0; at < bytes.length; ) {
    const from = at;
    let key, value;
    [key, at] = varint(bytes, at);
    const kind = key % 8;
    if (kind === 0) {
      [value, at] = varint(bytes, at);
    } else {
      let size = { 1: 8, 5: 4 }[kind];
      if (kind === 2) [size, at] = varint(bytes, at);
      if (size === undefined || at + size > bytes.length) throw new RangeError("a field has no end");
      value = bytes.subarray(at, (at += size));
    }
    yield { number: Math.floor(key / 8), value, all: bytes.subarray(from, at) };
  }
}

const text = (bytes) => new TextDecoder().decode(bytes);

/** The first value of each wanted field, and of repeated ones all. */
function pick(bytes, wanted) {
  const found = Object.fromEntries(Object.keys(wanted).map((name) => [name, []]));
  for (const { number, value } of fields(bytes)) {
    for (const [name, wantedNumber] of Object.entries(wanted)) if (number === wantedNumber) found[name].push(value);
  }
  return found;
}

const nameOf = (bytes, field) => text(pick(bytes, { name: field }).name[0] ?? new Uint8Array());

/** A TensorProto as what onnxruntime-web's Tensor is made of. */
function tensor(bytes) {
  const { dims, type, name, raw, external } = pick(bytes, TENSOR);
  const [kind, Values] = TYPES[type[0]] ?? [];
  if (!Values || !raw.length || external.length) {
    throw new PageError(`the default of ${text(name[0])} is stored in a way that this page does not read`);
  }
  const packed = dims.flatMap((d) => (typeof d === "number" ? [d] : numbers(d)));
  return { type: kind, dims: packed, data: new Values(raw[0].slice().buffer) };
}

function numbers(bytes) {
  const all = [];
  for (let at = 0, value; at < bytes.length; all.push(value)) [value, at] = varint(bytes, at);
  return all;
}

/** A length-delimited field of protobuf. */
function field(number, parts) {
  let size = parts.reduce((sum, part) => sum + part.length, 0);
  const head = [number * 8 + 2];
  for (; size >= 128; size = Math.floor(size / 128)) head.push((size % 128) + 128);
  return [Uint8Array.from([...head, size]), ...parts];
}

function joined(parts) {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

/**
 * Take a file apart.
 *
 * bytes: the file. Returns `model`, the bytes for onnxruntime-web; `inputs`, the names of all inputs; `defaults`, for
 * each input that had one `{type, dims, data}`; `about`, the JSON of the metadata entry "dtool".
 * Throws PageError for anything that is not a sampler of dtool's.
 */
export function takeApart(bytes) {
  let parts;
  try {
    parts = split(bytes);
  } catch (error) {
    if (error instanceof PageError) throw error;
    throw new PageError("app.onnx is not an ONNX file, or not a whole one", "Build the page again.");
  }
  const { about, inputs, defaults } = parts;
  if (!about) {
    throw new PageError("app.onnx is not of dtool's making: it has no dtool metadata", "Build the page again.");
  }
  if (about.kind !== "sampler") {
    throw new PageError("app.onnx is a network without a sampler", "Export it with a recipe: dtool export --recipe …");
  }
  if (!defaults.table || !inputs.includes("ids")) {
    throw new PageError("app.onnx runs one plan only: its table is frozen", "Export it without --freeze.");
  }
  return parts;
}

function split(bytes) {
  const model = [];
  const defaults = {};
  let inputs = [];
  let about = null;
  for (const { number, value, all } of fields(bytes)) {
    if (number === MODEL.metadata) {
      const { key, value: content } = pick(value, ENTRY);
      if (text(key[0]) === "dtool") about = JSON.parse(text(content[0]));
    }
    if (number !== MODEL.graph) {
      model.push(all);
      continue;
    }
    inputs = pick(value, { input: GRAPH.input }).input.map((input) => nameOf(input, VALUE.name));
    const graph = [];
    for (const part of fields(value)) {
      const name = part.number === GRAPH.initializer ? nameOf(part.value, TENSOR.name) : "";
      if (name && inputs.includes(name)) defaults[name] = tensor(part.value);
      else graph.push(part.all);
    }
    model.push(...field(MODEL.graph, graph));
  }
  return { model: joined(model), inputs, defaults, about };
}
