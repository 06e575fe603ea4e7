// The thumbnail strip: only what is in view stands in the page; names and thumbnails are asked for
// when they come into view. Pick an image by click, by button, by search, or with the arrow keys.

const COLUMNS = 5;
const GAP = 4;
const ASK_MS = 60;         // scrolling has slowed down
const AHEAD_ROWS = 2;      // drawn beyond what is in view
const MOST_THUMBS = 800;   // kept here, the latest

function el(tag, className, parent, attributes = {}) {
  const node = document.createElement(tag);
  if (className) { node.className = className; }
  for (const [name, value] of Object.entries(attributes)) { node.setAttribute(name, value); }
  if (parent) { parent.append(node); }
  return node;
}

export function render({model, el: host}) {
  const root = el("nav", "images", host, {"aria-label": "Images"});
  const head = el("div", "head", root);
  const previous = el("button", "step", head, {type: "button", "aria-label": "Previous image", title: "Previous image (←)"});
  const position = el("span", "position", head, {role: "status"});
  const next = el("button", "step", head, {type: "button", "aria-label": "Next image", title: "Next image (→)"});
  previous.textContent = "‹";
  next.textContent = "›";
  const list = el("div", "list", root, {role: "listbox", "aria-label": "Images of this selection"});
  const space = el("div", "space", list, {role: "presentation"});
  const form = el("form", "search", root, {role: "search"});
  const find = el("input", "caption", form, {type: "text", "aria-label": "Find an image by number or name",
    title: "Type a number or a part of a name, then Enter", autocomplete: "off", spellcheck: "false"});
  const none = el("span", "none", form, {role: "alert"});
  const buttons = new Map();   // place -> button in the page
  let titles = new Map();      // place -> [id, title]
  let thumbs = new Map();      // place -> image, "" for a damaged one
  let asked = new Set();       // places of the last wish for thumbnails
  let stamp = null;
  let count = 0;
  let chosen = -1;
  let timer = 0;
  let frame = 0;

  const side = () => Math.max(20, (list.clientWidth - 4 - GAP * (COLUMNS - 1)) / COLUMNS);
  const step = () => side() + GAP;

  // ---- what is in view
  function seen(rows = AHEAD_ROWS) {
    const first = Math.max(0, Math.floor(list.scrollTop / step()) - rows);
    const last = Math.ceil((list.scrollTop + list.clientHeight) / step()) + rows;
    return [first * COLUMNS, Math.min(count, last * COLUMNS)];
  }
  function draw() {
    if (!list.clientWidth) { return; }
    space.style.height = `${Math.ceil(count / COLUMNS) * step() - GAP}px`;
    const [start, stop] = seen();
    const focused = [...buttons].find(([, it]) => it === list.getRootNode().activeElement)?.[0];
    for (const [place, button] of buttons) {
      if ((place < start || place >= stop) && place !== focused) { button.remove(); buttons.delete(place); }
    }
    for (let place = start; place < stop; place++) {
      if (!buttons.has(place)) { add(place); }
      dress(place);
    }
    // In the order of the list, for whoever reads the page aloud.
    const order = [...buttons.keys()].sort((a, b) => a - b);
    order.forEach((place, i) => {
      if (space.children[i] !== buttons.get(place)) { space.insertBefore(buttons.get(place), space.children[i] ?? null); }
    });
    clearTimeout(timer);
    timer = setTimeout(ask, ASK_MS);
  }
  function add(place) {
    const button = el("button", "thumb", null, {type: "button", role: "option"});
    el("img", "", button, {alt: ""}).hidden = true;
    button.addEventListener("click", () => choose(place));
    buttons.set(place, button);
  }
  function dress(place) {
    const button = buttons.get(place);
    const [id, title] = titles.get(place) ?? ["", `Image ${place + 1}`];
    const size = side();
    button.style.cssText = `left:${(place % COLUMNS) * step()}px;top:${Math.floor(place / COLUMNS) * step()}px;`
      + `width:${size}px;height:${size}px`;
    button.dataset.id = id;
    button.title = title;
    button.setAttribute("aria-label", title);
    button.setAttribute("aria-posinset", place + 1);
    button.setAttribute("aria-setsize", count);
    button.setAttribute("aria-selected", String(place === chosen));
    button.tabIndex = place === chosen ? 0 : -1;
    const src = thumbs.get(place);
    const image = button.firstElementChild;
    button.classList.toggle("damaged", src === "");
    if (src && image.getAttribute("src") !== src) { image.src = src; }
    image.hidden = !src;
  }
  function ask() {
    if (!list.clientWidth || stamp === null) { return; }
    const [start, stop] = seen();
    let [from, to] = [start, stop];
    while (from < to && titles.has(from)) { from++; }
    while (to > from && titles.has(to - 1)) { to--; }
    if (from < to) {
      model.send_msg({type: "names", stamp, start: Math.max(0, from - 20), stop: Math.min(count, to + 40)});
    }
    const missing = [];
    for (let place = start; place < stop; place++) {
      if (!thumbs.has(place)) { missing.push(place); }
    }
    const near = (place) => Math.abs(place - (chosen >= start && chosen < stop ? chosen : (start + stop) / 2));
    missing.sort((a, b) => near(a) - near(b));
    // The newest wish replaces the one before, with all of it that is still in view.
    if (!missing.length || missing.every((place) => asked.has(place))) { return; }
    asked = new Set(missing);
    model.send_msg({type: "thumbs", stamp, start, stop, places: missing});
  }

  // ---- choosing
  function mark() {
    position.textContent = count ? `${(chosen + 1).toLocaleString("en").replaceAll(",", "\u2009")} / `
      + count.toLocaleString("en").replaceAll(",", "\u2009") : "no images";
    find.placeholder = titles.get(chosen)?.[1] ?? "";
    find.title = `${find.placeholder}\nType a number or a part of a name, then Enter`;
    root.dataset.image = titles.get(chosen)?.[1] ?? "";
    previous.disabled = chosen <= 0;
    next.disabled = chosen < 0 || chosen >= count - 1;
  }
  function reveal() {
    if (chosen < 0 || !list.clientWidth) { return; }
    const top = Math.floor(chosen / COLUMNS) * step();
    if (top < list.scrollTop || top + side() > list.scrollTop + list.clientHeight) {
      list.scrollTop = top - (list.clientHeight - side()) / 2;
    }
  }
  function choose(place, {focus = false} = {}) {
    const to = Math.max(0, Math.min(count - 1, place));
    if (!count || to === chosen) { return; }
    chosen = to;
    mark();
    reveal();
    draw();
    if (focus) { buttons.get(chosen)?.focus({preventScroll: true}); }
    model.send_msg({type: "choose", stamp, start: chosen});
  }

  previous.addEventListener("click", () => choose(chosen - 1));
  next.addEventListener("click", () => choose(chosen + 1));
  list.addEventListener("scroll", () => {
    cancelAnimationFrame(frame);
    frame = requestAnimationFrame(draw);
  }, {passive: true});
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    none.textContent = "";
    if (find.value.trim()) { model.send_msg({type: "find", text: find.value}); }
  });
  find.addEventListener("input", () => { none.textContent = ""; });
  find.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { find.value = none.textContent = ""; find.blur(); event.preventDefault(); }
  });

  // Composed events come out of every shadow root; fields and sliders keep their own arrows.
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey || event.defaultPrevented) { return; }
    const from = event.composedPath()[0];
    const role = from.getAttribute?.("role") ?? "";
    const inside = list.contains(from);
    if (from.closest?.("input, textarea, select, [contenteditable]")
        || /^(slider|combobox|tab|radio|menuitem|spinbutton)$/.test(role)
        || (role === "option" && !inside)) { return; }
    if (!root.isConnected || !root.getClientRects().length) { return; }
    const page = COLUMNS * Math.max(1, Math.floor(list.clientHeight / step()));
    const by = {ArrowLeft: -1, ArrowRight: 1}[event.key] ?? (inside ? {ArrowUp: -COLUMNS,
      ArrowDown: COLUMNS, PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity}[event.key] : undefined);
    if (by === undefined) { return; }
    const to = by === -Infinity ? 0 : by === Infinity ? count - 1 : chosen + by;
    choose(to, {focus: inside});
    event.preventDefault();
  };
  document.addEventListener("keydown", onKey);

  // ---- from the session
  function receive() {
    const elsewhere = model.listing.stamp !== stamp || model.at !== chosen;
    if (model.listing.stamp !== stamp) {
      [stamp, count] = [model.listing.stamp ?? null, model.listing.count ?? 0];
      [titles, thumbs, asked] = [new Map(), new Map(), new Set()];
      for (const button of buttons.values()) { button.remove(); }
      buttons.clear();
    }
    const {names} = model;
    if (names.stamp === stamp) { names.rows?.forEach((row, i) => titles.set(names.start + i, row)); }
    chosen = model.at;
    mark();
    draw();
    if (elsewhere) { reveal(); draw(); }  // names that come while somebody scrolls move nothing
  }
  function fill() {
    if (model.thumbs.stamp !== stamp) { return; }
    for (const [place, src] of Object.entries(model.thumbs.found)) {
      thumbs.set(Number(place), src);
      if (buttons.has(Number(place))) { dress(Number(place)); }
    }
    const [start, stop] = seen(20);
    for (const place of thumbs.keys()) {
      if (thumbs.size <= MOST_THUMBS) { break; }
      if (place < start || place >= stop) { thumbs.delete(place); }
    }
  }
  model.on("listing", receive);
  model.on("names", receive);
  model.on("at", () => { if (model.at !== chosen) { receive(); } });
  model.on("thumbs", fill);
  model.on("answer", () => {
    none.textContent = model.answer.at < 0 ? "no such image" : "";
    if (model.answer.at >= 0) { find.value = ""; find.blur(); }
  });
  const resized = new ResizeObserver(() => { draw(); reveal(); });
  resized.observe(list);
  model.on("remove", () => {
    document.removeEventListener("keydown", onKey);
    resized.disconnect();
    clearTimeout(timer);
  });
  receive();
}
