// The image grid: its cells, the slider over the steps, which recipes are A and B, and the difference to A.
const cells = []; // cells[row][image]: {cell, canvas, button}

/** Make the grid's cells and give its controls something to do. */
function startGrid() {
  const lines = all("#grid tbody tr").slice(0, sheet.count);
  report.entries.forEach((entry, row) => {
    cells[row] = lines.map((line, image) => {
      const canvas = make("canvas", { width: sheet.width, height: sheet.height });
      const button = make("button", { type: "button", className: "tile" }, canvas);
      button.addEventListener("click", () => zoom(row, image));
      const cell = make("td", {}, button);
      line.append(cell);
      return { cell, canvas, button };
    });
  });
  const scale = Math.max(1, Math.round(84 / Math.max(sheet.width, sheet.height)));
  byId("grid").style.setProperty("--tile-width", `${sheet.width * scale}px`);
  byId("grid").style.setProperty("--tile-ratio", `${sheet.width} / ${sheet.height}`);
  startCounts();
  for (const slot of ["a", "b"]) {
    data.labels.forEach((label, row) => byId(slot).append(make("option", { value: String(row), textContent: label })));
    byId(slot).addEventListener("change", (event) => choose({ [slot]: Number(event.target.value), slot }));
  }
  all("#grid thead button").forEach((button, row) => button.addEventListener("click", () => put(row)));
  byId("step").addEventListener("input", (event) => choose({ at: Number(event.target.value) }));
  for (const radio of all("input[name=kind]")) radio.addEventListener("change", () => choose({ kind: radio.value }));
  byId("difference").addEventListener("click", () => choose({ difference: !state.difference }));
  byId("zoom").addEventListener("click", () => zoom(null, state.image));
  byId("play").addEventListener("click", play);
  listeners.push(drawGrid);
}

/** The choice of a step count, if there is more than one. */
function startCounts() {
  const counts = [...new Set(report.entries.map((entry) => entry.steps))].sort((a, b) => a - b);
  const box = byId("counts");
  box.hidden = counts.length < 2;
  for (const count of [...counts, null]) {
    const radio = make("input", { type: "radio", name: "count", value: String(count ?? "all") });
    radio.addEventListener("change", () => only(count));
    box.append(make("label", {}, radio, make("span", { textContent: count ?? "all" })));
  }
  state.steps = report.entries.length > 8 && counts.length > 1 ? counts.at(-1) : null;
  find(`input[value="${state.steps ?? "all"}"]`, box).checked = true;
  const shown = visible();
  Object.assign(state, { a: shown[0], b: shown[1] ?? shown[0], at: sheet.frames - 1 });
}

/** Show the recipes of this step count; A and B move to the same recipes among them. */
function only(count) {
  choose({ steps: count });
  const shown = visible();
  const same = (row) => {
    const named = shown.filter((other) => report.entries[other].name === report.entries[row].name);
    return shown.includes(row) ? row : (named[0] ?? shown[0]);
  };
  choose({ a: same(state.a), b: same(state.b) });
}

/** Put a recipe in the place that A or B stands for. */
function put(row) {
  choose({ [state.slot]: row });
  say(`${state.slot.toUpperCase()} is ${data.labels[row]}`);
}

let playing = null;

/** Run through the steps, or stop. */
function play() {
  const stop = () => {
    clearInterval(playing);
    playing = null;
    byId("play").textContent = "▶";
    byId("play").setAttribute("aria-label", "Play the steps");
  };
  if (playing) return stop();
  if (state.at === sheet.frames - 1) choose({ at: 0 });
  byId("play").textContent = "❚❚";
  byId("play").setAttribute("aria-label", "Stop");
  playing = setInterval(() => {
    choose({ at: Math.min(state.at + 1, sheet.frames - 1) });
    if (state.at === sheet.frames - 1) stop();
  }, Math.max(80, 2400 / sheet.frames));
}

/** One step back or on. */
function move(by) {
  if (sheet.frames > 1) choose({ at: Math.max(0, Math.min(sheet.frames - 1, state.at + by)) });
}

/** Everything of the grid as it is chosen. */
function drawGrid() {
  const shown = visible();
  const percent = sheet.frames > 1 ? Math.round((100 * state.at) / (sheet.frames - 1)) : 100;
  const said = percent === 100 ? "the images" : percent === 0 ? "the noise" : `${percent} % of the run`;
  byId("step").value = state.at;
  byId("step").setAttribute("aria-valuetext", said);
  byId("step-said").textContent = said;
  find(`input[name=kind][value=${state.kind}]`).checked = true;
  byId("difference").setAttribute("aria-pressed", String(state.difference));
  for (const slot of ["a", "b"]) {
    byId(slot).value = String(state[slot]);
    byId(slot).parentElement.classList.toggle("active", state.slot === slot);
  }
  all("#grid thead th[data-row]").forEach((head, row) => drawHead(head, row, shown));
  const apart = state.difference ? drawDifferences(shown) : null;
  report.entries.forEach((_, row) => cells[row].forEach((one, image) => {
    one.cell.hidden = !shown.includes(row);
    one.cell.className = row === state.a ? "a" : row === state.b ? "b" : "";
    if (!one.cell.hidden && !(apart && row !== state.a)) drawTile(one.canvas, row, image);
    const seed = find("th", one.cell.parentElement).firstChild.textContent;
    one.button.setAttribute("aria-label", `${data.labels[row]}, seed ${seed}, zoom`);
  }));
  drawLegend(apart);
}

function drawHead(head, row, shown) {
  head.hidden = !shown.includes(row);
  const marks = [row === state.a ? "A" : "", row === state.b ? "B" : ""].filter(Boolean).join(" ");
  head.classList.toggle("chosen", marks !== "");
  const place = shown.indexOf(row) + 1;
  find(".key", head).textContent = marks || (place > 0 && place < 10 ? String(place) : "");
  find(".at", head).textContent = placeOf(row);
  const chosen = marks ? `, is ${marks}` : "";
  find("button", head).setAttribute("aria-label", `${data.labels[row]}${chosen}; choose it as ${state.slot.toUpperCase()}`);
}

/** Draw |row - A| for all rows but A, all in the same scale; the limit of that scale. */
function drawDifferences(shown) {
  const found = shown.filter((row) => row !== state.a).map((row) => {
    const each = cells[row].map((_, image) => differenceOf(row, state.a, image));
    const mean = each.reduce((sum, one) => sum + one.rmse ** 2, 0) / each.length;
    return { row, each, rmse: Math.sqrt(mean) };
  });
  const most = roundUp(Math.max(0, ...found.flatMap(({ each }) => each.map((one) => one.most))));
  for (const { row, each, rmse } of found) {
    each.forEach((one, image) => drawDifference(cells[row][image].canvas, one.values, most));
    const exact = state.at === sheet.frames - 1 ? report.rmse?.[state.a]?.[row] : undefined;
    find(".at", all("#grid thead th[data-row]")[row]).textContent = `RMSE ${short(exact ?? rmse)}`;
  }
  return most;
}

function drawLegend(apart) {
  byId("legend").hidden = apart === null;
  if (apart === null) return;
  byId("legend-said").textContent =
    `−${short(apart)} … ${short(apart)}: difference to A, ${data.labels[state.a]}, ` +
    `in units of the data (whose range is ${short(sheet.range)}), times ${short(sheet.range / apart)}`;
}
