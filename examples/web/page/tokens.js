// Words as token numbers, which are those that the Python library tokenizers makes of the same tokenizer.json.

import { Tokenizer } from "./tokenizers/tokenizers.min.mjs";
import { PageError } from "./error.js";

/**
 * A tokenizer.json, opened: a function from a text to `{ids, count, limit, lost}`, the numbers of a row, how many the
 * whole text would be, how many a row may have, and the words that are cut off for that.
 *
 * @huggingface/tokenizers neither cuts off nor lowers a capital sigma as the Python library does; both are done here.
 * A row is not filled up: the sampler's file does that.
 */
export function openTokenizer(json) {
  let tokenizer;
  try {
    tokenizer = new Tokenizer(json, { clean_up_tokenization_spaces: false });
  } catch (error) {
    throw new PageError(`The tokenizer cannot be read here: ${error.message}`, "Export the model again.");
  }
  const limit = json.truncation?.max_length ?? Infinity;
  const fromLeft = json.truncation?.direction === "Left";
  const lowers = /"Lowercase"|"lowercase":true/.test(JSON.stringify(json.normalizer));
  const encode = (text, whole) => tokenizer.encode(text, { add_special_tokens: whole }).ids;
  const [probe, letter] = [encode("a", true), encode("a", false)];
  const first = probe.indexOf(letter[0]); // after so many special tokens
  const special = probe.length - letter.length;

  return (text) => {
    const words = lowers ? text.replaceAll("Σ", "σ") : text; // JavaScript lowers the last one of a word to ς
    const [whole, own] = [encode(words, true), encode(words, false)];
    const room = Math.max(0, Math.min(limit - special, own.length));
    const cut = fromLeft ? own.length - room : room;
    const [kept, gone] = fromLeft ? [own.slice(cut), own.slice(0, cut)] : [own.slice(0, cut), own.slice(cut)];
    const ids = [...whole.slice(0, first), ...kept, ...whole.slice(first + own.length)];
    return { ids, count: whole.length, limit, lost: gone.length ? tokenizer.decode(gone).trim() : "" };
  };
}
