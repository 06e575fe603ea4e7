// All cards of Explore in one component: one message per change, drawn in place, swapped in whole.
// Opacity, colour map, view and scale never ask the server.

const svg = "http://www.w3.org/2000/svg";

function el(tag, className, parent, attributes = {}) {
  const node = document.createElement(tag);
  if (className) { node.className = className; }
  for (const [name, value] of Object.entries(attributes)) { node.setAttribute(name, value); }
  if (parent) { parent.append(node); }
  return node;
}

function load(src) {
  const image = new Image();
  image.src = src;
  return image.decode().then(() => image);
}

// A heatmap arrives as a grey PNG: its levels 0..255, decoded once, coloured as often as wanted.
async function loadLevels(src) {
  const image = await load(src);
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  const levels = new Uint8Array(width * height);
  for (let i = 0; i < levels.length; i++) { levels[i] = pixels[4 * i]; }
  return {levels, width, height};
}

function decodeTable(text) {
  return Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
}

function outline(parent) {
  const node = document.createElementNS(svg, "svg");
  node.setAttribute("class", "outline");
  node.setAttribute("preserveAspectRatio", "none");
  node.setAttribute("aria-hidden", "true");
  for (const name of ["casing", "line"]) {
    const path = document.createElementNS(svg, "path");
    path.setAttribute("class", name);
    node.append(path);
  }
  parent.append(node);
  return node;
}

function setOutline(node, view) {
  node.setAttribute("viewBox", `0 0 ${view.width} ${view.height}`);
  for (const path of node.children) { path.setAttribute("d", view.outline || ""); }
}

function makeWell(card, kind) {
  const well = el("div", `well ${kind}`, card);
  const layers = el("div", "layers", well);
  const well_parts = {well, layers, picture: el("img", "picture", layers, {alt: ""})};
  if (kind === "heat") { well_parts.canvas = el("canvas", "layer", layers, {role: "img"}); }
  if (kind === "topk") { well_parts.image = el("img", "layer", layers); }
  well_parts.outline = outline(layers);
  el("div", "cross", layers, {"aria-hidden": "true"});
  el("div", "naming", well, {"aria-hidden": "true"}).hidden = true;
  return well_parts;
}

function makeCard(parent, source) {
  const card = el("article", source ? "card source" : "card", parent);
  const head = el("header", "", card);
  const parts = {card, title: el("h3", "", head), badges: el("span", "badges", head)};
  parts.heat = makeWell(card, source ? "plain" : "heat");
  if (!source) {
    parts.scale = el("div", "scale", card, {"aria-hidden": "true"});
    parts.ramp = el("span", "ramp", parts.scale);
    parts.readout = el("span", "readout", parts.scale);
    parts.topk = makeWell(card, "topk");
  }
  parts.note = el("p", "note", card);
  parts.table = el("table", "scores", card);
  return parts;
}

// Scores of up to 100 are in per cent.
function valueText(value, scale) {
  return scale === 100 ? `${value.toFixed(value < 9.995 ? 2 : 1)}%` : value.toFixed(3);
}

function fillRows(table, rows, caption) {
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
    head.textContent = row.label;
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
  }
}

function fillBadges(node, badges) {
  node.replaceChildren(...badges.map(({text, kind, title}) => {
    const badge = el("span", `badge ${kind}`);
    badge.textContent = text;
    if (title) {  // said as well as shown: a title alone is not read out
      badge.title = title;
      badge.setAttribute("role", "note");
      badge.setAttribute("aria-label", `${text}: ${title}`);
    }
    return badge;
  }));
}

