// The table of scores and the badges of a card.

// Scores of up to 100 are in per cent.
function valueText(value, scale) {
  return scale === 100 ? `${value.toFixed(value < 9.995 ? 2 : 1)}%` : value.toFixed(3);
}

// What a row's elements depend on; rows alike in this differ in their values only.
const rowKind = (row) => JSON.stringify([row.label, row.metric, row.ranks, row.share === undefined,
  row.share === null, row.chance === null || row.scale === null,
  row.ceiling === null || row.ceiling === undefined || row.scale === null]);

// Names and numbers of scores open their definition; ``of`` is the method whose map is meant.
// A table whose rows are of the same kinds as before keeps its elements.
function fillRows(table, rows, caption, of = "") {
  const kinds = `${of} ${rows.map(rowKind).join()}`;
  if (table.kinds !== kinds) {
    table.kinds = kinds;
    makeRows(table, rows, of);
  }
  if (rows.length) { table.setAttribute("aria-label", caption); }
  rows.forEach((row, i) => table.fillers[i](row));
}

function makeRows(table, rows, of) {
  table.replaceChildren();
  table.fillers = [];
  if (!rows.length) { return; }
  const columns = el("colgroup", "", table);
  const plain = rows.every((row) => row.share === undefined);
  const wide = rows.some((row) => row.share !== undefined && row.label.length > 15);
  table.classList.toggle("wide", wide);
  for (const name of ["name", "bar", "value"]) { el("col", plain ? `plain ${name}` : name, columns); }
  const body = el("tbody", "", table);
  table.fillers = rows.map((row) => makeRow(body, row, of));
}

function makeRow(body, row, of) {
  const line = el("tr", row.ranks ? "ranks" : "", body);
  const head = el("th", "", line, {scope: "row"});
  if (row.metric) {
    el("button", "define", head, {type: "button", "data-define": row.metric, "data-of": of,
                                  "data-name": row.label}).textContent = row.label;
  } else {
    head.textContent = row.label;
  }
  if (row.share === undefined) {
    const cell = el("td", "fact", line, {colspan: "2"});
    return ({text, title}) => { head.title = title || ""; cell.textContent = cell.title = text; };
  }
  const bar = el("td", "bar", line, {"aria-hidden": "true"});
  const track = el("div", "track", bar);
  const tick = (has, kind) => (has ? el("div", kind, track) : null);
  const filled = tick(row.share !== null, "fill");
  const chance = tick(row.chance !== null && row.scale !== null, "tick");
  const ceiling = tick(row.ceiling !== null && row.ceiling !== undefined && row.scale !== null,
    "tick best");
  const cell = el("td", row.share === null ? "value none" : "value", line);
  if (row.metric) { Object.assign(cell.dataset, {define: row.metric, of, name: row.label}); }
  return (now) => {
    head.title = now.title || "";
    if (filled) { filled.style.width = `${100 * Math.max(0, Math.min(1, now.share))}%`; }
    const said = [];
    if (chance) {
      chance.style.left = `${100 * now.chance / now.scale}%`;
      said.push(`constant map: ${valueText(now.chance, now.scale)}`);
    }
    if (ceiling) {
      ceiling.style.left = `${100 * now.ceiling / now.scale}%`;
      said.push(`best on this grid: ${valueText(now.ceiling, now.scale)}`);
    }
    bar.title = said.join(" · ");
    cell.textContent = now.text;
    cell.title = now.title || "";
  };
}

function fillBadges(node, badges) {
  node.replaceChildren(...badges.map(({text, kind, title, define}) => {
    const badge = el("span", `badge ${kind}`);
    badge.textContent = text;
    if (define) { Object.assign(badge.dataset, {define, name: text}); badge.tabIndex = 0; }
    if (title) {  // said as well as shown: a title alone is not read out
      badge.title = title;
      badge.setAttribute("role", "note");
      badge.setAttribute("aria-label", `${text}: ${title}`);
    }
    return badge;
  }));
}
