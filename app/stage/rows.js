// The table of scores and the badges of a card.

// Scores of up to 100 are in per cent.
function valueText(value, scale) {
  return scale === 100 ? `${value.toFixed(value < 9.995 ? 2 : 1)}%` : value.toFixed(3);
}

// Names and numbers of scores open their definition; ``of`` is the method whose map is meant.
function fillRows(table, rows, caption, of = "") {
  table.replaceChildren();
  if (!rows.length) { return; }
  table.setAttribute("aria-label", caption);
  const columns = el("colgroup", "", table);
  const plain = rows.every((row) => row.share === undefined);
  const wide = rows.some((row) => row.share !== undefined && row.label.length > 15);
  table.classList.toggle("wide", wide);
  for (const name of ["name", "bar", "value"]) { el("col", plain ? `plain ${name}` : name, columns); }
  const body = el("tbody", "", table);
  for (const row of rows) {
    const line = el("tr", row.ranks ? "ranks" : "", body);
    const head = el("th", "", line, {scope: "row"});
    if (row.metric) {
      el("button", "define", head, {type: "button", "data-define": row.metric, "data-of": of,
                                    "data-name": row.label}).textContent = row.label;
    } else {
      head.textContent = row.label;
    }
    if (row.title) { head.title = row.title; }
    if (row.share === undefined) {
      const cell = el("td", "fact", line, {colspan: "2"});
      cell.textContent = row.text;
      cell.title = row.text;
      continue;
    }
    const bar = el("td", "bar", line, {"aria-hidden": "true"});
    const track = el("div", "track", bar);
    if (row.share !== null) {
      el("div", "fill", track).style.width = `${100 * Math.max(0, Math.min(1, row.share))}%`;
    }
    if (row.chance !== null && row.scale !== null) {
      const tick = el("div", "tick", track);
      tick.style.left = `${100 * row.chance / row.scale}%`;
      bar.title = `constant map: ${valueText(row.chance, row.scale)}`;
    }
    if (row.ceiling !== null && row.ceiling !== undefined && row.scale !== null) {
      el("div", "tick best", track).style.left = `${100 * row.ceiling / row.scale}%`;
      const best = `best on this grid: ${valueText(row.ceiling, row.scale)}`;
      bar.title = [bar.title, best].filter(Boolean).join(" · ");
    }
    const cell = el("td", row.share === null ? "value none" : "value", line);
    cell.textContent = row.text;
    if (row.title) { cell.title = row.title; }
    if (row.metric) { Object.assign(cell.dataset, {define: row.metric, of, name: row.label}); }
  }
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
