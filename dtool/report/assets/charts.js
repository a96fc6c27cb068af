// The charts: Vega-Lite specifications drawn as SVG. Their colours are CSS variables, so a theme needs no redrawing.
const drawn = new Map(); // element: {view, wanted}
const options = {
  mode: "vega-lite",
  renderer: "svg",
  actions: false,
  ast: true, // expressions are interpreted: the page's content security policy forbids making code of text
  tooltip: { theme: "custom" },
};

/** The specification that an element asks for now. */
function wantedBy(element) {
  const { chart, cost, key } = element.dataset;
  const parts = data.charts;
  if (chart === "solver" || chart === "law") {
    const select = find(`select[data-measure=${chart}]`);
    const option = parts[chart].options[Number(select.value)];
    return [option.specs[cost], `${option.title}, against ${cost}; ${option.better} is better`];
  }
  if (chart === "schedule") return [parts.schedules.specs[key], "The schedule, and where the steps fall on it"];
  if (chart === "strips") return [parts.schedules.strips[byId("field").value], "Where the steps of each recipe fall"];
  if (chart === "timing") return [parts.timing.spec, "Seconds of network, rule, noise and copies"];
  return [parts.samples.spec, "Samples of each recipe"];
}

/** Draw one chart, or say that it cannot be. */
async function drawChart(element) {
  const [spec, label] = wantedBy(element);
  drawn.get(element)?.finalize();
  drawn.delete(element);
  if (!spec) {
    element.replaceChildren(make("p", { className: "none", textContent: "No figures for this cost." }));
    return;
  }
  const result = await vegaEmbed(element, structuredClone(spec), options);
  drawn.set(element, result);
  element.setAttribute("role", "img");
  element.setAttribute("aria-label", `${label}. The figures are in the table.`);
  if (element.dataset.chart === "schedule") showSteps(result);
}

function showSteps(result) {
  result.view.signal("shown", Number(byId("shown").value)).runAsync();
}

/** Draw all charts; resolves when they are there. */
function startCharts() {
  const charts = all("[data-chart]");
  for (const select of all("select[data-measure]")) {
    const own = charts.filter((element) => element.dataset.chart === select.dataset.measure);
    select.addEventListener("change", () => own.forEach(drawChart));
  }
  byId("field")?.addEventListener("change", () => drawChart(find("[data-chart=strips]")));
  byId("shown")?.addEventListener("change", () => {
    for (const [element, result] of drawn) if (element.dataset.chart === "schedule") showSteps(result);
  });
  return Promise.all(charts.map(drawChart));
}
