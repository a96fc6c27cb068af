// Runs the sampler, away from the page, so that the page stays awake. Messages: see `onmessage` and `post`.

import * as ort from "./ort/ort.wasm.min.mjs";
import { PageError, takeApart } from "./onnx.js";

ort.env.wasm.wasmPaths = new URL("./ort/", import.meta.url).href;
ort.env.logLevel = "error";

let sampler; // { session, defaults }
let wanted = 0; // the run that the page waits for; others stop at their next image
let queue = start();

/** {type: "draw", run, seed, ids, labels, plan} or {type: "stop", run}: `run` is the page's number for it. */
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

/** Loads the file, and tells the page what it is: {type: "ready", about, columns}. */
async function start() {
  try {
    const answer = await fetch("./app.onnx", { cache: "no-cache" });
    if (!answer.ok) throw new PageError("app.onnx is not beside this page", "Build it: python build.py");
    const { model, defaults, about } = takeApart(new Uint8Array(await answer.arrayBuffer()));
    const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
    sampler = { session, defaults };
    postMessage({ type: "ready", about, columns: defaults.table.dims[1] });
  } catch (error) {
    failed(error);
  }
}

/** {type: "image", run, place, values, milliseconds} for each image, then {type: "done", run}. */
async function draw({ run, seed, ids, labels, plan }) {
  if (!sampler) return;
  const { session, defaults } = sampler;
  const feeds = {};
  for (const [name, { type, dims, data }] of Object.entries(defaults)) feeds[name] = new ort.Tensor(type, data, dims);
  const rows = plan.times.length;
  feeds.seed = new ort.Tensor("uint64", BigUint64Array.of(BigInt(seed)), []);
  feeds.table = new ort.Tensor("float32", Float32Array.from(plan.table), [rows, plan.table.length / rows]);
  feeds.times = new ort.Tensor("float32", Float32Array.from(plan.times), [rows]);
  feeds.steps = new ort.Tensor("int64", BigInt64Array.of(BigInt(rows)), []);
  feeds.init = new ort.Tensor("float32", Float32Array.of(plan.init), []);
  feeds.micro_batch = new ort.Tensor("int64", BigInt64Array.of(1n), []);
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
