// Two methods side by side in one picture, with a divider that is dragged or moved by keys.

function makeSwipe(stage) {
  const {model, root, grid, cards} = stage;
  let cut = 50;        // where the divider stands, in per cent of the well
  const card = el("article", "card swipe", null, {"aria-label": "Two methods side by side"});
  const head = el("header", "", card);
  el("h3", "", head).textContent = "Side by side";
  const close = el("button", "tool", head, {type: "button", "aria-label": "Close side by side", title: "Close"});
  close.textContent = "✕";
  const well = el("div", "well heat", card);
  const base = el("div", "layers", well);
  const picture = el("img", "picture", base, {alt: ""});
  const sides = ["left", "right"].map((name) => {
    const half = el("div", `half ${name}`, well);
    const canvas = el("canvas", "layer", el("div", "layers", half), {role: "img"});
    const label = el("span", `label ${name}`, well, {"aria-hidden": "true"});
    return {canvas, label};
  });
  const top = el("div", "layers over", well);
  const line = outline(top);
  el("div", "cross", top, {"aria-hidden": "true"});
  const naming = el("div", "naming", well, {"aria-hidden": "true"});
  naming.hidden = true;
  for (const name of ["where", "there", "names"]) { el("span", name, naming); }
  const divider = el("div", "divider", well, {role: "slider", tabindex: "0", "aria-valuemin": "0",
    "aria-valuemax": "100", "aria-orientation": "horizontal", "aria-label": "Divider between the two methods"});
  const choices = el("div", "choices", card);
  const selects = ["Left", "Right"].map((name) => el("select", "choice", choices, {"aria-label": `${name} method`}));
  card.hidden = true;

  const pair = () => (model.swipe || []).map((key) => [key, cards.get(key)]);
  const ready = () => pair().length === 2 && pair().every(([, parts]) => parts?.levels && parts.colours);

  function open(key) {
    const others = [...cards].filter(([other, parts]) => other !== key && parts.levels).map(([other]) => other);
    const best = others.find((other) => cards.get(other).card.classList.contains("winner"));
    if (!others.length) { return; }
    model.swipe = [key, best ?? others[0]];
    draw();
    divider.focus({preventScroll: true});
  }

  function move(to) {
    cut = Math.min(100, Math.max(0, to));
    well.style.setProperty("--cut", `${cut}%`);
    divider.setAttribute("aria-valuenow", String(Math.round(cut)));
    const [left, right] = pair().map(([, parts]) => parts?.title.textContent ?? "");
    divider.setAttribute("aria-valuetext", `${Math.round(cut)} % ${left}, the rest ${right}`);
  }

  function draw() {
    const view = stage.view;
    card.hidden = !view?.picture || !ready();
    root.dataset.swipe = card.hidden ? "" : model.swipe.join(" ");
    if (card.hidden) { return; }
    stage.source.card.after(card);
    picture.src = stage.kept.get(view.picture.id).src;
    setOutline(line, view);
    pair().forEach(([key, parts], i) => {
      const {canvas, label} = sides[i];
      [canvas.width, canvas.height] = [parts.levels.width, parts.levels.height];
      stage.colour(canvas, parts);
      const name = parts.title.textContent;
      canvas.setAttribute("aria-label", `Heatmap of ${name} on the ${i ? "right" : "left"}`);
      label.textContent = name;
      selects[i].replaceChildren(...[...cards].filter(([, it]) => it.levels).map(([other, it]) => {
        const option = el("option", "", null, {value: other});
        option.textContent = it.title.textContent;
        option.selected = other === key;
        return option;
      }));
    });
    move(cut);
    stage.fit?.();
  }

  selects.forEach((select, i) => select.addEventListener("change", () => {
    const chosen = [...model.swipe];
    if (chosen[1 - i] === select.value) { chosen[1 - i] = chosen[i]; }  // they change places
    chosen[i] = select.value;
    model.swipe = chosen;
    draw();
  }));
  close.addEventListener("click", () => {
    const [key] = model.swipe;
    model.swipe = [];
    draw();
    stage.fit?.();
    cards.get(key)?.beside?.focus({preventScroll: true});
  });

  divider.addEventListener("keydown", (event) => {
    const far = event.shiftKey ? 10 : 2;
    const to = {ArrowLeft: cut - far, ArrowDown: cut - far, ArrowRight: cut + far, ArrowUp: cut + far,
      PageDown: cut - 10, PageUp: cut + 10, Home: 0, End: 100}[event.key];
    if (to === undefined) { return; }
    event.preventDefault();
    move(to);
  });
  let held = false;
  divider.addEventListener("pointerdown", (event) => {
    if (event.button) { return; }
    held = true;
    divider.setPointerCapture(event.pointerId);
    event.stopPropagation();
  });
  divider.addEventListener("pointermove", (event) => {
    if (!held) { return; }
    event.stopPropagation();
    const box = well.getBoundingClientRect();
    move(100 * (event.clientX - box.left) / box.width);
  });
  for (const type of ["pointerup", "pointercancel"]) {
    divider.addEventListener(type, (event) => { held = false; event.stopPropagation(); });
  }

  // A button on every map opens it beside another one.
  function drawn(view) {
    for (const [key, parts] of cards) {
      if (!parts.beside) {
        parts.beside = el("button", "beside", parts.heat.well, {type: "button"});
        parts.beside.textContent = "⇆";
        parts.beside.addEventListener("pointerdown", (event) => event.stopPropagation());
        parts.beside.addEventListener("click", () => open(key));
      }
      parts.beside.hidden = !parts.levels || cards.size < 2 || !view.picture;
      parts.beside.title = "Side by side with another method";
      parts.beside.setAttribute("aria-label", `${parts.title.textContent} side by side with another method`);
    }
    draw();
  }
  model.on("swipe", draw);
  return {drawn, coloured: draw};
}
