// The triage desk: what is shown, plots, queue, and the chosen image, under the hand of the keyboard.

export function render({model, el: host}) {
  const root = el("div", "triage-desk", host);
  let [request, hearing] = [0, 0];
  const act = (type, more = {}) => {
    request += 1;
    const found = queueOf.row();
    model.send_msg({type, request, at: queueOf.at(), version: model.view.version ?? 0,
                    sample: found?.name ?? "", ...more});
    return request;
  };
  const top = tools(root, {act, arrange});
  const said = el("div", "message", root, {role: "status"});
  const body = el("div", "body", root);
  const main = el("div", "main", body);
  const plotsOf = plots(main, {
    brush: (ranges) => act("brush", ranges),
    point: (n) => act("point", {value: n, plot: model.view.plots?.id ?? 0}),
  });
  const queueOf = queue(main, {
    ask: (page) => model.send_msg({type: "rows", ...page}),
    pick: ({at, version, row}) => { model.send_msg({type: "select", at, version}); chosen(row); },
    open: () => act("open"),
    order: (value) => act("order", {value}),
    wantThumbs: (ids) => model.send_msg({type: "thumbs", ids}),
  });
  const previewOf = preview(body, {act: writing, step: (by) => queueOf.step(by)});
  let [layout, held, tags] = ["table", {}, []];  // held: image name -> what was written about it

  function writing(type, more = {}) {
    if (type === "toggle") {
      const given = held[queueOf.row()?.name]?.tags ?? [];
      return act(given.includes(more.value) ? "untag" : "tag", more);
    }
    return act(type, more);
  }

  function chosen(row) {
    previewOf.select(row, queueOf.at(), model.view.total ?? 0);
    previewOf.remark(held, tags);
    plotsOf.select(row);
  }

  function arrange(name) {
    layout = name;
    top.press(name);
    queueOf.arrange(name);
    act("listed", {value: name});
  }

  function message({title, lines = [], actions = []}) {
    said.replaceChildren();
    text("h2", "", said, title);
    for (const line of lines) { text("p", "", said, line); }
    for (const {id, label} of actions) { button(label, "plain", said, {press: () => act(id)}); }
  }

  function see() {
    const began = performance.now();
    const view = model.view;
    root.dataset.status = view.status ?? "loading";
    top.see(view);
    said.hidden = view.status === "ready" || view.status === "loading";
    if (!said.hidden) { message(view.message ?? {title: ""}); }
    body.hidden = !(view.status === "ready" || view.status === "loading" || (view.status === "empty" && view.plots));
    root.classList.toggle("nothing", view.status === "empty");
    queueOf.see(view);  // first what is waited for
    plotsOf.see(view.plots ?? null);
    if (view.listed && view.listed !== layout) { layout = view.listed; queueOf.arrange(layout); }
    chosen(queueOf.row());
    root.dataset.version = view.version ?? "";
    heard();
    root.dataset.took = String(Math.round(performance.now() - began));
    root.dataset.painted = view.status === "ready" ? view.version : "";
  }

  const hold = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) { return; }
    if (!root.isConnected || !root.getClientRects().length || model.view.status !== "ready") { return; }
    const from = event.composedPath()[0];
    const role = from.getAttribute?.("role") ?? "";
    if (from.closest?.("input, textarea, select, [contenteditable], [role=dialog]")
        || /^(slider|combobox|tab|radio|menuitem|spinbutton)$/.test(role)
        || (role === "option" && !root.contains(from))) { return; }
    const free = !from.closest?.("button, a, summary");
    const arrows = from === document.body || queueOf.holds(from) || !root.contains(from) || !free;
    const by = layout === "gallery";
    const keys = {
      j: () => queueOf.step(1), k: () => queueOf.step(-1),
      t: () => previewOf.openField("tag"), n: () => previewOf.openField("note"),
      u: () => act("undo"), h: () => previewOf.toggleHeat(), o: () => act("open"),
      e: () => top.files(), s: () => top.saveView(), "/": () => top.search(),
    };
    if (arrows) {
      Object.assign(keys, {
        ArrowDown: () => queueOf.jump(1), ArrowUp: () => queueOf.jump(-1),
        ArrowRight: () => queueOf.step(1), ArrowLeft: () => queueOf.step(-1),
      });
    }
    if (queueOf.holds(from)) {
      Object.assign(keys, {
        Home: () => queueOf.step(-Infinity), End: () => queueOf.step(Infinity),
        PageDown: () => queueOf.jump(queueOf.pageful()), PageUp: () => queueOf.jump(-queueOf.pageful()),
      });
    }
    if (free) { keys.Enter = () => act("open"); }
    if (/^[1-9]$/.test(event.key)) {
      const tag = tags[Number(event.key) - 1];
      if (tag && queueOf.row()) { writing("toggle", {value: tag}); event.preventDefault(); }
      return;
    }
    if (event.key === "Escape" && plotsOf.escape()) { event.preventDefault(); return; }
    if (!keys[event.key]) { return; }
    event.preventDefault();
    keys[event.key]();
  };
  document.addEventListener("keydown", hold);

  // A file made on the server goes where downloads go.
  function deliver() {
    const {name, mime, data} = model.file;
    if (!name) { return; }
    const bytes = Uint8Array.from(atob(data), (sign) => sign.charCodeAt(0));
    const link = el("a", "", null, {download: name, href: URL.createObjectURL(new Blob([bytes], {type: mime}))});
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }

  function remark() {
    const {whole = true, samples = {}, views = []} = model.marked;
    held = whole ? samples : {...held, ...samples};
    tags = model.marked.tags ?? [];
    queueOf.remark(samples);
    previewOf.remark(held, tags);
    top.listViews(views);
    heard();
  }

  // What changes while a page is being made may get lost; the server sends again what is not heard.
  function heard() {
    clearTimeout(hearing);
    hearing = setTimeout(() => model.send_msg({type: "heard", turn: model.marked.turn ?? 0,
                                               version: model.view.version ?? 0}), 100);
  }

  model.on("view", see);
  model.on("rows", () => { queueOf.take(model.rows); chosen(queueOf.row()); });
  model.on("thumbs", () => queueOf.fill(model.thumbs));
  model.on("preview", () => previewOf.see(model.preview));
  model.on("marked", remark);
  model.on("said", () => { previewOf.answer(model.said); top.answer(model.said); });
  model.on("file", deliver);
  model.on("chosen", () => {
    const {at, version} = model.chosen;
    if (version === model.view.version && at !== queueOf.at()) { queueOf.choose(at); }
  });
  model.on("remove", () => {
    clearTimeout(hearing);
    document.removeEventListener("keydown", hold);
    plotsOf.remove();
    queueOf.remove();
  });
  remark();
  see();
  previewOf.see(model.preview);
}
