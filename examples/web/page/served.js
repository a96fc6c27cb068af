// Not a module: a page that was opened as a file cannot load modules, and this is the part that says so.
if (location.protocol === "file:") {
  const error = document.getElementById("error");
  error.textContent = "This page must be served, not opened as a file: in its folder, run python -m http.server";
  error.hidden = false;
  document.getElementById("status").hidden = true;
}
