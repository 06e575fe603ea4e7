// The toast after a pin: a field for the caption, Undo, and the way to the story. Key: p.

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) { node.className = className; }
  if (text !== undefined) { node.textContent = text; }
  if (parent) { parent.append(node); }
  return node;
}

function writing(event) {
  const from = event.composedPath()[0];
  return from.isContentEditable || /^(TEXTAREA|SELECT)$/.test(from.tagName)
    || from.tagName === "INPUT" && !/^(button|checkbox|radio|range|reset|submit)$/.test(from.type)
    || /^(textbox|searchbox|menuitem)$/.test(from.getAttribute?.("role") ?? "");
}

function focused() {
  let at = document.activeElement;
  while (at?.shadowRoot?.activeElement) { at = at.shadowRoot.activeElement; }
  return at;
}

const STAYS_MS = 9000;

export function render({model, el: host}) {
  const toast = make("section", "toast", host);
  toast.setAttribute("aria-label", "Pinned view");
  toast.hidden = true;
  const head = make("div", "line", toast);
  const said = make("span", "said", head);
  said.setAttribute("role", "status");
  const undo = make("button", "", head, "Undo");
  const open = make("button", "", head, "Open story");
  const close = make("button", "close", head, "✕");
  close.setAttribute("aria-label", "Close");
  for (const button of [undo, open, close]) { button.type = "button"; }
  const label = make("label", "", toast);
  make("span", "name", label, "Caption");
  const field = make("input", "", label);
  field.type = "text";
  field.maxLength = 600;
  field.placeholder = "What to say about it";
  let timer = 0;
  let before = null;
  let saved = "";

  const save = () => {
    if (field.value !== saved) {
      saved = field.value;
      model.send_msg({type: "caption", value: saved});
    }
  };
  const hide = () => {
    clearTimeout(timer);
    const inside = toast.contains(host.getRootNode().activeElement);
    toast.hidden = true;
    if (inside && before?.isConnected) { before.focus({preventScroll: true}); }
  };
  const wait = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      if (toast.matches(":hover, :focus-within")) { wait(); } else { save(); hide(); }
    }, STAYS_MS);
  };
  const show = () => {
    if (!model.toast.n) { return; }
    said.textContent = "Pinned as slide " + model.toast.number + " of “" + model.toast.story + "”";
    saved = field.value = model.toast.caption;
    before = focused();
    toast.hidden = false;
    undo.hidden = false;
    field.focus({preventScroll: true});
    wait();
  };
  undo.addEventListener("click", () => { model.send_msg({type: "undo"}); hide(); });
  open.addEventListener("click", () => { save(); hide(); model.send_msg({type: "open"}); });
  close.addEventListener("click", () => { save(); hide(); });
  field.addEventListener("change", save);
  toast.addEventListener("keydown", (event) => {
    if (event.key === "Escape") { save(); hide(); event.stopPropagation(); }
    if (event.key === "Enter" && event.composedPath()[0] === field) { save(); hide(); }
  });
  const onKey = (event) => {
    if (event.key !== "p" || event.ctrlKey || event.metaKey || event.altKey || event.repeat
        || event.defaultPrevented || model.quiet || writing(event)) { return; }
    event.preventDefault();
    model.send_msg({type: "pin"});
  };
  document.addEventListener("keydown", onKey);
  const stamp = () => { document.documentElement.dataset.stamp = model.stamp; };
  stamp();
  model.on("toast", show);
  model.on("stamp", stamp);
  model.on("remove", () => { document.removeEventListener("keydown", onKey); clearTimeout(timer); });
}
