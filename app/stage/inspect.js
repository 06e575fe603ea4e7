// The inspector: one zoom, one part of the picture and one cross for all images, and what lies
// under the cross in numbers. Wheel or pinch zooms at the pointer, dragging pans.

const MOST_ZOOM = 16;
const CRISP_FROM = 4;     // from here on single pixels are looked at
const STILL_MS = 120;     // the pointer rests: ask for exact values
const CLICK_PX = 4;
const DOUBLE_MS = 400;

// A raw attribution; ``about`` for one read off the 256 levels of the picture.
function rawText(value, about = false) {
  const digits = about ? 2 : 4;
  const small = value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5);
  return (about ? "≈ " : "") + (small ? value.toExponential(digits - 1) : value.toPrecision(digits));
}

function makeInspector(stage) {
  const {model, root, grid, cards} = stage;
  let zoom = 1;
  let centre = {x: 0.5, y: 0.5};   // of what is seen, in shares of the image
  let cross = null;                // where the cross is
  let still = 0;
  let start = null;                // where a drag began
  let last = {time: 0, x: 0, y: 0};  // the last click
  const touches = new Map();       // pointer id -> where it is, while two fingers pinch
  let pinch = null;

  const bar = el("div", "inspector", stage.band.tools, {role: "group", "aria-label": "Inspector"});
  const tool = (text, name, keys, act) => {
    const button = el("button", "tool", bar, {type: "button", "aria-label": name, title: `${name} (${keys})`});
    button.textContent = text;
    button.addEventListener("click", act);
    return button;
  };
  const middle = () => cross ?? centre;
  const out = tool("−", "Zoom out", "-", () => zoomAt(middle(), 0.5));
  const scale = el("span", "zoom", bar);
  const into = tool("+", "Zoom in", "+", () => zoomAt(middle(), 2));
  const reset = tool("1:1", "Show the whole image", "0", whole);
  const pointer = tool("", "Move a cross with the arrow keys", "arrows, Shift for 10 pixels", () => {
    if (cross && pointer.getAttribute("aria-pressed") === "true") { lift(); } else { place(centre); }
  });
  pointer.setAttribute("aria-pressed", "false");
  pointer.classList.add("crosshair");
  const told = el("div", "sr", root, {"aria-live": "polite"});

  // ---- zoom and pan
  function apply() {
    const half = 0.5 / zoom;
    const inside = (value) => Math.min(1 - half, Math.max(half, value));
    centre = {x: inside(centre.x), y: inside(centre.y)};
    grid.style.setProperty("--z", zoom);
    grid.style.setProperty("--tx", `${100 * (0.5 - centre.x * zoom)}%`);
    grid.style.setProperty("--ty", `${100 * (0.5 - centre.y * zoom)}%`);
    grid.classList.toggle("zoomed", zoom > 1);
    grid.classList.toggle("crisp", zoom >= CRISP_FROM);
    scale.textContent = `${zoom < 10 ? zoom.toFixed(1) : Math.round(zoom)}×`;
    out.disabled = reset.disabled = zoom <= 1;
    into.disabled = zoom >= MOST_ZOOM;
    root.dataset.zoom = zoom.toFixed(2);
    root.dataset.centre = `${centre.x.toFixed(3)},${centre.y.toFixed(3)}`;
  }
  // The place under the pointer stays there.
  function zoomAt(at, factor) {
    const next = Math.min(MOST_ZOOM, Math.max(1, zoom * factor));
    const seen = {x: (at.x - centre.x) * zoom, y: (at.y - centre.y) * zoom};
    zoom = next < 1.02 ? 1 : next;
    centre = {x: at.x - seen.x / zoom, y: at.y - seen.y / zoom};
    apply();
  }
  function pan(dx, dy) {  // in shares of what is seen
    centre = {x: centre.x + dx / zoom, y: centre.y + dy / zoom};
    apply();
  }
  function whole() {
    zoom = 1;
    apply();
  }

  grid.addEventListener("wheel", (event) => {
    const at = stage.point(event);
    if (!at || (zoom <= 1 && event.deltaY > 0)) { return; }  // then the page scrolls
    event.preventDefault();
    const px = event.deltaY * (event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1);
    zoomAt(at, Math.exp(-px * (event.ctrlKey ? 0.01 : 0.0025)));
  }, {passive: false});

  const ends = () => {
    const [a, b] = [...touches.values()];
    return {far: Math.hypot(a.x - b.x, a.y - b.y), x: (a.x + b.x) / 2, y: (a.y + b.y) / 2};
  };
  grid.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch" || !stage.point(event)) { return; }
    touches.set(event.pointerId, {x: event.clientX, y: event.clientY});
    if (touches.size === 2) {
      const {far, x, y} = ends();
      pinch = {far, at: stage.point({clientX: x, clientY: y, target: event.target}, {inside: false})};
    }
  });
  grid.addEventListener("pointermove", (event) => {
    if (!touches.has(event.pointerId)) { return; }
    touches.set(event.pointerId, {x: event.clientX, y: event.clientY});
    if (!pinch || touches.size !== 2) { return; }
    const {far} = ends();
    zoomAt(pinch.at, far / pinch.far);
    pinch.far = far;
  });
  const gone = (event) => {
    touches.delete(event.pointerId);
    if (!touches.size) { pinch = null; }
  };
  for (const type of ["pointerup", "pointercancel"]) { grid.addEventListener(type, gone); }

  function press(event, at, well) {
    const box = well.getBoundingClientRect();
    start = {x: event.clientX, y: event.clientY, centre, width: box.width, height: box.height, moved: false};
    return true;
  }
  function drag(event, at, well) {
    const [dx, dy] = [event.clientX - start.x, event.clientY - start.y];
    start.moved ||= Math.hypot(dx, dy) > CLICK_PX;
    if (pinch || !start.moved || zoom <= 1) { return; }
    grid.classList.add("panning");
    centre = {x: start.centre.x - dx / start.width / zoom, y: start.centre.y - dy / start.height / zoom};
    apply();
    if (at) { hover(at, well); }
  }
  function release(event, at, well) {
    grid.classList.remove("panning");
    if (start.moved || pinch || event.type === "pointercancel" || !at) { return; }
    const now = {time: event.timeStamp, x: event.clientX, y: event.clientY};
    const twice = now.time - last.time < DOUBLE_MS && Math.hypot(now.x - last.x, now.y - last.y) < 8;
    last = twice ? {time: 0, x: 0, y: 0} : now;
    if (twice) {
      if (zoom > 1) { whole(); } else { zoomAt(at, CRISP_FROM); }
    } else if (stage.source?.card.contains(well)) {
      if (stage.regions.pick(at)) { last = {time: 0, x: 0, y: 0}; }
    }
  }

  // ---- what lies under the cross
  const pixel = (at) => {
    const {width, height} = stage.view;
    return {row: Math.floor(at.y * height), column: Math.floor(at.x * width)};
  };
  function original(at) {
    const frame = stage.view.frame;
    if (!frame) { return ""; }
    const row = Math.floor((frame.y + at.y * frame.h) * frame.height);
    const column = Math.floor((frame.x + at.x * frame.w) * frame.width);
    return `original ${row}, ${column}`;
  }
  function about(parts, at) {
    const {levels, width, height} = parts.levels;
    const level = levels[Math.floor(at.y * height) * width + Math.floor(at.x * width)] / 255;
    return parts.low + level * (parts.high - parts.low);
  }
  function exact(key, at) {
    const {row, column} = pixel(at);
    const found = model.probe?.at === `${row},${column}` && model.probe.view === stage.view.cuts
      ? model.probe.values[key] : undefined;
    return found;
  }
  function read(at) {
    for (const [key, parts] of cards) {
      if (!parts.levels) { continue; }
      const found = exact(key, at);
      const value = found ?? about(parts, at);
      parts.readout.textContent = rawText(value, found === undefined);
      parts.scale.classList.add("reading");
      stage.mark?.(parts, value);
      parts.scale.dataset.value = found === undefined ? "" : String(value);
    }
  }
  function name(at, well) {
    const {row, column} = pixel(at);
    const pill = well.querySelector(".naming");
    const [key] = [...cards].find(([, parts]) => parts.card.contains(well)) ?? [];
    const value = key && cards.get(key).levels ? `${cards.get(key).readout.textContent} · ` : "";
    pill.hidden = false;
    pill.querySelector(".where").textContent = `${value}row ${row}, column ${column}`;
    pill.querySelector(".there").textContent = original(at);
    pill.classList.toggle("high", (at.y - centre.y) * zoom > 0.1);  // never below the pointer
  }
  let over = null;
  function hover(at, well) {
    cross = at;
    over = well;
    grid.style.setProperty("--cx", `${100 * at.x}%`);
    grid.style.setProperty("--cy", `${100 * at.y}%`);
    read(at);
    if (well) { name(at, well); }
    clearTimeout(still);
    const {row, column} = pixel(at);
    if (stage.view.cuts) {
      still = setTimeout(() => model.send_msg({type: "probe", value: `${row},${column}`}), STILL_MS);
    }
  }
  function leave() {
    clearTimeout(still);
    cross = over = null;
    pointer.setAttribute("aria-pressed", "false");
    for (const pill of root.querySelectorAll(".naming")) { pill.hidden = true; }
    for (const parts of cards.values()) {
      parts.readout.textContent = "";
      parts.scale.classList.remove("reading");
    }
  }
  model.on("probe", () => {
    if (!cross) { return; }
    read(cross);
    if (over) { name(cross, over); }
    if (pointer.getAttribute("aria-pressed") === "true") { say(); }
  });

  // ---- the cross by keyboard, on its button
  function place(at) {
    const {width, height} = stage.view;
    const inside = (value, n) => (Math.min(n - 1, Math.max(0, Math.floor(value * n))) + 0.5) / n;
    const to = {x: inside(at.x, width), y: inside(at.y, height)};
    pointer.setAttribute("aria-pressed", "true");
    grid.classList.add("pointing");
    const well = stage.source?.heat.well;
    for (const feature of stage.features) { feature.hover?.(to, well); }
    const reach = 0.5 / zoom;
    if (Math.abs(to.x - centre.x) > reach || Math.abs(to.y - centre.y) > reach) { centre = to; apply(); }
    say();
  }
  function lift() {
    grid.classList.remove("pointing");
    for (const feature of stage.features) { feature.leave?.(); }
    told.textContent = "";
  }
  function say() {
    const {row, column} = pixel(cross);
    const named = stage.regions.names(cross);
    const values = [...cards.values()].filter((parts) => parts.levels)
      .map((parts) => `${parts.title.textContent} ${parts.readout.textContent}`);
    told.textContent = [`row ${row}, column ${column}`, original(cross), named, ...values]
      .filter(Boolean).join("; ");
  }
  const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
  pointer.addEventListener("keydown", (event) => {
    const step = steps[event.key];
    if (event.key === "Escape") { lift(); return; }
    if (!step || !stage.view?.width) { return; }
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    const from = cross ?? centre;
    place({x: from.x + far * step[0] / stage.view.width, y: from.y + far * step[1] / stage.view.height});
  });
  pointer.addEventListener("blur", () => {
    if (pointer.getAttribute("aria-pressed") === "true") { lift(); }
  });

  // ---- keys from anywhere but fields
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) { return; }
    const from = event.composedPath()[0];
    const role = from.getAttribute?.("role") ?? "";
    if (from.closest?.("input, textarea, select, [contenteditable]")
        || /^(slider|combobox|tab|radio|menuitem|spinbutton|option)$/.test(role)
        || !stage.view?.width || !root.getClientRects().length) { return; }
    const step = event.shiftKey ? steps[event.key] : null;
    if (event.key === "+" || event.key === "=") { zoomAt(middle(), 2); }
    else if (event.key === "-") { zoomAt(middle(), 0.5); }
    else if (event.key === "0") { whole(); }
    else if (step) { pan(step[0] / 8, step[1] / 8); }
    else { return; }
    event.preventDefault();
  };
  document.addEventListener("keydown", onKey);
  model.on("remove", () => { document.removeEventListener("keydown", onKey); clearTimeout(still); });
  apply();

  let sample = null;
  function drawn(view) {
    if (view.sample !== sample) { sample = view.sample; whole(); }
    bar.hidden = !view.picture;
    if (!cross || !view.picture) { leave(); } else { read(cross); }
  }
  return {hover, leave, drawn, press, drag, release};
}
