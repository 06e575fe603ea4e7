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

function makePainting(stage) {
  const {model, root, cards} = stage;
  const tables = Object.fromEntries(
    Object.entries(model.tables).map(([name, text]) => [name, decodeTable(text)]));
  const chosen = () => tables[model.colormap] || Object.values(tables)[0];

  function paintCard(parts, view) {
    const {levels: data, width, height} = parts.levels;
    const table = chosen();
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
    if (!stage.view) { return; }
    for (const parts of cards.values()) { if (parts.levels) { paintCard(parts, stage.view); } }
    const table = chosen();
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

  model.on("colormap", paintAll);
  model.on("scale", paintAll);
  model.on("opacity", display);
  model.on("mode", display);
  display();
  return {drawn: paintAll};
}
