// What is shown, in one sentence; what narrows it, to be taken away one by one; search, order,
// saved views, files.

function tools(host, {act, arrange}) {
  const root = el("header", "top", host);
  const line = el("div", "line", root);
  const sentence = el("p", "sentence", line, {role: "status"});
  const chips = el("ul", "chips", line, {"aria-label": "What narrows the queue"});
  const back = button("Back to Batch", "plain", line, {press: () => act("back")});
  const bar = el("div", "bar", root, {role: "group", "aria-label": "Order, search, views, files"});
  const outcome = el("div", "switch outcome", bar, {role: "group", "aria-label": "Images of the comparison"});
  const find = el("input", "find", bar, {type: "search", placeholder: "Search", "aria-label": "Search name, class, tags, notes",
    "aria-keyshortcuts": "/", title: "Search name, class, tags and notes (/)", maxlength: 200});
  const orderLabel = el("label", "order", bar);
  orderLabel.append("Order ");
  const order = el("select", "", orderLabel);
  const layout = el("div", "switch", bar, {role: "group", "aria-label": "Show the queue as"});
  const layouts = Object.fromEntries([["table", "Table"], ["gallery", "Gallery"]].map(([name, words]) =>
    [name, button(words, "", layout, {press: () => arrange(name)})]));
  const said = el("p", "said", bar, {role: "status"});
  const views = menu("Views", "s", "Saved views");
  const files = menu("Export", "e", "Files");
  let [timer, wait, pending] = [0, 0, 0];

  find.addEventListener("input", () => {
    clearTimeout(wait);
    wait = setTimeout(() => act("find", {value: find.value}), 120);
  });
  find.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      if (find.value) { find.value = ""; act("find", {value: ""}); } else { find.blur(); }
      event.preventDefault();
    }
  });
  order.addEventListener("change", () => act("order", {value: order.value}));

  function menu(label, key, title) {
    const box = el("div", "menu", bar);
    const opener = button(label, "key", box, {key, name: title});
    const sheet = el("div", "sheet", box, {role: "dialog", "aria-label": title});
    sheet.hidden = true;
    opener.setAttribute("aria-expanded", "false");
    const toggle = (on) => {
      if (on === !sheet.hidden) { return; }
      sheet.hidden = !on;
      opener.setAttribute("aria-expanded", String(on));
      if (on) { sheet.querySelector("input, button")?.focus(); }
    };
    opener.addEventListener("click", () => toggle(sheet.hidden));
    box.addEventListener("keydown", (event) => {
      if (event.key === "Escape" && !sheet.hidden) { toggle(false); opener.focus(); event.stopPropagation(); event.preventDefault(); }
    });
    box.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !box.contains(event.relatedTarget)) { toggle(false); }
    });
    return {sheet, toggle, opener};
  }

  // ---- saved views
  text("h3", "", views.sheet, "Saved views");
  const viewList = el("ul", "views", views.sheet);
  const saveForm = el("form", "save", views.sheet);
  const viewName = el("input", "", saveForm, {"aria-label": "Name of the view", placeholder: "Name of this view", maxlength: 64});
  const saveView = el("button", "key strong", saveForm, {type: "submit"});
  saveView.textContent = "Save view";
  const trouble = el("p", "trouble", views.sheet, {role: "alert"});
  trouble.hidden = true;
  saveForm.addEventListener("submit", (event) => {
    event.preventDefault();
    if (viewName.value.trim() && !pending) { pending = act("save-view", {value: viewName.value.trim()}); }
  });
  function listViews(found) {
    viewList.replaceChildren();
    if (!found.length) { text("li", "quiet", viewList, "None yet. A saved view is a link that others of this journal see too."); }
    for (const {name, link} of found) {
      const item = el("li", "", viewList);
      button(name, "open", item, {name: `Open the view ${name}`, press: () => { views.toggle(false); act("open-view", {value: link}); }});
      button("×", "remove", item, {name: `Delete the view ${name}`, press: () => act("drop-view", {value: name})});
    }
  }

  // ---- files
  function listFiles(groups) {
    files.sheet.replaceChildren();
    for (const {title, items} of groups) {
      text("h3", "", files.sheet, title);
      const row = el("div", "files", files.sheet);
      for (const {kind, label, name} of items) {
        button(label, "key", row, {name, press: () => act("export", {value: kind})});
      }
    }
  }

  function see(view) {
    sentence.replaceChildren();
    for (const part of view.sentence ?? []) {
      if (part.strong) { text("strong", "", sentence, part.text); }
      else if (part.define) { define(part.text, part.define, sentence); }
      else { sentence.append(part.text); }
    }
    back.hidden = !view.back;
    chips.replaceChildren(...(view.chips ?? []).map(({id, label}) => {
      const item = el("li", "chip");
      text("span", "", item, label);
      button("×", "remove", item, {name: `Remove ${label}`, press: () => act("remove", {value: id})});
      return item;
    }));
    if (view.chips?.length > 1) {
      button("Clear the filters", "plain", el("li", "", chips), {press: () => act("clear")});
    }
    outcome.hidden = !view.outcome;
    outcome.replaceChildren();
    for (const it of view.outcome?.options ?? []) {
      button(it.label, "", outcome, {press: () => act("outcome", {value: it.value})})
        .setAttribute("aria-pressed", String(it.value === view.outcome.value));
    }
    bar.hidden = !view.order;
    if (!view.order) { return; }
    order.replaceChildren(...view.order.options.map((it) => {
      const option = el("option", "", null, {value: it.value});
      option.textContent = it.label;
      return option;
    }));
    order.value = view.order.value;
    if (find.getRootNode().activeElement !== find) { find.value = view.find; }
    listFiles(view.files);
    for (const [name, control] of Object.entries(layouts)) {
      control.setAttribute("aria-pressed", String(name === view.listed));
    }
  }

  function answer({request, trouble: why, text: words}) {
    if (pending && request === pending) {
      pending = 0;
      trouble.textContent = why;
      trouble.hidden = !why;
      if (!why) { viewName.value = ""; }
    }
    clearTimeout(timer);
    said.textContent = why || words;
    said.classList.toggle("bad", Boolean(why));
    if (!why) { timer = setTimeout(() => { said.textContent = ""; }, 6000); }
  }

  function press(name) {
    for (const [it, control] of Object.entries(layouts)) { control.setAttribute("aria-pressed", String(it === name)); }
  }

  return {see, answer, listViews, press, search: () => { find.focus(); find.select(); },
          saveView: () => { views.toggle(true); viewName.focus(); }, files: () => files.toggle(true)};
}
