// Sorting and filtering of the tables that are marked for it. Without this script they are plain tables.
document.documentElement.classList.add("js");
for (const box of document.querySelectorAll("[data-sortable]")) {
  const table = box.querySelector("table"), body = table.tBodies[0], rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells], count = box.querySelector("[data-count]");
  const fields = [...box.querySelectorAll("[data-filter]")];
  const value = (row, column) => row.cells[column].dataset.value ?? row.cells[column].textContent.trim();
  const compare = (a, b) => {
    const x = parseFloat(a), y = parseFloat(b);
    return isNaN(x) || isNaN(y) ? a.localeCompare(b) : x - y;
  };
  const filter = () => {
    let shown = 0;
    for (const row of rows) {
      row.hidden = !fields.every((field) => {
        const wanted = field.value.trim().toLowerCase();
        if (!wanted) return true;
        if (field.dataset.filter === "") return row.textContent.toLowerCase().includes(wanted);
        return value(row, +field.dataset.filter).toLowerCase() === wanted;
      });
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length} shown`;
  };
  heads.forEach((head, column) => {
    if (!head.dataset.sort) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const rising = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", rising ? "ascending" : "descending");
      rows.sort((a, b) => (rising ? 1 : -1) * compare(value(a, column), value(b, column)));
      body.append(...rows);
    });
  });
  for (const field of fields) {
    const column = field.dataset.filter;
    if (field.tagName === "SELECT")
      for (const word of [...new Set(rows.map((row) => value(row, +column)))].sort()) field.add(new Option(word, word));
    field.addEventListener("input", filter);
  }
  filter();
}
// On paper nothing can be unfolded.
let folded = [];
addEventListener("beforeprint", () => {
  folded = [...document.querySelectorAll("details:not([open])")];
  folded.forEach((part) => (part.open = true));
});
addEventListener("afterprint", () => folded.forEach((part) => (part.open = false)));
