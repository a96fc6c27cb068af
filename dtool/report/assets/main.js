// What belongs to the whole page: theme, copying the command, keys, and the start.

function startTheme() {
  const select = byId("theme");
  const kept = () => {
    try {
      return localStorage.getItem("dtool-theme") ?? "";
    } catch {
      return ""; // a file may have no storage
    }
  };
  const apply = (theme) => {
    document.documentElement.dataset.theme = theme;
    if (sheet) choose({});
  };
  select.value = kept();
  if (select.value) apply(select.value);
  select.addEventListener("change", () => {
    apply(select.value);
    try {
      localStorage.setItem("dtool-theme", select.value);
    } catch {
      // then it holds until the page is closed
    }
  });
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => sheet && choose({}));
}

function startCopy() {
  byId("copy")?.addEventListener("click", async () => {
    const button = byId("copy");
    try {
      await navigator.clipboard.writeText(report.command);
    } catch {
      getSelection().selectAllChildren(byId("command"));
      document.execCommand("copy");
    }
    button.textContent = "Copied";
    say("The command was copied");
    setTimeout(() => (button.textContent = "Copy"), 1600);
  });
}

function startHelp() {
  byId("help-open").addEventListener("click", () => byId("help").showModal());
  byId("help-close").addEventListener("click", () => byId("help").close());
}

/** What a key does, as a function; undefined if it does nothing. */
function actionOf(key) {
  const open = byId("viewer")?.open;
  if (key === "?") return () => (byId("help").open ? byId("help").close() : byId("help").showModal());
  if (!sheet || byId("help").open) return undefined;
  if (/^[1-9]$/.test(key)) {
    const row = visible()[Number(key) - 1];
    return row === undefined ? undefined : () => put(row);
  }
  const actions = {
    ArrowLeft: () => move(-1),
    ArrowRight: () => move(1),
    a: () => aim("a"),
    b: () => aim("b"),
    x: () => choose({ kind: state.kind === "x" ? "x0" : "x" }),
    d: () => choose(open ? { apart: !state.apart } : { difference: !state.difference }),
    z: () => (open ? byId("viewer").close() : zoom(null, state.image)),
  };
  if (open) Object.assign(actions, { ArrowUp: () => another(-1), ArrowDown: () => another(1), f: () => flicker(!state.flicker) });
  if (open && state.flicker) actions[" "] = flip;
  return actions[key];
}

function aim(slot) {
  choose({ slot });
  say(`The next digit chooses ${slot.toUpperCase()}`);
}

function onKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || !byId("keys").checked) return;
  const target = event.target;
  if (target.closest("select, textarea, input:not([type=range]):not([type=checkbox])") && event.key !== "?") return;
  const arrow = event.key.startsWith("Arrow");
  if (arrow && target.matches("input, .scroll, pre")) return; // they have their own use for arrows
  if (event.key === " " && target.closest("button, input")) return;
  const action = actionOf(event.key.length === 1 ? event.key.toLowerCase() : event.key);
  if (!action) return;
  event.preventDefault();
  action();
}

async function start() {
  startTheme();
  startCopy();
  startHelp();
  startTable();
  startScroll();
  document.addEventListener("keydown", onKey);
  if (sheet) {
    startGrid();
    startViewer();
    await loadSprites();
    choose({});
  }
  await startCharts();
  document.documentElement.dataset.ready = "yes";
}

start();
