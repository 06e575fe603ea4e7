// The help overlay and the keys that work on every page. A native dialog: it holds the focus, closes
// with Escape, and gives the focus back to where it was.

function el(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) { node.className = className; }
  if (text !== undefined) { node.textContent = text; }
  if (parent) { parent.append(node); }
  return node;
}

// Somebody writes, or moves in a menu: letters belong to that.
function writing(event) {
  const from = event.composedPath()[0];
  if (from.isContentEditable) { return true; }
  if (from.tagName === "INPUT") {
    return !/^(button|checkbox|color|image|radio|range|reset|submit)$/.test(from.type);
  }
  const role = from.getAttribute?.("role") ?? "";
  return /^(TEXTAREA|SELECT)$/.test(from.tagName)
    || /^(textbox|searchbox|menu|menuitem|spinbutton)$/.test(role)
    || from.getAttribute?.("aria-expanded") === "true" && role === "combobox";
}

function addKeys(parent, keys) {
  keys.forEach((way, i) => {
    if (i) { el("span", "or", parent, " "); }
    way.split(" ").forEach((part, j) => {
      if (j) { el("span", "then", parent, " then "); }
      part.split(/(?<=.)\+(?=.)/).forEach((key, k) => {
        if (k) { parent.append("+"); }
        el("kbd", "", parent, key);
      });
    });
  });
}

function addTable(parent, title, shortcuts) {
  if (!shortcuts.length) { return; }
  const part = el("section", "keys", parent);
  el("h3", "", part, title);
  const list = el("dl", "", part);
  for (const {keys, what} of shortcuts) {
    const line = el("div", "", list);
    addKeys(el("dt", "", line), keys);
    el("dd", "", line, what);
  }
}

export function render({model, el: host}) {
  const button = el("button", "open", host, "?");
  button.type = "button";
  button.title = "Help: keys, signs, colours (?)";
  button.setAttribute("aria-label", "Help");
  button.setAttribute("aria-haspopup", "dialog");
  button.setAttribute("aria-keyshortcuts", "?");
  const dialog = el("dialog", "help", host);
  dialog.setAttribute("aria-labelledby", "help-title");
  const head = el("header", "", dialog);
  el("h2", "", head, "Help").id = "help-title";
  const close = el("button", "close", head, "✕");
  close.type = "button";
  close.setAttribute("aria-label", "Close help");
  const body = el("div", "body", dialog);
  body.tabIndex = 0;  // scrolled by the keyboard where it is longer than the screen
  body.setAttribute("role", "group");
  body.setAttribute("aria-label", "Keys, signs and notes");

  function fill() {
    body.replaceChildren();
    const left = el("div", "column", body);
    const page = model.page;
    addTable(left, `On ${model.titles[page] ?? "this page"}`,
             model.shortcuts.filter((it) => it.page === page));
    addTable(left, "Everywhere", model.shortcuts.filter((it) => it.page === ""));
    const others = Object.keys(model.titles).filter(
      (id) => id !== page && model.shortcuts.some((it) => it.page === id));
    if (others.length) {
      const more = el("details", "", left);
      el("summary", "", more, "Keys of the other pages");
      for (const id of others) {
        addTable(more, model.titles[id], model.shortcuts.filter((it) => it.page === id));
      }
    }
    const right = el("div", "column", body);
    const signs = el("section", "signs", right);
    el("h3", "", signs, "Signs and colours");
    const list = el("ul", "", signs);
    for (const [look, sign, meaning] of model.signs) {
      const line = el("li", "", list);
      const place = el("span", "place", line);
      place.setAttribute("aria-hidden", "true");
      el("span", look, place, sign);
      el("span", "", line, meaning);
    }
    for (const [title, text] of model.topics) {
      const topic = el("section", "topic", right);
      el("h3", "", topic, title);
      el("p", "", topic, text);
    }
  }
  function show() {
    if (dialog.open || document.fullscreenElement) { return; }
    fill();
    dialog.showModal();
    body.scrollTop = 0;
    close.focus();
  }
  button.addEventListener("click", show);
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {  // a click beside it
    if (event.composedPath()[0] === dialog) { dialog.close(); }
  });

  // On the window and before everything else: after "g" the letter is not the page's own key.
  let waiting = 0;
  const onKey = (event) => {
    const armed = waiting && event.timeStamp - waiting < 1500;
    if (/^(Shift|Control|Alt|AltGraph|Meta|CapsLock)$/.test(event.key)) { return; }
    waiting = 0;
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || writing(event)) { return; }
    if (armed && !dialog.open && model.leaders[event.key]) {
      model.send_msg({type: "go", page: model.leaders[event.key]});
    } else if (event.key === "?") {
      if (dialog.open) { dialog.close(); } else { show(); }
    } else if (event.key === "g" && !dialog.open) {
      waiting = event.timeStamp;
    } else {
      // What is behind the open help stays as it is.
      if (dialog.open && event.key !== "Tab") { event.stopPropagation(); }
      return;
    }
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  window.addEventListener("keydown", onKey, true);
  model.on("remove", () => window.removeEventListener("keydown", onKey, true));
}
