"use strict";
// A click on a column's head sorts by it, a second one the other way round. Empty cells stay at the end.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
    const order = head.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
    const sign = order === "ascending" ? 1 : -1;
    const numeric = head.classList.contains("number");
    const value = (row) => {
      const cell = row.cells[column];
      if (!numeric) return cell.textContent;
      return cell.dataset.v ? Number(cell.dataset.v) : null;
    };
    const compare = (a, b) => {
      if (a === null || b === null) return (a === null) - (b === null);
      return sign * (numeric ? (a > b) - (a < b) : a.localeCompare(b, "en", { numeric: true }));
    };
    const rows = [...body.rows].map((row) => [value(row), row]);
    rows.sort(([a], [b]) => compare(a, b));
    body.append(...rows.map(([, row]) => row));
    heads.forEach((other) => other.removeAttribute("aria-sort"));
    head.setAttribute("aria-sort", order);
  }));
}
// A picture opens in its full size, to be scrolled where the window is smaller; a click or Escape closes it.
const large = document.getElementById("large");
for (const small of document.querySelectorAll(".pictures img")) {
  small.parentElement.addEventListener("click", () => {
    large.querySelector("div").replaceChildren(small.cloneNode());
    large.showModal();
    large.scrollTo(0, 0);
  });
}
if (large) large.addEventListener("click", () => large.close());
// On paper nothing can be unfolded.
const folded = document.querySelectorAll("details[data-print]:not([open])");
addEventListener("beforeprint", () => folded.forEach((each) => { each.open = true; }));
addEventListener("afterprint", () => folded.forEach((each) => { each.open = false; }));
