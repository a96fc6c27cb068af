// Runs the sampler, away from the page, so that the page stays awake. Messages: see `onmessage` and `post`.

import * as ort from "./ort/ort.wasm.min.mjs";
import { fetchBeside, sha256 } from "./beside.js";
import { PageError } from "./error.js";

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
ort.env.logLevel = "error";

const INPUTS = ["ids", "seed", "table", "times", "init"]; // label, if there are classes, and what there is for words

let session;
let wanted = 0; // the run that the page waits for; others stop at their next image
let queue = start();

/** {type: "draw", run, seed, ids, labels, plan, rows, guidance} or {type: "stop", run}: `run` is the page's number for it. */
onmessage = ({ data }) => {
  wanted = data.run;
  if (data.type === "draw") queue = queue.then(() => draw(data).catch(failed));
};

function failed(error) {
  const known = error instanceof PageError;
  postMessage({
    type: "error",
    message: known ? error.message : `onnxruntime-web: ${error?.message ?? error}`,
    hint: error?.hint ?? "",
  });
}

/** Loads the file, and tells the page of it: {type: "ready", columns, digest}. */
async function start() {
  try {
    const bytes = await fetchBeside("app.onnx");
    const digest = await sha256(bytes);
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3 }; // 2 tells of optimisations not made
    session = await ort.InferenceSession.create(bytes, options).catch(unreadable);
    const { inputNames, inputMetadata } = session;
    if (!INPUTS.every((name) => inputNames.includes(name))) {
      const takes = inputNames.join(", ");
      throw new PageError(`app.onnx takes ${takes}, and this page gives ${INPUTS.join(", ")}`, "Build it: python build.py");
    }
    const table = inputMetadata.find(({ name }) => name === "table");
    postMessage({ type: "ready", columns: table.shape[1], digest });
  } catch (error) {
    failed(error);
  }
}

function unreadable(error) {
  if (!/protobuf|ModelProto/i.test(error?.message)) throw error;
  throw new PageError("app.onnx is not an ONNX file, or not a whole one", "Build the page again.");
}

/** {type: "image", run, place, values, milliseconds} for each image, then {type: "done", run}. */
async function draw({ run, seed, ids, labels, plan, rows: told, guidance }) {
  if (!session) return;
  const rows = plan.times.length;
  const feeds = {
    seed: new ort.Tensor("uint64", BigUint64Array.of(BigInt(seed)), []),
    table: new ort.Tensor("float32", Float32Array.from(plan.table), [rows, plan.table.length / rows]),
    times: new ort.Tensor("float32", Float32Array.from(plan.times), [rows]),
    init: new ort.Tensor("float32", Float32Array.of(plan.init), []),
  };
  for (const [name, row] of Object.entries(told ?? {})) {
    feeds[name] = new ort.Tensor("int64", BigInt64Array.from(row, BigInt), [1, row.length]); // one for all images
  }
  if (guidance !== undefined) feeds.guidance = new ort.Tensor("float32", Float32Array.of(guidance), []);
  for (const [place, id] of ids.entries()) {
    await new Promise((next) => setTimeout(next)); // let a newer wish be heard
    if (run !== wanted) return;
    feeds.ids = new ort.Tensor("uint64", BigUint64Array.of(BigInt(id)), [1]);
    if (labels) feeds.label = new ort.Tensor("int64", BigInt64Array.of(BigInt(labels[place])), [1]);
    const started = performance.now();
    const { images } = await session.run(feeds, ["images"]);
    const milliseconds = performance.now() - started;
    const values = images.data.slice();
    images.dispose();
    if (!values.every(Number.isFinite)) throw new PageError(`image ${id} has numbers that are not finite`);
    postMessage({ type: "image", run, place, values, milliseconds }, [values.buffer]);
  }
  postMessage({ type: "done", run });
}
