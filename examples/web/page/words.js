// The fields for words: what is to be drawn, what is not, and how much the difference counts.

import { fetchBeside, sha256 } from "./beside.js";
import { PageError } from "./error.js";
import { scale } from "./fields.js";
import { openTokenizer } from "./tokens.js";

const $ = (id) => document.getElementById(id);
const FIELDS = { prompt: "", negative: "_without" }; // and what the file's inputs for it end in
const LONGEST = 10000; // letters
const SHOWN = 60; // letters of what is cut off
const ABOUT = "From words to pictures, all of it is one ONNX file. It runs in this browser: nothing is sent anywhere.";

/** Show the fields and read the tokenizers, `{input: {file, sha256}}`; `guidance`: the file's own. */
export async function openWords({ tokenizers, guidance }, asked) {
  const encoders = {};
  for (const [input, { file, sha256: digest }] of Object.entries(tokenizers)) {
    const bytes = await fetchBeside(file);
    const own = await sha256(bytes);
    if (own && own !== digest) throw new PageError(`${file} was not made for this app.onnx`, "Build the page again.");
    encoders[input] = openTokenizer(JSON.parse(new TextDecoder().decode(bytes)));
  }
  $("guidance").value = asked.get("guidance") ?? guidance;
  for (const id of Object.keys(FIELDS)) {
    const field = $(id);
    field.value = asked.get(id) ?? "";
    field.addEventListener("input", () => note(encoders));
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      field.form.requestSubmit();
    });
  }
  $("guidance").addEventListener("input", () => note(encoders));
  note(encoders);
  $("about").textContent = ABOUT;
  for (const part of document.querySelectorAll(".told")) part.hidden = false;
  return { wish: () => wish(encoders) };
}

/** What the fields say: `{prompt, negative, guidance, rows}`, rows of token numbers by input; null if one is wrong. */
function wish(encoders) {
  const guidance = scale($("guidance"));
  if (guidance === null) return null;
  const said = {};
  const rows = {};
  for (const [id, ending] of Object.entries(FIELDS)) {
    said[id] = $(id).value.slice(0, LONGEST);
    for (const [input, encode] of Object.entries(encoders)) rows[input + ending] = encode(said[id]).ids;
  }
  return { ...said, guidance, rows };
}

/** Say under each field what of it is not read. */
function note(encoders) {
  for (const id of Object.keys(FIELDS)) {
    const read = Object.values(encoders).map((encode) => encode($(id).value.slice(0, LONGEST)));
    const worst = read.reduce((one, other) => (other.lost.length > one.lost.length ? other : one));
    const lost = worst.lost.length > SHOWN ? `${worst.lost.slice(0, SHOWN)}…` : worst.lost;
    const cut = `Too long: of ${worst.count} tokens ${worst.limit} are read, and “${lost}” is cut off.`;
    const isUnused = id === "negative" && $(id).value && Number($("guidance").value) === 1;
    $(`${id}-note`).textContent = worst.lost ? cut : isUnused ? "Guidance 1 does not use it." : "";
  }
}
