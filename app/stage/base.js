// Shared by all files of the stage: they become one module, in the order of the table in cards.py.

// What acts on the stage: (stage) => {drawn(view), painted(view), hover(at, well), leave(),
// press(event, at, well), drag(event, at), release(event, at)}; every hook may be missing.
// `at` is {x, y} in shares of the image, `well` the element under the pointer. The last feature
// whose `press` returns true has the pointer until it is released.
const FEATURES = [];

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

// The index image: red + 256 green + 65536 blue is a pixel's row in the list of stacks.
async function loadIndex(src) {
  const image = await load(src);
  const [width, height] = [image.naturalWidth, image.naturalHeight];
  const context = new OffscreenCanvas(width, height).getContext("2d", {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  const pixels = context.getImageData(0, 0, width, height).data;
  const index = new Uint32Array(width * height);
  for (let i = 0; i < index.length; i++) {
    index[i] = pixels[4 * i] + 256 * pixels[4 * i + 1] + 65536 * pixels[4 * i + 2];
  }
  return {index, width, height};
}
