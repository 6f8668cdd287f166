"use strict";
// All that comes from a run is set as text.
const { runs, columns, sections } = JSON.parse(document.getElementById("data").textContent);
const table = document.getElementById("runs");
const body = table.tBodies[0];
const filter = document.getElementById("filter");
const compareButton = document.getElementById("compare");
const TONES = { completed: "good", running: "waiting", interrupted: "waiting" };

function add(parent, name, text = "", className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (className) made.className = className;
  parent.append(made);
  return made;
}

function link(parent, run) {
  if (!run.page) return add(parent, "span", run.id);
  const made = add(parent, "a", run.id);
  made.href = run.page;
  return made;
}

const rows = runs.map((run, number) => {
  const row = document.createElement("tr");
  const box = add(add(row, "td"), "input");
  box.type = "checkbox";
  box.setAttribute("aria-label", `Choose ${run.id}`);
  box.addEventListener("change", () => choose(number, box.checked));
  for (const { label, cells, keys } of columns) {
    const text = cells[number];
    const cell = add(row, "td", "", keys ? "number" : text.length > 40 ? "long" : "");
    if (label === "run") link(cell, run);
    else if (label === "status") add(cell, "span", text, `status ${TONES[text] || "bad"}`);
    else cell.textContent = text;
  }
  body.append(row);
  return { row, box, words: columns.map(({ cells }) => cells[number]).join("\n").toLowerCase() };
});

// A click on a column's head sorts by it, numbers the highest first; a second one the other way round. Empty cells stay last.
const head = table.tHead.rows[0];
add(head, "th").setAttribute("aria-label", "compare");
const heads = columns.map(({ label, cells, keys }, column) => {
  const cell = add(head, "th", "", keys ? "number" : "");
  cell.scope = "col";
  add(cell, "button", label).addEventListener("click", () => {
    const first = keys ? "descending" : "ascending";
    const order = cell.getAttribute("aria-sort") === first ? (keys ? "ascending" : "descending") : first;
    const sign = order === "ascending" ? 1 : -1;
    const value = (number) => (keys ? keys[number] : cells[number] || null);
    const sorted = rows.map((each, number) => [value(number), each.row]);
    sorted.sort(([a], [b]) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (keys ? a - b : a.localeCompare(b, "en", { numeric: true }));
    });
    body.append(...sorted.map(([, row]) => row));
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    cell.setAttribute("aria-sort", order);
  });
  return cell;
});

// Every word must be there, and none that has a minus in front.
function narrow() {
  const words = filter.value.toLowerCase().split(/\s+/).filter((word) => word && word !== "-");
  let left = 0;
  for (const each of rows) {
    const fits = words.every((word) => word[0] === "-" ? !each.words.includes(word.slice(1)) : each.words.includes(word));
    each.row.hidden = !fits;
    left += fits;
  }
  document.getElementById("count").textContent = words.length ? `${left} of ${runs.length}` : "";
}
filter.addEventListener("input", narrow);
narrow();

// Of three that are chosen, the first is let go.
let chosen = [];
function choose(number, wanted) {
  chosen = chosen.filter((each) => each !== number);
  if (wanted) chosen = [...chosen, number].slice(-2);
  rows.forEach(({ row, box }, each) => {
    box.checked = chosen.includes(each);
    row.classList.toggle("chosen", box.checked);
  });
  compareButton.disabled = chosen.length !== 2;
  const ids = chosen.map((each) => runs[each].id);
  document.getElementById("chosen").textContent = ["Choose two runs to compare them.", `${ids[0]} and …`, ids.join(" and ")][ids.length];
}

const dialog = document.getElementById("sides");
const compared = document.getElementById("compared");
const all = document.getElementById("all");
function compare() {
  compared.replaceChildren();
  const top = add(add(compared, "thead"), "tr");
  add(top, "th");
  chosen.forEach((each) => link(add(top, "th"), runs[each]));
  for (const { title, names, values } of sections) {
    const part = add(compared, "tbody");
    const heading = add(add(part, "tr"), "th", title);
    heading.colSpan = 3;
    names.forEach((name, position) => {
      const [a, b] = chosen.map((each) => values[each][position]);
      if ((a === null && b === null) || (a === b && !all.checked)) return;
      const row = add(part, "tr", "", a === b ? "same" : "");
      [name, a ?? "–", b ?? "–"].forEach((text) => add(row, "td", text));
    });
    if (part.rows.length === 1) heading.textContent = `${title}: no difference`;
  }
}
compareButton.addEventListener("click", () => { compare(); dialog.showModal(); });
all.addEventListener("change", compare);
