// The thumbnail strip: pick an image by click, by button, or with the arrow keys from anywhere.

const WINDOW = 60;  // thumbnails kept in the page on either side of the chosen one

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
  const caption = el("div", "caption", root);
  const thumbs = new Map();
  let chosen = model.selected;

  const index = () => model.items.findIndex((item) => item.id === chosen);

  function set(button, src) {
    if (!button || src === undefined) { return; }
    button.classList.toggle("damaged", !src);
    const image = button.querySelector("img");
    if (src) { image.src = src; }
    image.hidden = !src;
  }
  function choose(id) {
    if (id === chosen || id === undefined) { return; }
    chosen = id;
    mark();
    model.send_msg({type: "choose", id});
  }
  function step(by) {
    const at = index();
    const to = Math.max(0, Math.min(model.items.length - 1, at + by));
    choose(model.items[to]?.id);
  }
  function build() {
    chosen = model.selected;
    const at = Math.max(0, index());
    const shown = model.items.slice(Math.max(0, at - WINDOW), at + WINDOW + 1);
    list.replaceChildren(...shown.map((item) => {
      const button = el("button", "thumb", null, {type: "button", role: "option", title: item.title});
      button.dataset.id = item.id;
      const image = el("img", "", button, {alt: item.title, loading: "lazy"});
      image.hidden = true;
      set(button, thumbs.get(item.id));
      button.addEventListener("click", () => choose(item.id));
      return button;
    }));
    mark();
  }
  function mark() {
    const at = index();
    position.textContent = model.items.length ? `${at + 1} / ${model.items.length}` : "no images";
    caption.textContent = model.items[at]?.title ?? "";
    caption.title = caption.textContent;
    previous.disabled = at <= 0;
    next.disabled = at < 0 || at >= model.items.length - 1;
    if (at >= 0 && !list.querySelector(`[data-id="${chosen}"]`)) { build(); return; }
    for (const button of list.children) {
      const here = button.dataset.id === chosen;
      button.setAttribute("aria-selected", String(here));
      button.tabIndex = here ? 0 : -1;
      if (here) {
        const [top, bottom] = [button.offsetTop - list.offsetTop, button.offsetTop - list.offsetTop + button.offsetHeight];
        if (top < list.scrollTop || bottom > list.scrollTop + list.clientHeight) {
          list.scrollTop = top - (list.clientHeight - button.offsetHeight) / 2;
        }
      }
    }
  }
  function fill() {
    for (const [id, src] of Object.entries(model.thumbs)) {
      thumbs.set(id, src);
      set(list.querySelector(`[data-id="${id}"]`), src);
    }
  }
  function follow() {
    if (model.selected !== chosen) { chosen = model.selected; mark(); }
  }

  previous.addEventListener("click", () => step(-1));
  next.addEventListener("click", () => step(1));
  // Composed events come out of every shadow root; fields and sliders keep their own arrows.
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) { return; }
    const from = event.composedPath()[0];
    const role = from.getAttribute?.("role") ?? "";
    if (from.closest?.("input, textarea, select, [contenteditable]")
        || /^(slider|combobox|tab|radio|menuitem|spinbutton)$/.test(role)
        || (role === "option" && !list.contains(from))) { return; }
    if (!root.isConnected || !root.getClientRects().length) { return; }
    if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
      step(event.key === "ArrowLeft" ? -1 : 1);
      event.preventDefault();
    } else if (list.contains(from) && (event.key === "Home" || event.key === "End")) {
      step(event.key === "Home" ? -Infinity : Infinity);
      event.preventDefault();
    }
  };
  document.addEventListener("keydown", onKey);
  model.on("remove", () => document.removeEventListener("keydown", onKey));
  model.on("items", build);
  model.on("thumbs", fill);
  model.on("selected", follow);
  fill();
  build();
}
