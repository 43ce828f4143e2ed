"use strict";
const map = document.getElementById("map");
const body = map.tBodies[0];
const heads = [...map.tHead.rows[1].cells];
const order = [..."fuesnp"]; // classes of cells, the worst first

function value(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.v !== undefined) return Number(cell.dataset.v);
  const at = order.indexOf(cell.classList[0]);
  return at >= 0 ? at : cell.textContent;
}

function compare(a, b) {
  return typeof a === "string" ? a.localeCompare(b, undefined, { numeric: true }) : a - b;
}

function sort(column, descending) {
  const sign = descending ? -1 : 1;
  const rows = [...body.rows].map((row, i) => [value(row, column), i, row]);
  rows.sort((a, b) => sign * compare(a[0], b[0]) || a[1] - b[1]);
  body.append(...rows.map((entry) => entry[2]));
  for (const head of heads) head.removeAttribute("aria-sort");
  heads[column].setAttribute("aria-sort", descending ? "descending" : "ascending");
}

function choose(column) {
  const descending = heads[column].getAttribute("aria-sort") === "ascending";
  sort(column, descending);
  history.replaceState(null, "", "#sort=" + heads[column].dataset.key + (descending ? "&desc" : ""));
}

// The fragment is an id to show, or says how to sort and which language to use: #sort=total&desc&lang=es.
function follow() {
  const fragment = location.hash.slice(1);
  const target = document.getElementById(fragment);
  if (target) {
    for (let e = target; e; e = e.parentElement) if (e.tagName === "DETAILS") e.open = true;
    target.scrollIntoView();
    const summary = target.querySelector(":scope > summary");
    if (!summary) target.tabIndex = -1;
    (summary ?? target).focus({ preventScroll: true });
    return;
  }
  const wanted = new URLSearchParams(fragment);
  const column = heads.findIndex((head) => head.dataset.key === wanted.get("sort"));
  if (column >= 0) sort(column, wanted.has("desc"));
  speak(wanted.get("lang"));
}

function speak(lang) {
  if (lang !== "en" && lang !== "es") return;
  document.getElementById(lang).checked = true;
  document.documentElement.lang = lang;
}

function foldAll(open) {
  for (const d of document.querySelectorAll("details.sub")) d.open = open;
}

// Links and not buttons: Chromium leaves buttons out of a heading that is printed again on the next page.
for (const [column, head] of heads.entries()) {
  const link = document.createElement("a");
  link.href = "#sort=" + head.dataset.key;
  link.append(...head.childNodes);
  link.addEventListener("click", (event) => {
    event.preventDefault();
    choose(column);
  });
  head.append(link);
}
// A click selects a whole command (user-select), and so does Tab.
for (const code of document.querySelectorAll("pre > code")) {
  code.parentElement.tabIndex = 0;
  code.parentElement.addEventListener("focus", () => getSelection().selectAllChildren(code));
}
for (const lang of ["en", "es"]) document.getElementById(lang).addEventListener("change", () => speak(lang));
document.getElementById("unfold").addEventListener("click", () => foldAll(true));
document.getElementById("fold").addEventListener("click", () => foldAll(false));
document.getElementById("filter").addEventListener("input", (event) => {
  const part = event.target.value.toLowerCase();
  for (const row of body.rows) row.hidden = !row.cells[0].textContent.toLowerCase().includes(part);
});
for (const tools of document.querySelectorAll(".tools")) tools.hidden = false;
speak(navigator.language.slice(0, 2));
addEventListener("hashchange", follow);
follow();
