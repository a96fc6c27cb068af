// The document, what is chosen, and a few ways to make elements. Text is only ever set as text, never as HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const report = data.document;
const sheet = data.pictures;

const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const byId = (id) => document.getElementById(id);

/** An element with properties, attributes (`aria-…`, `data-…`, `role`, `scope`) and children. */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role" || key === "scope") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/** A number to three significant digits, as the rest of the page writes it. */
function short(value) {
  if (!Number.isFinite(value)) return "–";
  const text = Math.abs(value) >= 1e-4 && Math.abs(value) < 1e6 ? String(Number(value.toPrecision(3))) : value.toExponential(1);
  return value === 0 ? "0" : text.replace("-", "−");
}

/** What screen readers say without the focus moving. */
function say(text) {
  byId("said").textContent = text;
}

const calm = window.matchMedia("(prefers-reduced-motion: reduce)");

/**
 * What is chosen. kind: "x" or "x0"; at: the slider's place, 0 … frames-1; a, b: rows of the document; slot: which of
 * them a digit changes; image: the row of the grid that is zoomed; difference, apart: whether grid and viewer show it;
 * steps: the step count shown, or null for all.
 */
const state = { kind: "x", at: 0, a: 0, b: 0, slot: "b", image: 0, difference: false, apart: true, flicker: false, steps: null };
const listeners = [];

/** Change what is chosen, and redraw. */
function choose(changes) {
  Object.assign(state, changes);
  for (const listener of listeners) listener(changes);
}

/** The rows that the grid shows, in its order. */
function visible() {
  return report.entries.map((_, i) => i).filter((i) => state.steps === null || report.entries[i].steps === state.steps);
}
