// One image with what lies over it, and the card around.

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
  const naming = el("div", "naming", well, {"aria-hidden": "true"});
  naming.hidden = true;
  for (const name of ["where", "there", "names"]) { el("span", name, naming); }
  return well_parts;
}

function makeCard(parent, source) {
  const card = el("article", source ? "card source" : "card", parent);
  const head = el("header", "", card);
  const parts = {card, title: el("h3", "", head), badges: el("span", "badges", head)};
  parts.heat = makeWell(card, source ? "plain" : "heat");
  if (!source) {
    parts.scale = el("div", "scale", card, {role: "img"});
    parts.lowText = el("span", "end low", parts.scale);
    parts.ramp = el("span", "ramp", parts.scale);
    parts.zero = el("i", "zero", parts.ramp);
    parts.marked = el("i", "marked", parts.ramp);
    parts.highText = el("span", "end high", parts.scale);
    parts.readout = el("span", "readout", parts.scale);
    parts.topk = makeWell(card, "topk");
    parts.unsigned = el("p", "note unsigned", card);
    parts.unsigned.textContent = "This map has no negative values: only the upper half is used.";
    parts.unsigned.hidden = true;
  }
  parts.note = el("p", "note", card);
  parts.table = el("table", "scores", card);
  return parts;
}
