// The controls, the pictures, and what is said about them. The sampler itself runs in worker.js.

import { fetchBeside } from "./beside.js";
import { PageError } from "./error.js";
import { classButtons, whole } from "./fields.js";
import { paint, picture, size } from "./pictures.js";

const $ = (id) => document.getElementById(id);
const MOST_IMAGES = 64;
const LARGEST_SEED = 2n ** 64n - 1n;
const ALL = "all"; // the class of image i is then i, from the first again after the last, as in dtool.sample

const asked = new URLSearchParams(location.search);
let worker;
let spec;
let plans; // plans.json
let samplers; // those in it
let words; // the fields for them, if the file holds a text encoder
let run = 0;
let job; // what is being drawn, or was drawn last

/** The controls as a job; null if a field is wrong. */
function wish() {
  const seed = whole($("seed"), 0n, LARGEST_SEED);
  const count = whole($("count"), 1n, BigInt(MOST_IMAGES));
  const told = words ? words.wish() : {};
  if (seed === null || count === null || told === null) return null;
  const sampler = samplers[$("sampler").selectedIndex];
  const ids = Array.from({ length: Number(count) }, (_, id) => id);
  const chosen = document.querySelector("input[name=class]:checked")?.value;
  const labels = spec.classes ? ids.map((id) => (chosen === ALL ? id % spec.classes : Number(chosen))) : null;
  const plan = sampler.plans[$("steps").value];
  return { ...told, seed: String(seed), ids, labels, chosen, sampler, plan, images: [], times: [] };
}

function draw() {
  if (!spec) return; // not yet, or there is nothing to draw with
  const next = wish();
  if (!next) return;
  job = { ...next, run: ++run };
  remember(job);
  $("error").hidden = true;
  $("numbers")?.remove();
  const pictures = [...$("images").children];
  pictures.slice(job.ids.length).forEach((old) => old.remove());
  pictures.forEach((old) => old.classList.add("old"));
  for (let place = pictures.length; place < job.ids.length; place++) $("images").append(picture(spec.shape));
  busy(true);
  const { seed, ids, labels, plan, rows, guidance } = job;
  worker.postMessage({ type: "draw", run, seed, ids, labels, plan, rows, guidance });
}

function stop() {
  worker.postMessage({ type: "stop", run: ++run });
  say(`Stopped: ${job.times.length} of ${counted(job.ids.length)} drawn.`);
  busy(false);
}

/** There are no words yet. */
function invite() {
  say("Ready. Say what to draw, and press Enter.");
  $("prompt").focus();
}

function busy(yes) {
  $("stop").disabled = !yes;
  $("progress").classList.toggle("idle", !yes);
  $("progress").max = job.ids.length;
  $("progress").value = job.times.length;
  if (yes) say("Drawing…");
}

const counted = (images) => `${images} image${images === 1 ? "" : "s"}`;

function say(words) {
  $("status").textContent = words;
}

/** The address says what is drawn, so that it can be kept or sent. */
function remember({ prompt, negative, guidance, seed, ids, chosen, sampler, plan }) {
  const now = { ...(words && { prompt, negative, guidance }), seed, count: ids.length, sampler: sampler.recipe, steps: plan.steps };
  if (chosen !== undefined) now.class = chosen;
  if (asked.has("test")) now.test = asked.get("test");
  history.replaceState(null, "", `?${new URLSearchParams(now)}`);
}

