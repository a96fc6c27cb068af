// The files that lie beside the page.

import { PageError } from "./error.js";

/** A file's bytes. Throws PageError if it is not there. */
export async function fetchBeside(name) {
  const answer = await fetch(`./${name}`, { cache: "no-cache" });
  if (!answer.ok) throw new PageError(`${name} is not beside this page`, "Build it: python build.py");
  return new Uint8Array(await answer.arrayBuffer());
}

/** Their SHA-256 in hexadecimal; null where a browser does not offer it: only to pages of https or localhost. */
export async function sha256(bytes) {
  const hash = await crypto.subtle?.digest("SHA-256", bytes);
  return hash ? Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join("") : null;
}