export function render({model, el: host}) {
  const tables = Object.fromEntries(
    Object.entries(model.tables).map(([name, text]) => [name, decodeTable(text)]));
  const root = el("section", "explore", host, {"aria-label": "Heatmaps and scores"});
  const band = el("header", "band", root);
  const facts = el("div", "facts", band);
  const verdict = el("div", "verdict", band, {role: "status", "aria-live": "polite"});
  const legend = el("div", "legend", band, {"aria-label": "Legend"});
  const work = el("div", "work", band);
  const bar = el("div", "bar-track", work);
  const fill = el("div", "bar-fill", bar);
  const doing = el("span", "doing", work);
  const cancel = el("button", "plain", work, {type: "button"});
  cancel.textContent = "Cancel";
  cancel.addEventListener("click", () => model.send_msg({type: "cancel"}));
  const message = el("div", "message", root, {role: "alert"});
  const grid = el("div", "wall", root);
  const cards = new Map();
  let source = null;
  let current = null;       // the view on screen
  let wanted = -1;          // version asked for last
  let kept = new Map();     // decoded images and levels of the view on screen, by id

  const regions = makeRegions({model, root, card: () => source, view: () => current});

  for (const [name, text] of [["hit", "hit"], ["miss", "miss"], ["false-alarm", "false alarm"],
                              ["edge", "mask outline"], ["chance", "constant map"],
                              ["best", "best on its grid"]]) {
    const item = el("span", "key", legend);
    el("i", name, item);
    el("span", "", item).textContent = text;
  }

  // ---- colouring: the browser's own part
  // The level that only the given share of a map's pixels exceeds, at least 1.
  function brightest(data, share) {
    const counts = new Uint32Array(256);
    for (let i = 0; i < data.length; i++) { counts[data[i]]++; }
    let level = 255;
    for (let above = counts[255]; level > 1 && above <= share * data.length; above += counts[level]) {
      level--;
    }
    return level;
  }
  function paintCard(parts, view) {
    const {data, width, height} = {data: parts.levels.levels, ...parts.levels};
    const table = tables[model.colormap] || Object.values(tables)[0];
    const canvas = parts.heat.canvas;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width; canvas.height = height;
    }
    let [scale, shift] = [1, 0];
    if (model.scale.toLowerCase().startsWith("clip")) {
      scale = 255 / brightest(data, 0.005);
    } else if (model.scale.toLowerCase().startsWith("shared") && view.high > view.low) {
      scale = (parts.high - parts.low) / (view.high - view.low);
      shift = 255 * (parts.low - view.low) / (view.high - view.low);
    }
    const out = new ImageData(width, height);
    const pixels = new Uint32Array(out.data.buffer);
    const lookup = new Uint32Array(256);
    const bytes = new Uint8Array(lookup.buffer);
    for (let i = 0; i < 256; i++) {
      const at = 3 * Math.max(0, Math.min(255, Math.round(i * scale + shift)));
      bytes.set([table[at], table[at + 1], table[at + 2], 255], 4 * i);
    }
    for (let i = 0; i < data.length; i++) { pixels[i] = lookup[data[i]]; }
    canvas.getContext("2d").putImageData(out, 0, 0);
  }
  function paintAll() {
    if (!current) { return; }
    for (const parts of cards.values()) { if (parts.levels) { paintCard(parts, current); } }
    const table = tables[model.colormap] || Object.values(tables)[0];
    const stops = [];
    for (let i = 0; i <= 255; i += 15) {
      stops.push(`rgb(${table[3 * i]} ${table[3 * i + 1]} ${table[3 * i + 2]})`);
    }
    root.style.setProperty("--ramp", `linear-gradient(90deg, ${stops.join(",")})`);
  }
  function display() {
    root.style.setProperty("--opacity", model.opacity);
    // a button group hands over its label: "Top-K" means topk
    root.dataset.view = model.mode.toLowerCase().replace(/[^a-z]/g, "");
  }

  // ---- one message: decode everything first, then swap it in within one frame
  async function show() {
    const view = model.view;
    if (!view || view.version === undefined) { return; }
    wanted = view.version;
    const next = new Map();
    let missing = false;
    const fetch = async (item, loader) => {
      if (!item) { return; }
      if (kept.has(item.id)) { next.set(item.id, kept.get(item.id)); return; }
      if (!item.src) { missing = true; return; }
      next.set(item.id, await loader(item.src));
    };
    try {
      await Promise.all([
        fetch(view.picture, load),
        fetch(view.regions?.index, loadIndex),
        ...(view.cards || []).flatMap((card) => [fetch(card.heat, loadLevels), fetch(card.topk, load)]),
      ]);
    } catch (error) {
      console.warn("an image could not be decoded", error);
      return;
    }
    if (view.version !== wanted) { return; }
    if (missing) { model.send_msg({type: "resend"}); return; }
    kept = next;
    current = view;
    draw(view);
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (current !== view) { return; }
      root.dataset.painted = String(view.version);
      root.dataset.status = view.status;
      root.dataset.sample = view.sample || "";
      root.dataset.k = view.k ?? "";
      root.dataset.region = view.regions?.picked ?? "";
      regions.draw();  // after the pictures: nobody waits for the bars
    }));
  }

  function draw(view) {
    root.setAttribute("aria-busy", String(view.status === "loading"));
    root.style.setProperty("--aspect", `${view.width || 1} / ${view.height || 1}`);
    root.classList.toggle("pixels", (view.width || 999) < 160);
    root.classList.toggle("no-mask", !view.outline);
    facts.replaceChildren();
    for (const fact of view.facts || []) {
      const item = el("div", `fact ${fact.kind || ""}`, facts);
      el("span", "name", item).textContent = fact.name;
      el("strong", "", item).textContent = fact.value;
      if (fact.mark) { el("span", "mark", item).textContent = fact.mark; }
      if (fact.note) { el("span", "aside", item).textContent = fact.note; }
    }
    verdict.replaceChildren();
    if (view.verdict) {
      el("strong", "", verdict).textContent = view.verdict.title;
      el("span", "", verdict).textContent = view.verdict.text;
    }
    work.hidden = view.status !== "loading";
    if (view.progress) {
      fill.style.width = `${100 * view.progress.done / Math.max(1, view.progress.total)}%`;
      doing.textContent = view.progress.text;
    }
    message.hidden = !view.message;
    message.replaceChildren();
    if (view.message) {
      el("h2", "", message).textContent = view.message.title;
      for (const text of view.message.lines) { el("p", "", message).textContent = text; }
      for (const {id, label} of view.message.actions || []) {
        const button = el("button", "plain", message, {type: "button"});
        button.textContent = label;
        button.addEventListener("click", () => model.send_msg({type: id}));
      }
    }
    drawSource(view);
    const keys = new Set((view.cards || []).map((card) => card.key));
    for (const [key, parts] of cards) {
      if (!keys.has(key)) { parts.card.remove(); cards.delete(key); }
    }
    for (const card of view.cards || []) { drawCard(view, card); }
    legend.querySelector(".hit + span").textContent = view.outline ? "hit" : "Top-K";
    const rows = (view.cards || []).flatMap((card) => card.rows || []);
    const has = (name) => rows.some((row) => row[name] !== null && row[name] !== undefined);
    legend.querySelector(".chance").parentElement.hidden = !has("chance");
    legend.querySelector(".best").parentElement.hidden = !has("ceiling");
    legend.hidden = !(view.cards || []).length;
    paintAll();
  }

  function drawSource(view) {
    if (!view.picture) {
      if (source) { source.card.remove(); source = null; }
      regions.see(null, null);
      return;
    }
    if (!source) { source = makeCard(grid, true); grid.prepend(source.card); regions.attach(source); }
    source.title.textContent = "Image";
    source.heat.picture.src = kept.get(view.picture.id).src;
    source.heat.picture.alt = view.picture.alt;
    setOutline(source.heat.outline, view);
    regions.see(view.regions, view.regions && kept.get(view.regions.index.id));
    source.note.textContent = view.source_note || "";
    fillRows(source.table, view.source_rows || [], "About the image");
  }

  function drawCard(view, card) {
    let parts = cards.get(card.key);
    if (!parts) { parts = makeCard(grid, false); cards.set(card.key, parts); }
    grid.append(parts.card);  // keeps the order of the view
    parts.card.dataset.method = card.key;
    parts.card.dataset.state = card.state;
    parts.card.className = `card ${card.state} ${card.winner ? "winner" : ""} ${card.baseline ? "baseline" : ""}`;
    parts.title.textContent = card.label;
    parts.title.title = card.title || card.label;
    fillBadges(parts.badges, card.badges || []);
    parts.note.textContent = card.note || "";
    fillRows(parts.table, card.rows || [], `Scores of ${card.label}`);
    parts.levels = card.heat ? kept.get(card.heat.id) : null;
    [parts.low, parts.high] = [card.low, card.high];
    for (const well of [parts.heat, parts.topk]) {
      well.picture.src = view.picture ? kept.get(view.picture.id).src : "";
      setOutline(well.outline, view);
    }
    parts.heat.canvas.setAttribute("aria-label", card.heat_alt || "");
    if (card.topk) {
      parts.topk.image.src = kept.get(card.topk.id).src;
      parts.topk.image.alt = card.topk_alt || "";
    }
    parts.topk.image.hidden = !card.topk;
    parts.heat.canvas.hidden = !card.heat;
    parts.readout.textContent = "";
  }

  // ---- a linked cross and loupe over all images
  function point(event) {
    const well = event.target.closest(".well");
    if (!well || !current) { return null; }
    const box = well.querySelector(".layers").getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width;
    const y = (event.clientY - box.top) / box.height;
    return x >= 0 && x < 1 && y >= 0 && y < 1 ? {x, y} : null;
  }
  grid.addEventListener("pointermove", (event) => {
    const at = point(event);
    grid.classList.toggle("pointing", Boolean(at));
    regions.hover(event.target.closest(".well"), at);
    if (!at) { return; }
    grid.style.setProperty("--cx", `${100 * at.x}%`);
    grid.style.setProperty("--cy", `${100 * at.y}%`);
    for (const parts of cards.values()) {
      if (!parts.levels) { continue; }
      const {levels, width, height} = parts.levels;
      const [column, row] = [Math.floor(at.x * width), Math.floor(at.y * height)];
      const level = levels[row * width + column] / 255;
      const value = parts.low + level * (parts.high - parts.low);
      const small = value !== 0 && Math.abs(value) < 1e-3;
      const text = small ? value.toExponential(1) : value.toPrecision(3);
      parts.readout.textContent = `(${row}, ${column}) ${text}`;
    }
  });
  grid.addEventListener("pointerleave", () => {
    grid.classList.remove("pointing");
    regions.hover(null, null);
    for (const parts of cards.values()) { parts.readout.textContent = ""; }
  });
  grid.addEventListener("click", (event) => {
    const at = point(event);
    if (!at || (source?.card.contains(event.target) && regions.pick(at))) { return; }
    const zoomed = grid.classList.toggle("zoomed");
    if (zoomed) {
      grid.style.setProperty("--ox", `${100 * at.x}%`);
      grid.style.setProperty("--oy", `${100 * at.y}%`);
    }
  });

  model.on("view", show);
  model.on("colormap", paintAll);
  model.on("scale", paintAll);
  model.on("opacity", display);
  model.on("mode", display);
  display();
  show();
}
