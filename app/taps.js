// What a tap on a figure or a cell of a table leads to: a small panel that says how many images are
// meant and opens exactly those. It stands at the tap; nothing is left until a button is pressed.
const OUTCOMES = [["counted", "all"], ["won", "won"], ["lost", "lost"]];

export function render({model, el}) {
  const panel = document.createElement("div");
  panel.className = "tap-panel";
  panel.setAttribute("role", "dialog");
  panel.hidden = true;
  el.appendChild(panel);
  let at = {x: 0, y: 0};
  let opener = null;
  let shown = "";

  const close = (back) => {
    if (panel.hidden) { return; }
    panel.hidden = true;
    shown = "";
    if (back) { opener?.focus(); }
    opener = null;
  };

  const button = (text, press, {main = false, disabled = false, label = ""} = {}) => {
    const node = document.createElement("button");
    node.type = "button";
    node.textContent = text;
    node.disabled = disabled;
    node.className = main ? "main" : "";
    if (label) { node.setAttribute("aria-label", label); }
    node.addEventListener("click", press);
    return node;
  };

  const images = (n) => `${n} image${n === 1 ? "" : "s"}`;

  // mark: [split, class, method, seed, n, won, lost, mean], see taps.py
  const fill = (id) => {
    const mark = model.marks[id];
    if (!mark) { return false; }
    const [split, group, method, seed, n, won, lost, mean] = mark;
    const name = model.labels[method] ?? method;
    const where = group === "overall" ? `${split}, all classes` : `${split}, ${group}`;
    panel.setAttribute("aria-label", `${name}: ${where}`);
    const head = document.createElement("div");
    head.className = "head";
    const title = document.createElement("div");
    title.innerHTML = "<b></b><span></span>";
    title.firstChild.textContent = name;
    title.lastChild.textContent = ` · ${where}` + (seed === null ? "" : ` · seed ${seed}`);
    head.append(title, button("×", () => close(true), {label: "Close"}));
    const seeds = model.seeds[id] ?? [];
    const many = seed === null && seeds.length > 1;
    const facts = document.createElement("p");
    facts.textContent = `win rate ${mean}` + (many ? `, mean of ${seeds.length} seeds` : "");
    const actions = document.createElement("div");
    actions.className = "actions";
    const counts = {counted: n, won, lost};
    for (const [outcome, word] of OUTCOMES) {
      const count = counts[outcome];
      const all = `Open these ${images(count)} in Triage`;
      const part = `${count} it ${word}`;
      actions.append(button(outcome === "counted" ? all : part, () => {
        close(false);
        model.send_msg({open: id, outcome});
      }, {
        main: outcome === "counted", disabled: count === 0,
        label: outcome === "counted" ? "" : `Open the ${images(count)} that ${name} ${word}`,
      }));
    }
    panel.replaceChildren(head, facts, actions);
    if (many) {
      const list = document.createElement("div");
      list.className = "seeds";
      list.append(Object.assign(document.createElement("span"), {textContent: "one seed:"}));
      for (const one of seeds) {
        const [, , , number, , , , rate] = model.marks[one];
        list.append(button(`${number}`, () => { fill(one); place(); focus(); }, {
          label: `Seed ${number}, win rate ${rate}`,
        }));
      }
      panel.append(list);
    } else if (seed !== null) {
      const whole = id.slice(0, id.lastIndexOf("|"));
      if (model.marks[whole]) {
        const list = document.createElement("div");
        list.className = "seeds";
        list.append(button("all seeds", () => { fill(whole); place(); focus(); }));
        panel.append(list);
      }
    }
    shown = id;
    return true;
  };

  const focus = () =>
    (panel.querySelector("button.main:enabled") ?? panel.querySelector(".head button")).focus();

  const place = () => {
    panel.hidden = false;
    const {width, height} = panel.getBoundingClientRect();
    const x = Math.min(Math.max(at.x + 12, 8), window.innerWidth - width - 8);
    const below = at.y + 12 + height <= window.innerHeight - 8;
    panel.style.left = `${x}px`;
    panel.style.top = `${Math.max(below ? at.y + 12 : at.y - height - 12, 8)}px`;
  };

  const onPointer = (event) => {
    if (event.type === "pointerup") { at = {x: event.clientX, y: event.clientY}; return; }
    if (!panel.hidden && !event.composedPath().includes(panel)) { close(false); }
  };
  const onTap = (event) => {
    if (!el.isConnected) { return; }
    if (event.detail.id && fill(event.detail.id)) { opener = null; place(); } else { close(false); }
  };
  const onClick = (event) => {
    const from = event.composedPath().find((node) => node.dataset?.open !== undefined);
    if (!from || !el.isConnected) { return; }
    const again = shown === from.dataset.open;
    if (again || !fill(from.dataset.open)) { close(true); return; }
    opener = from;
    const box = from.getBoundingClientRect();
    at = {x: box.left - 12, y: box.bottom - 6};
    place();
    focus();
  };
  const onKey = (event) => {
    if (event.key === "Escape" && !panel.hidden) { event.stopPropagation(); close(true); }
  };
  const onScroll = (event) => {
    if (!panel.hidden && !event.composedPath?.().includes(panel)) { close(false); }
  };
  document.addEventListener("pointerup", onPointer, true);
  document.addEventListener("pointerdown", onPointer, true);
  document.addEventListener("click", onClick);
  document.addEventListener("keydown", onKey, true);
  document.addEventListener("scroll", onScroll, true);
  window.addEventListener("xaieval-tap", onTap);
  model.on("marks", () => close(false));
  model.on("remove", () => {
    document.removeEventListener("pointerup", onPointer, true);
    document.removeEventListener("pointerdown", onPointer, true);
    document.removeEventListener("click", onClick);
    document.removeEventListener("keydown", onKey, true);
    document.removeEventListener("scroll", onScroll, true);
    window.removeEventListener("xaieval-tap", onTap);
  });
}
