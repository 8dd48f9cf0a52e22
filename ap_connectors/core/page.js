
"use strict";
/* Tables are whole without this: it lets people sort them and search in them. */
document.documentElement.classList.add("scripted");

function cellValue(row, column) {
  const cell = row.cells[column];
  return cell ? (cell.dataset.value ?? cell.textContent.trim()) : "";
}

/* Numbers in plain digits, of any length: by their size, and where that is the same to a double, by their digits. */
function compareValues(a, b, numeric) {
  if (numeric) {
    const [x, y] = [parseFloat(a), parseFloat(b)];
    if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
    if (x !== y) return x - y;
  }
  return a.localeCompare(b, document.documentElement.lang, { numeric: true });
}

/* Lets the cells of tables that do not fit into a narrow window stand below each other. */
function fit() {
  for (const wide of document.querySelectorAll(".wide")) {
    wide.classList.remove("stacked");
    wide.classList.toggle("stacked", wide.scrollWidth > wide.clientWidth);
  }
}
addEventListener("resize", fit);

/* Makes tables of a part of the page sortable, and searchable, and tells each cell the head of its column. */
function prepare(root) {
  for (const wide of root.querySelectorAll(".wide")) {
    const heads = [...wide.querySelector("thead tr").cells].map((head) => head.textContent.trim());
    for (const row of wide.querySelectorAll("tbody tr:not(.head)")) {
      [...row.cells].forEach((cell, column) => { if (heads[column]) cell.dataset.head = heads[column]; });
    }
  }
  /* Rows of the class "head" stay where they are, and those of "more" at the end; each body of a table is sorted by itself. */
  for (const table of root.querySelectorAll("table[data-sortable]")) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (!head.textContent.trim()) return;
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        for (const body of table.tBodies) {
          const rows = [...body.rows].filter((row) => !row.classList.contains("head"));
          const after = [...body.rows].filter((row) => row.classList.contains("more"));
          rows.sort((a, b) => compareValues(cellValue(a, column), cellValue(b, column), head.classList.contains("n")));
          body.append(...(down ? rows.reverse() : rows), ...after);
        }
      });
    });
  }

  /* A search shows the rows with all its words; it looks through every table of its listing, and hides empty groups. */
  for (const listing of root.querySelectorAll(".listing-searched")) {
    const field = listing.querySelector("input[type=search]");
    const told = listing.querySelector("output");
    const rows = [...listing.querySelectorAll("tbody tr:not(.head)")];
    /* The heading of a body says of what its rows are. */
    const textOf = (row) => [...(row.parentElement.querySelector("tr.record")?.cells ?? []), ...row.cells];
    const texts = rows.map((row) => textOf(row).map((cell) => cell.textContent).join(" ").toLocaleLowerCase());
    const groups = [...listing.querySelectorAll(".group")];
    field.addEventListener("input", () => {
      const words = field.value.toLocaleLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, number) => {
        row.hidden = !words.every((word) => texts[number].includes(word));
        shown += !row.hidden;
      });
      groups.forEach((group) => { group.hidden = !group.querySelector("tr:not(.head):not([hidden])"); });
      const [first, second] = [String(shown), String(rows.length)];
      told.textContent = words.length ? told.dataset.shown.replace("{}", first).replace("{}", second) : "";
    });
  }
}
prepare(document);
fit();
