// The table of all figures: sorting by a heading, and CSV and JSON files.

/** Give the headings and the buttons something to do. */
function startTable() {
  const heads = all("#figures thead tr:last-child th");
  heads.forEach((head, column) => find("button", head).addEventListener("click", () => sortBy(heads, column)));
  byId("csv").addEventListener("click", () => save("csv", "text/csv", csv()));
  byId("json").addEventListener("click", () => save("json", "application/json", `${JSON.stringify(report, null, 2)}\n`));
  tint();
}

/** Sort the rows by a column; again: the other way round. Rows without a value stay last. */
function sortBy(heads, column) {
  const rising = heads[column].getAttribute("aria-sort") !== "ascending";
  heads.forEach((head, i) => head.setAttribute("aria-sort", i !== column ? "none" : rising ? "ascending" : "descending"));
  const words = heads[column].classList.contains("words");
  const body = find("#figures tbody");
  const valueOf = (line) => line.children[column].dataset.value;
  const rows = [...body.children].sort((one, other) => {
    const [mine, theirs] = [valueOf(one), valueOf(other)];
    if (mine === "" || theirs === "") return (mine === "") - (theirs === "");
    const order = words ? mine.localeCompare(theirs, "en", { numeric: true }) : Number(mine) - Number(theirs);
    return rising ? order : -order;
  });
  body.append(...rows);
  say(`Sorted by ${find("button", heads[column]).textContent}, ${rising ? "rising" : "falling"}`);
}

/** All figures as CSV (RFC 4180). A word that a spreadsheet would take for a formula gets an apostrophe. */
function csv() {
  const field = (value) => {
    if (value === null || value === undefined) return "";
    let text = String(value);
    if (typeof value === "string" && /^[=+\-@\t\r]/.test(text)) text = `'${text}`;
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return [data.table.names, ...data.table.rows].map((row) => row.map(field).join(",")).join("\r\n") + "\r\n";
}

/** Hand a text over as a file. */
function save(suffix, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }));
  const day = /^[\d-]{10}/.exec(report.made ?? "")?.[0];
  make("a", { href: address, download: `dtool-compare${day ? `-${day}` : ""}.${suffix}` }).click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** The matrix of differences, darker where they are larger. */
function tint() {
  const known = all(".matrix td[data-value]").filter((cell) => cell.dataset.value !== "");
  const most = Math.max(...known.map((cell) => Number(cell.dataset.value)));
  for (const cell of known) cell.style.setProperty("--share", `${most > 0 ? (45 * Number(cell.dataset.value)) / most : 0}%`);
}
