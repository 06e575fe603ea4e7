// The definition behind a number: one dialog for the whole page. Whatever carries data-define opens
// it, in whichever component it stands; data-of names the method whose map is meant.

export function render({model, el}) {
  const node = (tag, className, parent, text) => {
    const made = document.createElement(tag);
    if (className) { made.className = className; }
    if (text !== undefined) { made.textContent = text; }
    if (parent) { parent.append(made); }
    return made;
  };
  const dialog = node("dialog", "definition", el);
  dialog.setAttribute("aria-labelledby", "definition-title");
  const head = node("header", "", dialog);
  const title = node("h2", "", head);
  title.id = "definition-title";
  const close = node("button", "close", head, "×");
  close.type = "button";
  close.setAttribute("aria-label", "Close");
  const body = node("div", "body", dialog);
  const values = node("section", "values", dialog);
  values.setAttribute("aria-live", "polite");
  let opener = null;
  let asked = 0;

  function open(from) {
    opener = from;
    asked += 1;
    title.textContent = from.dataset.name || from.textContent.trim() || from.dataset.define;
    body.replaceChildren(node("p", "quiet", null, "…"));
    values.replaceChildren();
    dialog.dataset.state = "loading";
    if (!dialog.open) { dialog.showModal(); }
    dialog.scrollTop = 0;
    close.focus();
    model.send_msg({type: "open", key: from.dataset.define, of: from.dataset.of || "", asked});
  }

  function rule(list, name, text) {
    if (!text) { return; }
    node("dt", "", list, name);
    node("dd", "", list, text);
  }

  function draw() {
    const card = model.card;
    if (!dialog.open || card.asked !== asked) { return; }
    title.textContent = card.label;
    body.replaceChildren();
    if (card.error) {
      node("p", "", body, card.error).setAttribute("role", "alert");
    } else {
      node("p", "lead", body, card.words);
      if (card.mathml) {
        const formula = node("div", "formula", body);
        formula.innerHTML = card.mathml;
        const math = formula.firstElementChild;
        math.setAttribute("display", "block");
        math.setAttribute("alttext", card.plain);
        formula.title = card.plain;
      }
      if (card.symbols) { node("p", "quiet small", body, card.symbols); }
      if (card.subject) { drawNumber(card); }
      const list = node("dl", "", body);
      for (const [name, text] of card.rules) { rule(list, name, text); }
    }
    drawValues(card);
    dialog.dataset.state = card.error ? "error" : card.pending ? "counting" : "ready";
    dialog.dataset.key = card.key;
  }

  // The number that was asked about, in full, and how it came about.
  function drawNumber(card) {
    const line = node("p", "exact", body);
    node("strong", "", line, card.subject.value || "…");
    node("span", "quiet", line, card.subject.what);
    if (card.subject.how) { node("span", "quiet small", line, card.subject.how); }
  }

  function drawValues(card) {
    values.replaceChildren();
    if (!card.subject) { return; }
    if (card.problem) { node("p", "", values, card.problem).setAttribute("role", "alert"); }
    if (card.rows && card.rows.length) {
      const table = node("table", "", values);
      node("caption", "", table, "The same map under the named published variants gives …");
      const row = node("tr", "", node("thead", "", table));
      for (const name of ["Variant", "Value", "Published in"]) {
        node("th", name === "Value" ? "num" : "", row, name).scope = "col";
      }
      const rows = node("tbody", "", table);
      for (const it of card.rows) {
        const line = node("tr", it.differs ? "differs" : "", rows);
        line.dataset.variant = it.id;
        const name = node("th", "", line, it.label);
        name.scope = "row";
        name.title = it.key;
        const number = node("td", "num", line, it.text);
        if (it.value !== null) { number.dataset.value = it.value; }
        if (it.title) { number.title = it.title; }
        node("td", "source", line, it.source);
      }
    }
    for (const text of card.notes || []) { node("p", "quiet small", values, text); }
    if (card.pending) { node("p", "quiet", values, card.pending); }
  }

  // The element that opened the card may have been drawn anew meanwhile: look for its twin.
  function twin(root, from) {
    const {define, of} = from.dataset;
    for (const found of root.querySelectorAll("[data-define]")) {
      if (found.dataset.define === define && found.dataset.of === of) { return found; }
    }
    for (const host of root.querySelectorAll("*")) {
      const found = host.shadowRoot && twin(host.shadowRoot, from);
      if (found) { return found; }
    }
    return null;
  }
  dialog.addEventListener("close", () => {
    asked += 1;
    model.send_msg({type: "close"});
    const back = opener && (opener.isConnected ? opener : twin(document, opener));
    opener = null;
    if (back) { back.focus({preventScroll: true}); }
  });
  close.addEventListener("click", () => dialog.close());
  dialog.addEventListener("click", (event) => {  // beside the card
    if (event.composedPath()[0] !== dialog) { return; }
    const box = dialog.getBoundingClientRect();
    const inside = event.clientX >= box.left && event.clientX <= box.right
      && event.clientY >= box.top && event.clientY <= box.bottom;
    if (!inside) { dialog.close(); }
  });

  const meant = (event) =>
    event.composedPath().find((part) => part.dataset && part.dataset.define !== undefined);
  const onClick = (event) => {
    const from = meant(event);
    if (from) { event.preventDefault(); event.stopPropagation(); open(from); }
  };
  const onKey = (event) => {  // buttons click by themselves
    const from = event.composedPath()[0];
    if (event.key === "Enter" && from.dataset?.define !== undefined && from.tagName !== "BUTTON") {
      event.preventDefault();
      open(from);
    }
    if (event.key !== "Escape" && dialog.open) { event.stopPropagation(); }  // no page shortcuts
  };
  document.addEventListener("click", onClick, true);
  document.addEventListener("keydown", onKey, true);
  model.on("change:card", draw);
  model.on("remove", () => {
    document.removeEventListener("click", onClick, true);
    document.removeEventListener("keydown", onKey, true);
  });
}
