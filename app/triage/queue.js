// The queue as a table or a gallery. Only what can be seen is in the page; rows come in pages.

const PAGE = 60;
const ROW = 36;
const TILE = {width: 118, height: 156};
const KEPT_THUMBS = 4000;

function queue(host, {ask, pick, open, order, wantThumbs}) {
  const root = el("section", "queue", host, {"aria-label": "Queue"});
  const grid = el("div", "table", root, {role: "grid", tabindex: "0", "aria-label": "Queue"});
  const head = el("div", "head", el("div", "heads", grid, {role: "rowgroup"}), {role: "row"});
  const body = el("div", "space", grid, {role: "rowgroup"});
  const gallery = el("div", "gallery", root, {role: "listbox", tabindex: "0", "aria-label": "Queue, as images"});
  const wall = el("div", "space", gallery, {role: "presentation"});
  const thumbs = new Map();
  let [view, layout, selected, wanted] = [null, "table", -1, 0];
  let [rows, asked] = [new Map(), new Set()];
  let pool = new Map();  // index -> node shown

  const several = () => (layout === "gallery" ? Math.max(1, Math.floor((gallery.clientWidth - 8) / TILE.width)) : 1);
  const across = () => Math.floor((gallery.clientWidth - 8) / several());
  const scroller = () => (layout === "gallery" ? gallery : grid);
  const pitch = () => (layout === "gallery" ? TILE.height : ROW);

  function headings() {
    head.replaceChildren();
    grid.style.setProperty("--columns", view.columns.map((it) => it.width).join(" "));
    for (const column of view.columns) {
      const cell = el("div", `cell ${column.kind}`, head, {role: "columnheader"});
      if (column.order) {
        if (column.sorted) { cell.setAttribute("aria-sort", column.sorted); }
        const control = button(column.label, "sort", cell, {press: () => order(column.order)});
        control.title = column.title;
      } else if (column.define) {
        define(column.label, column.define, cell).title = column.title;
      } else {
        text("span", "", cell, column.label).title = column.title;
      }
      cell.dataset.key = column.key;
    }
  }

  function line(index, row) {
    const node = el("div", "row", null, {role: "row", id: `row-${index}`, "aria-rowindex": index + 2});
    for (const column of view.columns) {
      const cell = el("div", `cell ${column.kind}`, node, {role: "gridcell"});
      cell.dataset.key = column.key;
      fillCell(cell, column, row);
    }
    return node;
  }

  function fillCell(cell, {key, kind}, row) {
    if (!row) { cell.classList.add("waiting"); return; }
    const value = row[key];
    if (kind === "thumb") { picture(cell, row); }
    else if (kind === "number") {
      cell.textContent = number(value);
      if (value === null) { cell.title = row.why; }
    }
    else if (kind === "answer") {
      cell.classList.add(row.correct ? "right" : "wrong");
      text("b", "", cell, row.correct ? "✓" : "✗").setAttribute("aria-label", row.correct ? "right" : "wrong");
      cell.append(" " + value);
      cell.title = row.correct ? `${value}, right` : `${value}; labelled ${row.class}`;
    } else if (kind === "tags") { tagsInto(cell, row); }
    else { cell.textContent = value ?? "–"; cell.title = value ?? ""; }
  }

  function tagsInto(cell, row) {
    for (const tag of row.tags) { text("span", "tag", cell, tag); }
    if (row.notes) { text("span", "noted", cell, "✎").title = row.notes === 1 ? "a note" : `${row.notes} notes`; }
    cell.title = row.tags.join(", ");
  }

  function picture(parent, row) {
    const image = el("img", "", parent, {alt: "", loading: "lazy", decoding: "async"});
    const src = thumbs.get(row.id);
    image.hidden = !src;
    if (src) { image.src = src; }
    parent.classList.toggle("damaged", src === "");
    parent.dataset.image = row.id;
  }

  function tile(index, row) {
    const node = el("div", "tile", null, {role: "option", id: `tile-${index}`,
      "aria-setsize": view.total, "aria-posinset": index + 1});
    const well = el("div", "well", node);
    if (!row) { node.classList.add("waiting"); node.setAttribute("aria-label", "loading"); return node; }
    picture(well, row);
    node.setAttribute("aria-label", `${row.name}, seed ${row.seed}: ${row.predicted}, ${row.correct ? "right" : "wrong"}, `
      + `confidence ${number(row.confidence)}, score ${number(row.score)}, ${row.pattern}`);
    const first = el("div", "facts", node);
    text("b", row.correct ? "right" : "wrong", first, row.correct ? "✓" : "✗");
    text("span", "", first, number(row.confidence)).title = "confidence";
    text("span", "score", first, number(row.score)).title = "score";
    if (row.tags.length || row.notes) { tagsInto(el("div", "tags", well), row); }
    text("div", "pattern", node, row.pattern).title = `${row.name} · ${row.pattern}`;
    return node;
  }

  function put(index) {
    const row = rows.get(index);
    const node = layout === "gallery" ? tile(index, row) : line(index, row);
    if (layout === "gallery") {
      const columns = several();
      node.style.transform = `translate(${(index % columns) * across()}px, ${Math.floor(index / columns) * TILE.height}px)`;
    } else {
      node.style.transform = `translateY(${index * ROW}px)`;
    }
    node.dataset.index = index;
    node.dataset.there = row ? "yes" : "no";
    node.setAttribute("aria-selected", String(index === selected));
    const old = pool.get(index);
    if (old) { old.replaceWith(node); } else { (layout === "gallery" ? wall : body).append(node); }
    pool.set(index, node);
  }

  function range() {
    const [port, columns] = [scroller(), several()];
    const first = Math.max(0, Math.floor(port.scrollTop / pitch()) - 3) * columns;
    const last = Math.min(view.total, (Math.ceil((port.scrollTop + port.clientHeight) / pitch()) + 3) * columns);
    return [first, last];
  }

  function paint() {
    if (!view || !root.getClientRects().length) { return; }
    const [first, last] = range();
    for (const [index, node] of pool) {
      if (index < first || index >= last) { node.remove(); pool.delete(index); }
    }
    for (let index = first; index < last; index++) {
      if (!pool.has(index) || (pool.get(index).dataset.there === "no" && rows.has(index))) { put(index); }
    }
    need(first, last);
    thumbsFor(first, last);
  }

  function need(first, last) {
    for (let page = Math.floor(first / PAGE); page * PAGE < last; page++) {
      const missing = !rows.has(clamp(page * PAGE, first, last - 1)) || !rows.has(Math.min(last, (page + 1) * PAGE) - 1);
      if (missing && !asked.has(page)) {
        asked.add(page);
        ask({start: page * PAGE, count: PAGE, version: view.version});
      }
    }
  }

  function thumbsFor(first, last) {
    clearTimeout(wanted);
    wanted = setTimeout(() => {
      const missing = new Set();
      for (let index = first; index < last; index++) {
        const row = rows.get(index);
        if (row && !thumbs.has(row.id)) { missing.add(row.id); }
      }
      if (missing.size) { wantThumbs([...missing]); }
    }, 60);
  }

  function height() {
    const lines = Math.ceil(view.total / several());
    (layout === "gallery" ? wall : body).style.height = `${lines * pitch()}px`;
  }

  function rebuild() {
    for (const node of pool.values()) { node.remove(); }
    pool = new Map();
    if (!view) { return; }
    height();
    paint();
  }

  function reveal(index) {
    if (index < 0 || !view) { return; }
    const [port, top] = [scroller(), Math.floor(index / several()) * pitch()];
    const headed = layout === "gallery" ? 0 : head.offsetHeight;
    if (top < port.scrollTop) { port.scrollTop = top; }
    else if (top + pitch() + headed > port.scrollTop + port.clientHeight) {
      port.scrollTop = top + pitch() + headed - port.clientHeight;
    }
  }

  function mark() {
    for (const [index, node] of pool) { node.setAttribute("aria-selected", String(index === selected)); }
    const id = layout === "gallery" ? `tile-${selected}` : `row-${selected}`;
    const port = scroller();
    if (selected >= 0 && pool.has(selected)) { port.setAttribute("aria-activedescendant", id); }
    else { port.removeAttribute("aria-activedescendant"); }
  }

  function see(found) {
    const same = view && found && view.version === found.version;
    view = found;
    root.hidden = !view || view.status !== "ready";
    if (root.hidden) { return; }
    if (!same) {
      [rows, asked] = [new Map(), new Set()];
      selected = view.selected;
    }
    take({version: view.version, ...view.first}, false);
    grid.setAttribute("aria-rowcount", view.total + 1);
    headings();
    if (!same) { scroller().scrollTop = 0; }
    rebuild();
    if (!same) { reveal(selected); }
    paint();
    mark();
  }

  function take(page, shown = true) {
    if (!view || page.version !== view.version || !page.rows) { return; }
    page.rows.forEach((row, i) => rows.set(page.start + i, row));
    asked.delete(Math.floor(page.start / PAGE));
    if (shown) { paint(); mark(); }
  }

  function fill(found) {
    for (const [id, src] of Object.entries(found)) { thumbs.set(id, src); }
    while (thumbs.size > KEPT_THUMBS) { thumbs.delete(thumbs.keys().next().value); }
    for (const well of root.querySelectorAll("[data-image]")) {
      const src = found[well.dataset.image];
      if (src === undefined) { continue; }
      const image = well.querySelector("img");
      if (src) { image.src = src; }
      image.hidden = !src;
      well.classList.toggle("damaged", !src);
    }
  }

  // What somebody wrote about some images, here or elsewhere.
  function remark(samples) {
    for (const [index, row] of rows) {
      const found = samples[row.name];
      if (!found) { continue; }
      rows.set(index, {...row, tags: found.tags, notes: found.notes.length});
      if (pool.has(index)) { put(index); }
    }
  }

  function choose(index) {
    if (!view || !view.total) { return; }
    const to = clamp(index, 0, view.total - 1);
    if (to === selected) { return; }
    selected = to;
    reveal(to);
    paint();
    mark();
    pick({at: to, version: view.version, row: rows.get(to) || null});
  }

  function arrange(name) {
    layout = name;
    grid.hidden = name === "gallery";
    gallery.hidden = name !== "gallery";
    rebuild();
    reveal(selected);
    paint();
    mark();
  }

  for (const port of [grid, gallery]) {
    port.addEventListener("scroll", () => requestAnimationFrame(paint), {passive: true});
    port.addEventListener("click", (event) => {
      const node = event.target.closest("[data-index]");
      if (node) { choose(Number(node.dataset.index)); }
    });
    port.addEventListener("dblclick", (event) => {
      if (event.target.closest("[data-index]")) { open(); }
    });
  }
  const watch = new ResizeObserver(() => requestAnimationFrame(() => { if (view && !root.hidden) { rebuild(); reveal(selected); paint(); } }));
  watch.observe(root);
  gallery.hidden = true;
  return {
    see, take, fill, remark, choose, arrange,
    step: (by) => choose(selected < 0 ? 0 : selected + by),
    jump: (by) => choose(selected < 0 ? 0 : selected + by * several()),
    pageful: () => Math.max(1, Math.floor(scroller().clientHeight / pitch()) - 1),
    row: () => rows.get(selected) ?? null,
    at: () => selected,
    focus: () => scroller().focus({preventScroll: true}),
    holds: (node) => grid.contains(node) || gallery.contains(node),
    remove: () => watch.disconnect(),
  };
}
