"use strict";
for (const place of document.querySelectorAll(".plot")) {
  const spec = JSON.parse(document.getElementById(place.id + "-data").textContent);
  Plotly.newPlot(place, spec.data, spec.layout, { responsive: true, displayModeBar: false });
}
function fit(figures) {
  for (const place of figures.querySelectorAll(".plot")) {
    Plotly.relayout(place, { autosize: true, width: null, height: null });
  }
}
// A figure that was folded away has been drawn without a width.
for (const fold of document.querySelectorAll("details")) {
  fold.addEventListener("toggle", () => fold.open && fit(fold));
}

const root = document.documentElement;
// The page is printed as it stands when these return, so that they wait for nothing.
function drawFor(paper) {
  root.classList.toggle("paper", paper);
  fit(document);
}
addEventListener("beforeprint", () => {
  for (const fold of document.querySelectorAll("details.fold")) fold.open = true;
  drawFor(true);
});
addEventListener("afterprint", () => drawFor(false));

const theme = document.getElementById("theme");
const systemDark = matchMedia("(prefers-color-scheme: dark)");
function isDark() {
  return root.dataset.theme ? root.dataset.theme === "dark" : systemDark.matches;
}
function nameTheme() {
  theme.textContent = isDark() ? "Light" : "Dark";
}
theme.hidden = false;
theme.addEventListener("click", () => {
  root.dataset.theme = isDark() ? "light" : "dark";
  nameTheme();
});
systemDark.addEventListener("change", nameTheme);
nameTheme();

function sortBy(header) {
  const table = header.closest("table");
  const column = header.cellIndex;
  const descending = header.getAttribute("aria-sort") !== "descending";
  const body = table.tBodies[0];
  const value = (row) => {
    const cell = row.cells[column];
    return cell.dataset.sort === undefined ? cell.textContent.trim() : Number(cell.dataset.sort);
  };
  // A dash may be followed by its reason.
  const missing = (one) => one === "" || String(one).startsWith("\u2013");
  const rows = [...body.rows].sort((a, b) => {
    const [one, other] = [value(a), value(b)];
    if (missing(one) || missing(other)) return missing(one) - missing(other);
    const numbers = typeof one === "number" && typeof other === "number";
    const order = numbers ? one - other : String(one).localeCompare(String(other), "en", { numeric: true });
    return descending ? -order : order;
  });
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  header.setAttribute("aria-sort", descending ? "descending" : "ascending");
  body.append(...rows);
}
for (const header of document.querySelectorAll(".sortable th")) {
  header.querySelector("button").addEventListener("click", () => sortBy(header));
}

const slider = document.getElementById("threshold");
if (slider) {
  const counts = JSON.parse(document.getElementById("threshold-data").textContent);
  const share = (part, whole) => (whole ? (100 * part / whole).toFixed(1) + " %" : "\u2013");
  const show = () => {
    const step = Number(slider.value);
    document.getElementById("threshold-shown").textContent = (step / counts.steps).toFixed(3);
    for (const row of document.querySelectorAll("#slider tr[data-part]")) {
      const { shootings, others } = counts.parts[row.dataset.part];
      const [found, alarms] = [shootings[step], others[step]];
      const numbers = {
        found, missed: shootings[0] - found, false: alarms, quiet: others[0] - alarms,
        tpr: share(found, shootings[0]), fpr: share(alarms, others[0]),
      };
      for (const cell of row.querySelectorAll("[data-number]")) {
        cell.textContent = numbers[cell.dataset.number].toLocaleString("en");
      }
    }
  };
  slider.addEventListener("input", show);
  show();
}
