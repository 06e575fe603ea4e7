// Where the strongest pixels end. The stage hears of every step at once and answers by itself;
// the session hears of the last one, when the hand has come to rest.

const REST_MS = 250;

function el(tag, className, parent, attributes = {}) {
  const node = document.createElement(tag);
  if (className) { node.className = className; }
  for (const [name, value] of Object.entries(attributes)) { node.setAttribute(name, value); }
  if (parent) { parent.append(node); }
  return node;
}

export function render({model, el: host}) {
  const root = el("div", "steer", host, {role: "group", "aria-label": "Strongest pixels"});
  const kinds = el("div", "kinds", root);
  const tabs = Object.fromEntries([["k", "K pixels"], ["threshold", "Threshold"]].map(([kind, text]) => {
    const button = el("button", "kind", kinds, {type: "button", "aria-pressed": "false"});
    button.textContent = text;
    button.addEventListener("click", () => turn(kind));
    return [kind, button];
  }));
  const usual = el("button", "usual", kinds, {type: "button"});
  usual.textContent = "K = mask size";
  const line = el("div", "line", root);
  const slider = el("input", "slider", line, {type: "range", min: "1"});
  const number = el("input", "number", line, {type: "number", min: "1", step: "1"});
  const unit = el("span", "unit", line);
  let state = {...model.cut};
  let timer = null;

  const isK = () => state.kind !== "threshold";
  const value = () => (isK() ? state.k : state.threshold);

  function draw() {
    root.hidden = state.kind === undefined;
    for (const [kind, button] of Object.entries(tabs)) {
      button.setAttribute("aria-pressed", String(kind === state.kind));
    }
    const [name, end] = isK() ? ["K", state.end] : ["Threshold", 100];
    slider.max = number.max = String(end);
    slider.value = number.value = String(value());
    slider.setAttribute("aria-label", name);
    slider.setAttribute("aria-valuetext", isK() ? `${value()} pixels` : `${value()} % of the range`);
    number.setAttribute("aria-label", isK() ? "K in pixels" : "Threshold in per cent");
    unit.textContent = isK() ? "px" : "%";
    usual.hidden = !isK();
    usual.disabled = !state.chosen;
    slider.style.setProperty("--at", `${100 * (value() - 1) / Math.max(1, end - 1)}%`);
  }

  function tell(detail) {
    document.dispatchEvent(new CustomEvent("xaieval-cut", {detail}));
    clearTimeout(timer);
    timer = setTimeout(() => {
      timer = null;
      // A view that came meanwhile may have painted over it.
      const now = {...detail, shown: false, asking: true};
      document.dispatchEvent(new CustomEvent("xaieval-cut", {detail: now}));
      model.send_msg({type: "cut", ...now});
    }, detail.shown ? REST_MS : 40);
  }

  function move(to) {
    const end = isK() ? state.end : 100;
    const next = Math.max(1, Math.min(end, Math.round(to)));
    if (!Number.isFinite(next)) { draw(); return; }
    if (isK()) { [state.k, state.chosen] = [next, true]; } else { state.threshold = next; }
    draw();
    tell({kind: state.kind, value: next, sample: state.sample, shown: false});
  }

  // Another kind of cut has other scores: the server composes that view.
  function turn(kind) {
    if (kind === state.kind) { return; }
    state.kind = kind;
    draw();
    const to = kind === "k" ? 0 : state.threshold;
    tell({kind, value: to, sample: state.sample, shown: false});
  }

  slider.addEventListener("input", () => move(Number(slider.value)));
  slider.addEventListener("keydown", (event) => {  // a tenth of the way, as sliders do
    const steps = {PageUp: 0.1, PageDown: -0.1}[event.key];
    if (steps) { event.preventDefault(); move(value() + steps * (isK() ? state.end : 100)); }
  });
  number.addEventListener("change", () => move(Number(number.value)));
  usual.addEventListener("click", () => {
    [state.k, state.chosen] = [state.usual, false];
    draw();
    tell({kind: "k", value: 0, sample: state.sample, shown: false});
  });
  model.on("cut", () => {
    // What the session says of a moment ago must not pull the slider from under the hand.
    if (timer !== null && model.cut.sample === state.sample) { return; }
    clearTimeout(timer);
    timer = null;
    state = {...model.cut};
    draw();
  });
  model.on("remove", () => clearTimeout(timer));
  draw();
}
