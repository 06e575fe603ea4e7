// Colouring heatmaps: opacity, colour map, view and scale never ask the server.

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

// A number at the end of a scale: three digits, short.
function endText(value) {
  const size = Math.abs(value);
  if (value === 0) { return "0"; }
  const text = size < 1e-3 || size >= 1e5 ? value.toExponential(1) : value.toPrecision(3);
  return text.replace(/(\.\d*?)0+(e|$)/, "$1$2").replace(/\.(e|$)/, "$1");
}

function makePainting(stage) {
  const {model, root, cards} = stage;
  const tables = Object.fromEntries(
    Object.entries(model.tables).map(([name, text]) => [name, decodeTable(text)]));
  // a select hands over its label: "min-max" means minmax
  const shading = () => model.shading.toLowerCase().replace(/[^a-z]/g, "").replace("own", "");
  const chosen = () => (shading() === "signed" ? tables.signed
    : tables[model.colormap] || Object.values(tables)[0]);

  // The values at the two ends of a card's colours.
  function span(parts, view) {
    const scale = model.scale.toLowerCase();
    let {low, high} = scale.startsWith("shared") ? view : parts;
    if (scale.startsWith("clip")) {
      high = low + (high - low) * brightest(parts.levels.levels, 0.005) / 255;
    }
    if (shading() === "raw") { low = Math.min(low, 0); }
    if (shading() === "signed") {
      high = Math.max(Math.abs(low), Math.abs(high));
      low = -high;
    }
    return {low, high};
  }

  function paintCard(parts, view) {
    const {width, height} = parts.levels;
    const table = chosen();
    const canvas = parts.heat.canvas;
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width; canvas.height = height;
    }
    parts.span = span(parts, view);
    const wide = parts.span.high - parts.span.low;
    // What is the same everywhere has no range: it stays at the bottom, as its levels do.
    const scale = wide > 0 ? (parts.high - parts.low) / wide : 0;
    const shift = wide > 0 ? 255 * (parts.low - parts.span.low) / wide : 0;
    const lookup = new Uint32Array(256);
    const bytes = new Uint8Array(lookup.buffer);
    for (let i = 0; i < 256; i++) {
      const at = 3 * Math.max(0, Math.min(255, Math.round(i * scale + shift)));
      bytes.set([table[at], table[at + 1], table[at + 2], 255], 4 * i);
    }
    parts.colours = lookup;
    colour(canvas, parts);
    describe(parts);
  }

  function colour(canvas, {levels: {levels: data, width, height}, colours}) {
    const out = new ImageData(width, height);
    const pixels = new Uint32Array(out.data.buffer);
    for (let i = 0; i < data.length; i++) { pixels[i] = colours[data[i]]; }
    canvas.getContext("2d").putImageData(out, 0, 0);
  }

  // The scale bar: what its ends stand for, where 0 lies, and a word where a map has no sign.
  function describe(parts) {
    const {low, high} = parts.span;
    parts.lowText.textContent = endText(low);
    parts.highText.textContent = endText(high);
    const zero = low < 0 && high > 0 ? -low / (high - low) : null;
    parts.zero.hidden = zero === null;
    if (zero !== null) { parts.zero.style.left = `${100 * zero}%`; }
    const from = `${endText(low)}${zero === null ? "" : " over 0"} to ${endText(high)}`;
    parts.scale.setAttribute("aria-label", `Colours from ${from}`);
    parts.scale.title = `Colours: attributions from ${from}`;
    parts.unsigned.hidden = !(shading() === "signed" && parts.low >= 0);
  }

  // Where a value lies on a card's scale bar.
  stage.mark = (parts, value) => {
    if (!parts.span) { return; }
    const {low, high} = parts.span;
    const at = high > low ? (value - low) / (high - low) : 0;
    parts.marked.style.left = `${100 * Math.min(1, Math.max(0, at))}%`;
  };
  stage.colour = colour;

  function paintAll() {
    if (!stage.view) { return; }
    for (const parts of cards.values()) { if (parts.levels) { paintCard(parts, stage.view); } }
    const table = chosen();
    const stops = [];
    for (let i = 0; i <= 255; i += 15) {
      stops.push(`rgb(${table[3 * i]} ${table[3 * i + 1]} ${table[3 * i + 2]})`);
    }
    root.style.setProperty("--ramp", `linear-gradient(90deg, ${stops.join(",")})`);
    root.dataset.display = shading();
    for (const feature of stage.features) { feature.coloured?.(); }
  }

  function display() {
    root.style.setProperty("--opacity", model.opacity);
    // a button group hands over its label: "Top-K" means topk
    root.dataset.view = model.mode.toLowerCase().replace(/[^a-z]/g, "");
  }

  model.on("colormap", paintAll);
  model.on("scale", paintAll);
  model.on("shading", paintAll);
  model.on("opacity", display);
  model.on("mode", display);
  display();
  return {drawn: paintAll};
}