const heard = {
  ready({ columns, digest }) {
    size(plans.network); // throws if this page cannot draw such images
    const width = samplers[0].plans[0].table.length / samplers[0].plans[0].times.length;
    if (width !== columns || (digest && digest !== plans.file)) {
      throw new PageError("plans.json was not made for this app.onnx", "Build the page again.");
    }
    spec = plans.network;
    const classes = Array.from({ length: spec.classes }, (_, k) => [String(k), spec.class_names[k] ?? String(k)]);
    if (spec.classes) classButtons(ALL, classes, asked.get("class"));
    for (const id of ["draw", "random"]) $(id).disabled = false;
    if (!words || asked.has("prompt")) draw();
    else invite();
  },

  image({ run: of, place, values, milliseconds }) {
    if (of !== run) return;
    const label = job.labels && (spec.class_names[job.labels[place]] ?? String(job.labels[place]));
    const kind = label === null ? "" : `, class ${label}`;
    const name = `image ${job.ids[place]}${kind}${job.prompt ? `: ${job.prompt}` : ""}`;
    paint($("images").children[place], values, spec, name, label ?? `${job.ids[place]}`);
    job.images.push(values);
    job.times.push(milliseconds);
    $("progress").value = job.times.length;
  },

  done({ run: of }) {
    if (of !== run) return;
    const total = job.times.reduce((sum, time) => sum + time, 0);
    const { length } = job.times;
    const calls = `${job.plan.times.length} network calls each`;
    say(`${counted(length)} in ${(total / 1000).toFixed(1)} s: ${Math.round(total / length)} ms per image, ${calls}.`);
    busy(false);
    if (asked.has("test")) writeNumbers();
  },

  error({ message, hint }) {
    fail(new PageError(message, hint));
  },
};

/** For tests (?test=1): the numbers of what was drawn, as JSON in the page. */
function writeNumbers() {
  const { seed, ids, labels, sampler, plan, prompt, negative, guidance, rows } = job;
  const script = document.createElement("script");
  script.type = "application/json";
  script.id = "numbers";
  const images = job.images.map((values) => Array.from(values));
  const told = { prompt, negative, guidance, rows };
  script.textContent = JSON.stringify({ seed, ids, labels, recipe: sampler.recipe, steps: plan.steps, ...told, images });
  document.body.append(script);
}

function fail(error) {
  run++;
  const known = error instanceof PageError;
  const words = known ? error.message : `The page failed: ${error?.message ?? error}`;
  $("error").textContent = error?.hint ? `${words}. ${error.hint}` : words;
  $("error").hidden = false;
  $("stop").disabled = true;
  $("progress").classList.add("idle");
  say("");
  if (!known) console.error(error);
}

function stepSlider(steps) {
  const { plans } = samplers[$("sampler").selectedIndex];
  const place = plans.findIndex((plan) => plan.steps >= steps);
  $("steps").max = plans.length - 1;
  $("steps").value = place === -1 ? plans.length - 1 : place;
  showSteps();
}

const stepsNow = () => samplers[$("sampler").selectedIndex].plans[$("steps").value].steps;

function showSteps() {
  $("steps-shown").value = stepsNow();
  $("steps").setAttribute("aria-valuetext", `${stepsNow()} steps`);
}

async function start() {
  plans = JSON.parse(new TextDecoder().decode(await fetchBeside("plans.json")));
  samplers = plans.samplers;
  if (plans.tokenizers) words = await (await import("./words.js")).openWords(plans, asked);
  $("sampler").replaceChildren(...samplers.map(({ recipe, title }) => new Option(title, recipe)));
  const sampler = samplers.findIndex(({ recipe }) => recipe === asked.get("sampler"));
  $("sampler").selectedIndex = Math.max(0, sampler);
  $("seed").value = asked.get("seed") ?? "0";
  $("count").value = asked.get("count") ?? (words ? "4" : "10");
  let shown = Number(asked.get("steps")) || plans.steps;
  stepSlider(shown);

  $("controls").addEventListener("submit", (event) => {
    event.preventDefault();
    draw();
  });
  $("controls").addEventListener("change", ({ target }) => {
    if (target instanceof HTMLTextAreaElement) return; // words are drawn when they are done: Enter, or the button
    draw();
  });
  $("sampler").addEventListener("change", () => stepSlider(shown));
  $("steps").addEventListener("input", () => {
    shown = stepsNow();
    showSteps();
  });
  $("random").addEventListener("click", () => {
    $("seed").value = crypto.getRandomValues(new Uint32Array(1))[0] % 1000000;
    draw();
  });
  $("stop").addEventListener("click", stop);

  worker = new Worker("./worker.js", { type: "module" });
  worker.onerror = ({ message }) => {
    fail(new PageError(`The part that computes did not start: ${message ?? "worker.js"}`, "Build the page again."));
  };
  worker.onmessage = ({ data }) => {
    try {
      heard[data.type](data);
    } catch (error) {
      fail(error);
    }
  };
}

addEventListener("unhandledrejection", (event) => fail(event.reason));
start().catch(fail);
