// K and threshold without the server: it sent rank images and tables of scores, here they are only
// looked up and painted. Until they are here a change goes through the server.

const NO_SCORE = 65535;  // an undefined one

async function unpack(text, kind) {
  const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new kind(await new Response(stream).arrayBuffer());
}

// Half goes to the even neighbour, as numpy rounds.
function roundHalfEven(value) {
  const below = Math.floor(value);
  if (value - below !== 0.5) { return Math.round(value); }
  return below % 2 ? below + 1 : below;
}

const ordinal = (n) => {
  const teen = [11, 12, 13].includes(n % 100);
  return `${n}${teen ? "th" : {1: "st", 2: "nd", 3: "rd"}[n % 10] ?? "th"}`;
};
const grouped = (n) => String(n).replace(/\B(?=(\d{3})+$)/g, "\u2009");

function makeLookup(stage) {
  const {model, root, cards} = stage;
  let tables = null;   // {key, end, metric, label, labels, places, maps}, unpacked
  let wish = null;     // the cut to paint in the next frame
  let frame = 0;

  async function receive() {
    const sent = model.cuts;
    if (!sent?.key) { return; }
    const maps = {};
    for (const [key, packed] of Object.entries(sent.maps)) {
      const small = packed.wide ? Uint32Array : Uint16Array;
      const kinds = {rank: small, above: small, share: Float32Array, hits: Uint32Array,
        steps: Uint8Array, size: Uint32Array, inside: Uint32Array, precision: Uint16Array,
        iou: Uint16Array, gt_coverage: Uint16Array, saliency_coverage: Uint16Array};
      const names = Object.keys(kinds);
      const found = await Promise.all(names.map((name) => unpack(packed[name], kinds[name])));
      maps[key] = {flat: packed.flat, ...Object.fromEntries(names.map((name, i) => [name, found[i]]))};
    }
    const places = {};
    for (const [key, text] of Object.entries(sent.places)) { places[key] = await unpack(text, Uint8Array); }
    if (model.cuts !== sent) { return; }
    tables = {...sent, maps, places};
    root.dataset.cuts = sent.key;
  }

  // The mask that is scored, from the image of all regions; null without one, undefined unknown.
  function mask(view) {
    if (!view.outline) { return null; }
    const index = view.regions && stage.kept.get(view.regions.index.id);
    const number = view.regions?.list.findIndex((it) => it.name === view.regions.picked) ?? -1;
    if (!index || number < 0) { return undefined; }
    const inside = Uint8Array.from(view.regions.stacks, (stack) => Number(stack.includes(number)));
    return {of: (i) => inside[index.index[i]]};
  }

  function ready(kind) {
    const view = stage.view;
    if (!tables || !view || view.status !== "ready" || view.cuts !== tables.key) { return false; }
    if ((view.threshold === null ? "k" : "threshold") !== kind || view.whatif) { return false; }
    return mask(view) !== undefined
      && view.cards.every((card) => card.state !== "ready" || tables.maps[card.key]);
  }

  // Colours by state: outside or inside the mask, not among the strongest or among them.
  function palette(masked) {
    const style = getComputedStyle(root);
    const rgb = (name) => {
      const text = style.getPropertyValue(name).trim();
      return [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16));
    };
    const [hit, miss, wrong] = ["--hit", "--miss", "--false-alarm"].map(rgb);
    return masked ? [[...wrong, 0], [...wrong, 255], [...miss, 255], [...hit, 255]]
      : [[...hit, 0], [...hit, 255], [...hit, 0], [...hit, 255]];
  }

  function paint(parts, map, cut) {
    const view = stage.view;
    if (!parts.topk.canvas) {
      parts.topk.canvas = el("canvas", "layer", null, {role: "img"});
      parts.topk.image.after(parts.topk.canvas);
    }
    const {canvas} = parts.topk;
    if (canvas.width !== view.width || canvas.height !== view.height) {
      [canvas.width, canvas.height] = [view.width, view.height];
    }
    const region = mask(view);
    const colours = palette(region !== null);
    const at = cut.value - 1;
    const share = cut.kind === "k" ? map.share[at] : 1;
    const table = new Uint32Array(6);
    const bytes = new Uint8Array(table.buffer);
    for (const inside of [0, 1]) {
      const [out, chosen] = [colours[2 * inside], colours[2 * inside + 1]];
      bytes.set(out, 12 * inside);
      bytes.set(chosen, 12 * inside + 4);
      bytes.set(out.map((v, i) => roundHalfEven(share * chosen[i] + (1 - share) * v)), 12 * inside + 8);
    }
    const image = new ImageData(view.width, view.height);
    const pixels = new Uint32Array(image.data.buffer);
    if (cut.kind === "k") {
      const border = map.above[at];
      for (let i = 0; i < pixels.length; i++) {
        const state = map.rank[i] < border ? 1 : map.rank[i] === border ? 2 : 0;
        pixels[i] = table[3 * (region ? region.of(i) : 0) + state];
      }
    } else {
      for (let i = 0; i < pixels.length; i++) {
        const state = !map.flat && map.steps[i] >= cut.value ? 1 : 0;
        pixels[i] = table[3 * (region ? region.of(i) : 0) + state];
      }
    }
    canvas.getContext("2d").putImageData(image, 0, 0);
    canvas.hidden = false;
    parts.topk.image.hidden = true;
  }

  // The entry of a table that a row shows at a cut; null where the cut does not change the row.
  function entry(row, map, cut) {
    const base = (row.metric || "").split(/[[@]/)[0];
    const name = cut.kind === "k" ? {topk_overlap: "precision", precision: "precision"}[base]
      : {iou: "iou", gt_coverage: "gt_coverage", saliency_coverage: "saliency_coverage"}[base];
    return name ? map[name][cut.kind === "k" ? cut.value - 1 : cut.value] : null;
  }

  function rowAt(row, map, cut) {
    if (row.cut === "size") { return {...row, text: `${grouped(map.size[cut.value])} px`}; }
    const found = entry(row, map, cut);
    if (found === null) { return row; }
    const none = found === NO_SCORE;
    const changed = {...row, text: none ? "–" : (found / 1000).toFixed(3),
      share: none ? null : found / 1000};
    if (cut.kind === "threshold") {
      return {...changed, metric: row.metric.replace(/>=[\d.]+/, `>=${cut.value / 100}`)};
    }
    return {...changed, metric: `precision@K=${cut.value}`, label: "Precision at K", ceiling: null,
      title: tables.title};
  }

  function verdictAt(placed, cut) {
    const order = Object.keys(tables.places).filter((key) => placed[key] > 0)
      .sort((a, b) => placed[a] - placed[b]);
    if (!order.length) { return null; }
    const name = tables.metric === "topk_overlap" ? "precision" : tables.metric;
    const text = (key) => {
      const value = tables.maps[key][name][cut.kind === "k" ? cut.value - 1 : cut.value];
      return `${tables.labels[key]} ${(value / 1000).toFixed(3)}`;
    };
    const called = name === "precision" ? `Top-${cut.value} precision`
      : `${tables.label} at ${(cut.value / 100).toFixed(2)}`;
    let line = `${called}: `;
    order.forEach((key, i) => {
      line += (i ? (placed[key] === placed[order[i - 1]] ? " = " : " > ") : "") + text(key);
    });
    const out = Object.keys(tables.places).filter((key) => !placed[key]).map((key) => tables.labels[key]);
    if (out.length) { line += ` · undefined: ${out.join(", ")}`; }
    const best = order.filter((key) => placed[key] === 1).map((key) => tables.labels[key]);
    const title = Object.keys(tables.places).length === 1 ? best[0]
      : best.length === 1 ? `★ ${best[0]} wins`
        : `${best.slice(0, -1).join(", ")} and ${best[best.length - 1]} tie`;
    return {title, text: line};
  }

  function factsAt(view, cut) {
    const area = view.width * view.height;
    return view.facts.map((fact) => {
      if (cut.kind === "k" && fact.name === "K") {
        const share = (100 * cut.value / area).toFixed(1);
        return {...fact, value: `${grouped(cut.value)} px`, note: `${share}% of the image · chosen`};
      }
      return cut.kind === "threshold" && fact.name === "Threshold"
        ? {...fact, value: (cut.value / 100).toFixed(2)} : fact;
    });
  }

  function show(cut) {
    const view = stage.view;
    const ranks = cut.kind === "k" ? tables.metric === "topk_overlap"
      : ["iou", "gt_coverage", "saliency_coverage"].includes(tables.metric);
    const at = cut.kind === "k" ? cut.value - 1 : cut.value;
    const placed = ranks ? Object.fromEntries(
      Object.entries(tables.places).map(([key, row]) => [key, row[at]])) : {};
    const held = Object.values(placed);
    for (const card of view.cards) {
      const parts = cards.get(card.key);
      const map = tables.maps[card.key];
      if (!parts || !map) { continue; }
      paint(parts, map, cut);
      const px = cut.kind === "k" ? cut.value : map.size[cut.value];
      const hits = view.outline
        ? `, ${cut.kind === "k" ? map.hits[at] : map.inside[cut.value]} of them in the mask` : "";
      parts.topk.canvas.setAttribute("aria-label", `The ${px} strongest pixels of ${card.label}${hits}`);
      const rows = (card.rows || []).map((row) => rowAt(row, map, cut));
      fillRows(parts.table, rows, `Scores of ${card.label}`, card.key);
      if (placed[card.key] !== undefined) {
        const place = placed[card.key];
        const tied = held.filter((it) => it === place).length > 1;
        const said = `${place === 1 ? "★ " : ""}${tied ? "=" : ""}${ordinal(place)}`;
        const others = (card.badges || []).filter((badge) => !badge.place);
        fillBadges(parts.badges, place
          ? [...others, {text: said, kind: place === 1 ? "first" : ""}] : others);
        parts.card.classList.toggle("winner", place === 1);
      }
    }
    stage.band.showFacts(factsAt(view, cut));
    const verdict = held.length ? verdictAt(placed, cut) : null;
    if (verdict) { stage.band.showVerdict(verdict); }
    stage.cut = cut;
    root.dataset.k = cut.kind === "k" ? String(cut.value) : root.dataset.k;
    root.dataset.threshold = cut.kind === "threshold" ? String(cut.value) : "";
  }

  function drawn(view) {
    stage.cut = null;
    wish = null;
    for (const {topk} of cards.values()) { if (topk.canvas) { topk.canvas.hidden = true; } }
    root.dataset.threshold = view.threshold === null || view.threshold === undefined ? ""
      : String(Math.round(100 * view.threshold));
  }

  const onCut = (event) => {
    const {kind, value, sample, asking} = event.detail;
    if (asking) {  // whether what was chosen a moment ago is on screen
      event.detail.shown = stage.cut?.kind === kind && stage.cut?.value === value;
      event.detail.version = stage.view?.version ?? -1;
      return;
    }
    if (!root.isConnected || !ready(kind) || (sample && sample !== stage.view.sample)) { return; }
    if (value < 1 || (kind === "k" && value > tables.end)) { return; }
    event.detail.shown = true;
    wish = {kind, value};
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(() => { if (wish && ready(wish.kind)) { show(wish); } });
  };
  document.addEventListener("xaieval-cut", onCut);
  model.on("remove", () => document.removeEventListener("xaieval-cut", onCut));
  model.on("cuts", receive);
  receive();
  return {drawn};
}
