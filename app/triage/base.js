// What every part of the desk is built with.

const SVG = "http://www.w3.org/2000/svg";

function el(tag, className, parent, attributes = {}) {
  const node = document.createElement(tag);
  if (className) { node.className = className; }
  for (const [name, value] of Object.entries(attributes)) { node.setAttribute(name, value); }
  if (parent) { parent.append(node); }
  return node;
}

function draw(tag, parent, attributes = {}) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) { node.setAttribute(name, value); }
  if (parent) { parent.append(node); }
  return node;
}

function text(tag, className, parent, words) {
  const node = el(tag, className, parent);
  node.textContent = words;
  return node;
}

// A button that also has a key says so, to the eye and to assistive technology.
function button(label, className, parent, {key = "", name = label, press = null} = {}) {
  const node = el("button", className, parent, {type: "button"});
  node.append(label);
  if (name !== label) { node.setAttribute("aria-label", name); }
  if (key) {
    text("kbd", "", node, key).setAttribute("aria-hidden", "true");
    node.setAttribute("aria-keyshortcuts", key);
    node.title = `${name} (${key})`;
  }
  if (press) { node.addEventListener("click", press); }
  return node;
}

// The name of a score, which opens its definition.
function define(words, key, parent, {of = ""} = {}) {
  const node = el("button", "define", parent, {type: "button", "data-define": key});
  if (of) { node.dataset.of = of; }
  node.textContent = words;
  return node;
}

function number(value, digits = 2) {
  if (value === null || value === undefined) { return "–"; }
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(digits);
}

const thousands = (value) => value.toLocaleString("en-US").replaceAll(",", "\u2009");
const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
