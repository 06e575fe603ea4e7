// The named regions of an image: what lies under the pointer, the coloured layer, the bars.
// All of it acts in the browser but the choice of a region.

const percent = (value) => `${(100 * value).toFixed(1)}%`;
const LIFTS = 3;  // lift bars reach from 1/8 to 8: a map as good as chance stands in the middle

// Everything about regions on one stage.
function makeRegions(stage) {
  const {model, root} = stage;
  const card = () => stage.source;
  const view = () => stage.view;
  let known = null;         // the view's regions: list, stacks, picked
  let map = null;           // the index image, decoded
  let layered = false;      // whether the coloured layer is shown
  let order = "dataset";    // "dataset", "area" or a method's key
  let measure = "share";    // what the bars show: "share" or "lift"
  const panel = el("section", "regions", root, {"aria-label": "Regions"});
  panel.hidden = true;

  const named = () => (known ? known.list.filter((it) => it.kind !== "rest") : []);
  const several = () => named().length > 1;
  const choose = (region) => model.send_msg({type: "region", value: region});

  function stack(at) {
    if (!several() || !map || !at) { return []; }
    const [x, y] = [Math.floor(at.x * map.width), Math.floor(at.y * map.height)];
    return known.stacks[map.index[y * map.width + x]].map((number) => known.list[number]);
  }

  // ---- on the image card: toggle, layer, spotlight, legend
  function attach(parts) {
    const toggle = el("button", "toggle", parts.badges, {type: "button", "aria-pressed": "false"});
    toggle.textContent = "regions in colour";
    toggle.title = "Colour the regions and list their names";
    toggle.addEventListener("click", () => { layered = !layered; paint(); });
    const layers = ["parts", "spot"].map((name) => {
      const canvas = el("canvas", name, null, {"aria-hidden": "true"});
      parts.heat.outline.before(canvas);
      canvas.hidden = true;
      return canvas;
    });
    const legend = el("ul", "part-legend", null, {"aria-label": "Colours of the regions"});
    parts.note.before(legend);
    parts.regions = {toggle, layer: layers[0], spot: layers[1], legend};
  }

  function fill(canvas, colour) {
    [canvas.width, canvas.height] = [map.width, map.height];
    const out = new ImageData(map.width, map.height);
    const pixels = new Uint32Array(out.data.buffer);
    const table = new Uint32Array(known.stacks.length);
    const bytes = new Uint8Array(table.buffer);
    known.stacks.forEach((numbers, row) => bytes.set(colour(numbers), 4 * row));
    for (let i = 0; i < pixels.length; i++) { pixels[i] = table[map.index[i]]; }
    canvas.getContext("2d").putImageData(out, 0, 0);
  }

  function paint() {
    const parts = card();
    if (!parts) { return; }
    const {toggle, layer, legend, spot} = parts.regions;
    const on = layered && several() && Boolean(map);
    toggle.hidden = !several();
    toggle.setAttribute("aria-pressed", String(on));
    layer.hidden = legend.hidden = !on;
    spot.hidden = true;
    if (!on) { legend.replaceChildren(); return; }
    fill(layer, (numbers) => {
      if (!numbers.length) { return [0, 0, 0, 0]; }
      const colour = parseInt(known.list[numbers[0]].colour.slice(1), 16);
      return [colour >> 16, (colour >> 8) & 255, colour & 255, 255];
    });
    const seen = new Set(known.stacks.filter((it) => it.length).map((it) => it[0]));
    keepFocus(legend, () => legend.replaceChildren(
      ...known.list.filter((_, number) => seen.has(number)).map((it) => {
        const line = el("li");
        line.append(button(it));
        return line;
      })));
  }

  // A region's name as a button: picks it, and lights it up while it is pointed at or focused.
  function button(region) {
    const node = el("button", "region", null, {type: "button"});
    node.setAttribute("aria-pressed", String(region.name === known.picked));
    node.dataset.region = region.name;
    node.title = `Score the maps against ${region.name}`;
    el("i", "swatch", node).style.background = region.colour;
    el("span", "", node).textContent = region.name;
    node.addEventListener("click", (event) => { event.stopPropagation(); choose(region.name); });
    node.addEventListener("focus", () => spotlight(region.name));
    node.addEventListener("blur", () => spotlight(null));
    node.addEventListener("pointerenter", () => spotlight(region.name));
    node.addEventListener("pointerleave", () => spotlight(null));
    return node;
  }

  // What is drawn anew keeps the focus where it was.
  function keepFocus(parent, change) {
    const focused = parent.getRootNode().activeElement;
    const key = parent.contains(focused) ? focused.dataset.region ?? focused.dataset.sort : null;
    change();
    if (key === null || key === undefined) { return; }
    const again = [...parent.querySelectorAll("button")]
      .find((it) => (it.dataset.region ?? it.dataset.sort) === key);
    again?.focus({preventScroll: true});
  }

  function spotlight(name) {
    const spot = card()?.regions?.spot;
    if (!spot) { return; }
    const number = known && map && name !== null ? known.list.findIndex((it) => it.name === name) : -1;
    spot.hidden = number < 0;
    if (number >= 0) { fill(spot, (numbers) => [0, 0, 0, numbers.includes(number) ? 0 : 170]); }
  }

  // ---- under the pointer
  const names = (at) => {
    if (!several()) { return ""; }
    const found = stack(at);
    return found.length ? found.map((it) => it.name).join(" · ") : "no region";
  };

  function hover(at, well) {
    for (const row of panel.querySelectorAll("tr.under")) { row.classList.remove("under"); }
    const found = stack(at);
    card()?.heat.well.classList.toggle("pickable", found.length > 0);
    const named = well?.querySelector(".naming .names");
    if (named) { named.textContent = names(at); }
    if (!at || !several()) { return; }
    for (const row of panel.querySelectorAll("tr[data-region]")) {
      row.classList.toggle("under", found.some((it) => it.name === row.dataset.region));
    }
  }

  // Picks the finest region at a place, then the next one around it; false where there is none.
  function pick(at) {
    const found = stack(at).map((it) => it.name);
    const next = found[(found.indexOf(known?.picked) + 1) % Math.max(1, found.length)];
    if (next === undefined || next === known.picked) { return false; }
    choose(next);
    return true;
  }

  // ---- the table of shares
  const shareOf = (shares, key, it) => {
    const found = shares[key];
    return typeof found === "object" ? found[it.kind === "rest" ? "" : it.name] ?? null : null;
  };
  const shownOf = (share, it) => (measure === "lift" ? share / it.share : share);

  function sorted(entries, shares) {
    if (order === "dataset") { return entries; }
    const value = (it) => {
      const share = order === "area" ? it.share : shareOf(shares, order, it);
      return share === null ? -1 : order === "area" ? share : shownOf(share, it);
    };
    return [...entries].sort((a, b) => value(b) - value(a));
  }

  function top() {
    const header = el("header", "", panel);
    el("h2", "", header).textContent = "Regions";
    const switches = el("div", "measures", header, {role: "group", "aria-label": "What the bars show"});
    for (const name of ["share", "lift"]) {
      const control = el("button", "toggle", switches, {type: "button", "aria-pressed": String(name === measure)});
      control.dataset.sort = `measure-${name}`;
      control.textContent = name;
      control.addEventListener("click", () => { measure = name; draw(); });
    }
    el("p", "", header).textContent = measure === "share"
      ? "How much of each map’s sum lies in a region. The tick is the region’s share of the area: "
        + "what a constant map would score."
      : "A map’s share in a region over the region’s share of the area. The tick is 1: what a "
        + "constant map would score.";
  }

  function head(table, columns) {
    table.style.minWidth = `${192 + 140 * columns.length}px`;
    const widths = el("colgroup", "", table);
    for (const name of ["name", "size", ...columns.map(() => "map")]) { el("col", name, widths); }
    const row = el("tr", "", el("thead", "", table));
    const heads = [["dataset", "Region", "In the order of the data set"],
                   ["area", "Area", "Largest first"],
                   ...columns.map((it) => [it.key, it.label, `Largest ${measure} of ${it.label} first`])];
    for (const [key, label, title] of heads) {
      const cell = el("th", "", row, {scope: "col"});
      if (key === order) { cell.setAttribute("aria-sort", key === "dataset" ? "other" : "descending"); }
      const control = el("button", "sort", cell, {type: "button"});
      control.dataset.sort = key;
      control.textContent = label;
      control.title = title;
      control.addEventListener("click", () => { order = key; draw(); });
    }
  }

  function bar(track, share, it, end) {
    const fill = el("div", "fill", track);
    fill.classList.toggle("above", share > it.share);
    if (measure === "share") {
      fill.style.width = `${100 * share / end}%`;
      return;
    }
    const at = (Math.max(-LIFTS, Math.min(LIFTS, Math.log2(share / it.share))) + LIFTS) / (2 * LIFTS);
    fill.style.left = `${100 * Math.min(at, 0.5)}%`;
    fill.style.width = `${100 * Math.abs(at - 0.5)}%`;
  }

  function cell(row, it, {key, label}, shares, end) {
    const node = el("td", "share", row);
    const share = shareOf(shares, key, it);
    const bars = it.kind !== "rest";
    const track = el("div", bars ? "track" : "", node, {"aria-hidden": "true"});
    const text = el("span", "value", node);
    if (bars) {
      el("div", "tick", track).style.left = measure === "lift" ? "50%" : `${100 * it.share / end}%`;
    }
    if (share === null) {
      text.textContent = shares[key] === undefined ? "" : "–";
      node.title = typeof shares[key] === "string" ? `Undefined: ${shares[key]}` : "";
      return;
    }
    if (bars) { bar(track, share, it, end); }
    const lift = (share / it.share).toFixed(2);
    text.textContent = measure === "lift" ? `${lift}×` : percent(share);
    const where = bars ? `in ${it.name}` : "where no region is";
    node.title = `${label}: ${percent(share)} of the map ${where}, ${percent(it.share)} of the `
      + `area: lift ${lift}`;
  }

  function rows(table, entries, columns, shares, caption) {
    // What no region covers is large as a rule: its numbers stand without bars.
    const values = entries.filter((it) => it.kind !== "rest")
      .flatMap((it) => [it.share, ...columns.map(({key}) => shareOf(shares, key, it) ?? 0)]);
    const end = Math.min(1, Math.max(0.01, ...values));
    const body = el("tbody", "", table);
    const note = el("th", "group", el("tr", "", body), {colspan: columns.length + 2, scope: "rowgroup"});
    note.textContent = caption + (measure === "share" ? ` bars end at ${percent(end)}` : " bars from ⅛ to 8, each step a doubling");
    for (const it of sorted(entries, shares)) {
      const row = el("tr", "", body);
      const name = el("th", "", row, {scope: "row"});
      if (it.kind === "rest") {
        el("span", "rest", name).textContent = "in no region";
      } else {
        row.dataset.region = it.name;
        row.classList.toggle("picked", it.name === known.picked);
        name.append(button(it));
        row.addEventListener("click", () => choose(it.name));
        row.addEventListener("pointerenter", () => spotlight(it.name));
        row.addEventListener("pointerleave", () => spotlight(null));
      }
      el("td", "area", row, {title: `${it.px} px`}).textContent = percent(it.share);
      for (const column of columns) { cell(row, it, column, shares, end); }
    }
  }

  function draw() {
    const shown = view();
    panel.hidden = !several() || !shown || !(shown.cards || []).length;
    if (panel.hidden) { panel.replaceChildren(); return; }
    const found = model.shares?.key === known.index.id ? model.shares.maps : {};
    const columns = shown.cards.filter((it) => it.state !== "undefined");
    if (!["dataset", "area", ...columns.map((it) => it.key)].includes(order)) { order = "dataset"; }
    keepFocus(panel, () => {
      panel.replaceChildren();
      top();
      const table = el("table", "shares", el("div", "scroll", panel));
      head(table, columns);
      const disjoint = known.list.filter((it) => it.kind === "part" || it.kind === "rest");
      const overlapping = known.list.filter((it) => it.kind === "overlapping");
      if (disjoint.length) { rows(table, disjoint, columns, found, "Parts ·"); }
      if (overlapping.length) {
        rows(table, overlapping, columns, found,
          "Overlapping · these share pixels with others, so shares need not add up to 100% ·");
      }
      const absent = known.list.filter((it) => it.kind === "absent").map((it) => it.name);
      if (absent.length) { el("p", "absent", panel).textContent = `Not in this image: ${absent.join(", ")}`; }
    });
    panel.dataset.filled = String(columns.every((it) => found[it.key] !== undefined));
    panel.dataset.picked = known.picked;
    panel.dataset.measure = measure;
  }

  function see(regions, decoded) {
    [known, map] = [regions || null, decoded || null];
    paint();
  }

  model.on("shares", draw);
  return {
    attach, pick, names, hover,
    leave: () => hover(null, null),
    drawn: (shown) => see(shown.regions, shown.regions && stage.kept.get(shown.regions.index.id)),
    painted: draw,  // after the pictures: nobody waits for the bars
  };
}
