// The zoomed view: A and B side by side or in turn, their difference, and the same slider.
let turn = "a"; // which of the two is seen when they flicker
let flickering = null;

/** Give the viewer's controls something to do. */
function startViewer() {
  const viewer = byId("viewer");
  byId("viewer-step").max = byId("step").max;
  byId("viewer-step").disabled = sheet.frames < 2;
  byId("viewer-step").addEventListener("input", (event) => choose({ at: Number(event.target.value) }));
  byId("close").addEventListener("click", () => viewer.close());
  byId("previous").addEventListener("click", () => another(-1));
  byId("next").addEventListener("click", () => another(1));
  byId("flicker").addEventListener("click", () => flicker(!state.flicker));
  byId("viewer-kind").disabled = sheet.frames < 2;
  byId("viewer-kind").addEventListener("click", () => choose({ kind: state.kind === "x" ? "x0" : "x" }));
  byId("viewer-difference").addEventListener("click", () => choose({ apart: !state.apart }));
  viewer.addEventListener("close", () => flicker(false));
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
  });
  listeners.push(drawViewer);
}

/** Open the viewer at an image; a recipe that is neither A nor B becomes B. */
function zoom(row, image) {
  const changes = { image };
  if (row !== null && row !== state.a) changes.b = row;
  byId("viewer").showModal();
  choose(changes);
}

/** The image above or below. */
function another(by) {
  choose({ image: (state.image + by + sheet.count) % sheet.count });
}

/** Begin or end showing A and B in turn; by hand where motion is not wanted. */
function flicker(on) {
  clearInterval(flickering);
  flickering = null;
  if (on && !calm.matches) flickering = setInterval(flip, 600);
  turn = "a";
  choose({ flicker: on });
}

/** The other one of A and B. */
function flip() {
  turn = turn === "a" ? "b" : "a";
  drawViewer();
}

/** Everything of the viewer as it is chosen. */
function drawViewer() {
  if (!byId("viewer").open) return;
  const head = find("th", all("#grid tbody tr")[state.image]);
  const kind = find(".class", head)?.textContent;
  byId("viewer-title").textContent = `Seed ${head.firstChild.textContent}${kind ? `, ${kind}` : ""}`;
  byId("flicker").setAttribute("aria-pressed", String(state.flicker));
  byId("viewer-difference").setAttribute("aria-pressed", String(state.apart));
  byId("viewer-kind").setAttribute("aria-pressed", String(state.kind === "x0"));
  byId("viewer-step").value = state.at;
  byId("viewer-step").setAttribute("aria-valuetext", byId("step-said").textContent);
  byId("viewer-said").textContent = byId("step-said").textContent;
  byId("panes").style.setProperty("--tile-ratio", sheet.width / sheet.height);
  for (const slot of ["a", "b"]) {
    const pane = find(`[data-pane=${slot}]`);
    pane.hidden = state.flicker && turn !== slot;
    find("span", pane).textContent = `${data.labels[state[slot]]}: ${placeOf(state[slot])}`;
    paneOf(pane, `${slot.toUpperCase()}, ${data.labels[state[slot]]}`);
    drawTile(find("canvas", pane), state[slot], state.image);
  }
  drawApart(find("[data-pane=difference]"));
}

function drawApart(pane) {
  pane.hidden = !state.apart;
  if (pane.hidden) return;
  const { values, most, rmse } = differenceOf(state.b, state.a, state.image);
  const limit = roundUp(most);
  const text = most > 0 ? `RMSE ${short(rmse)}, shown times ${short(sheet.range / limit)}` : "no difference";
  find("span", pane).textContent = text;
  paneOf(pane, `B less A: ${text}`);
  drawDifference(find("canvas", pane), values, limit);
}

function paneOf(pane, label) {
  find("canvas", pane).setAttribute("aria-label", label);
}
