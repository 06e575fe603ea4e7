// The chosen image, large: mask outlined, one method's heatmap over it, the scores of all methods,
// and what people wrote about it.

function preview(host, {act, step}) {
  const root = el("aside", "preview", host, {"aria-label": "Chosen image"});
  const keys = el("div", "keys", root, {role: "toolbar", "aria-label": "The chosen image"});
  const previous = button("‹", "key step", keys, {key: "k", name: "Previous", press: () => step(-1)});
  const next = button("›", "key step", keys, {key: "j", name: "Next", press: () => step(1)});
  const place = text("span", "place", keys, "");
  const heatKey = button("Heatmap", "key", keys, {key: "h", press: () => toggleHeat()});
  const open = button("Explore", "key strong", keys, {key: "o", name: "Open in Explore", press: () => act("open")});
  const scroll = el("div", "scroll", root, {tabindex: "0", role: "group", "aria-label": "Image, scores, tags and notes"});
  const stage = el("div", "stage", scroll);
  const head = el("div", "words", scroll);
  const marks = el("div", "marks-of", scroll);
  const rest = el("div", "words", scroll);
  let [shown, heated, row, fading] = [null, true, null, 0];

  // ---- writing: a field keeps its text until what it says is written
  const tagBar = el("div", "writing", marks);
  const tagList = el("div", "tags", tagBar, {"aria-live": "polite"});
  const tagButton = button("Tag", "key", tagBar, {key: "t", press: () => openField("tag")});
  const noteButton = button("Note", "key", tagBar, {key: "n", press: () => openField("note")});
  const undoButton = button("Undo", "key", tagBar, {key: "u", press: () => act("undo")});
  const forms = {};
  for (const [kind, label, tag] of [["tag", "Tag of this image", "input"], ["note", "Note on this image", "textarea"]]) {
    const form = el("form", `field ${kind}`, marks, {"aria-label": label});
    form.hidden = true;
    const input = el(tag, "", form, {"aria-label": label, autocomplete: "off", maxlength: kind === "tag" ? 64 : 10000});
    if (kind === "tag") { input.setAttribute("list", "known-tags"); el("datalist", "", form, {id: "known-tags"}); }
    else { input.rows = 3; }
    const row = el("div", "acts", form);
    const save = el("button", "key strong", row, {type: "submit"});
    save.textContent = kind === "tag" ? "Give tag" : "Keep note";
    button("Close", "key", row, {press: () => closeField(kind)});
    const trouble = el("p", "trouble", form, {role: "alert"});
    trouble.hidden = true;
    form.addEventListener("submit", (event) => { event.preventDefault(); send(kind); });
    input.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { closeField(kind); event.preventDefault(); event.stopPropagation(); }
      if (kind === "note" && event.key === "Enter" && (event.ctrlKey || event.metaKey)) { send(kind); }
    });
    forms[kind] = {form, input, save, trouble, of: null, pending: 0};
  }
  const recent = el("div", "recent", forms.tag.form, {role: "group", "aria-label": "Recent tags"});
  const notes = el("ul", "notes", marks);

  function openField(kind) {
    if (!row) { return; }
    const it = forms[kind];
    it.form.hidden = false;
    it.of = row;
    it.trouble.hidden = true;
    it.input.focus();
  }
  function closeField(kind) {
    const it = forms[kind];
    const held = it.form.contains(it.form.getRootNode().activeElement);
    it.form.hidden = true;
    it.trouble.hidden = true;
    if (held) { (kind === "tag" ? tagButton : noteButton).focus({preventScroll: true}); }
  }
  function send(kind) {
    const it = forms[kind];
    const value = it.input.value.trim();
    if (!value || it.pending) { return; }
    it.pending = act(kind, {value, sample: it.of.name});
    it.save.disabled = true;
  }
  // What came of a write: done, or why not; the text stays until it is done.
  function answer({request, trouble}) {
    for (const [kind, it] of Object.entries(forms)) {
      if (!it.pending || it.pending !== request) { continue; }
      it.pending = 0;
      it.save.disabled = false;
      it.trouble.textContent = trouble;
      it.trouble.hidden = !trouble;
      if (trouble) { it.form.hidden = false; continue; }
      it.input.value = "";
      closeField(kind);
    }
  }

  function remark(found, known) {
    const list = forms.tag.form.querySelector("datalist");
    list.replaceChildren(...known.map((tag) => el("option", "", null, {value: tag})));
    recent.replaceChildren(...known.slice(0, 9).map((tag, i) =>
      button(tag, "key", null, {key: String(i + 1), name: `Tag ${tag}`, press: () => act("toggle", {value: tag})})));
    recent.hidden = !known.length;
    tagList.replaceChildren();
    notes.replaceChildren();
    const held = row ? found?.[row.name] : null;
    for (const [i, tag] of (held?.tags ?? []).entries()) {
      const chip = el("span", "tag", tagList);
      chip.append(tag);
      chip.title = held.taggers[i] ? `by ${held.taggers[i]}` : "";
      button("×", "remove", chip, {name: `Take the tag ${tag} away`, press: () => act("untag", {value: tag, sample: row.name})});
    }
    for (const note of held?.notes ?? []) {
      const item = el("li", "", notes);
      text("p", "", item, note.text);
      text("span", "by", item, `${note.author}, ${note.time}`);
    }
  }

  // ---- the image
  function toggleHeat() {
    heated = !heated;
    heatKey.setAttribute("aria-pressed", String(heated));
    stage.classList.toggle("bare", !heated);
  }
  heatKey.setAttribute("aria-pressed", "true");

  function layer(parent, src, alt) {
    const image = el("img", "", parent, {alt});
    image.src = src;
    return image;
  }

  function outlined(parent, view) {
    if (!view.outline) { return; }
    const box = draw("svg", parent, {class: "outline", viewBox: `0 0 ${view.width} ${view.height}`,
      preserveAspectRatio: "none", "aria-hidden": "true"});
    draw("path", box, {class: "under", d: view.outline});
    draw("path", box, {class: "over", d: view.outline});
  }

  function paintStage(view) {
    stage.replaceChildren();
    stage.dataset.state = view.state;
    if (!view.picture) {
      if (view.state === "loading") { el("div", "well skeleton", stage); }
      else { text("p", "missing", stage, "There is no image to show."); }
      return;
    }
    const plain = el("figure", "alone", stage);
    const first = el("div", "well", plain);
    layer(first, view.picture, view.alt);
    outlined(first, view);
    text("figcaption", "", plain, view.outline ? "Image, mask outlined" : "Image");
    const over = el("figure", "heated", stage);
    const second = el("div", "well", over);
    const under = layer(second, view.picture, "");
    if (view.heat) {
      layer(second, view.heat, `Heatmap of ${view.method} over ${view.alt}`).className = "heat";
    } else {
      under.alt = view.alt;
      if (view.state === "loading") { second.classList.add("skeleton"); }
    }
    outlined(second, view);
    text("figcaption", "", over, view.heat ? view.method : view.state === "loading" ? `${view.method} …` : view.note);
  }

  function paintWords(view) {
    head.replaceChildren();
    rest.replaceChildren();
    const title = text("h2", "", head, view.title);
    title.title = view.name;
    const facts = el("p", "answer", head);
    const found = text("b", view.correct ? "right" : "wrong", facts, view.correct ? "✓ right" : "✗ wrong");
    found.after(` ${view.answer}`);
    if (view.note) { text("p", "note", head, view.note); }
    if (view.retry) { button("Try again", "plain", head, {press: () => act("retry")}); }
    if (!view.scores.length) { return; }
    const table = el("table", "scores", rest);
    const caption = el("caption", "", table);
    define(view.metric.label, view.metric.key, caption);
    caption.append(view.region ? ` on ${view.region}` : "", " of every method");
    const body = el("tbody", "", table);
    for (const it of view.scores) {
      const line = el("tr", "", body);
      line.classList.toggle("shown", it.shown);
      const name = el("th", "", line, {scope: "row"});
      const pick = button(it.label, "method", name, {press: () => act("method", {value: it.key})});
      pick.setAttribute("aria-pressed", String(it.shown));
      pick.title = `Show the heatmap of ${it.label}`;
      const track = el("div", "track", el("td", "gauge", line, {"aria-hidden": "true"}));
      if (it.share !== null) { el("div", "fill", track).style.width = `${100 * clamp(it.share, 0, 1)}%`; }
      const cell = el("td", "value", line);
      if (it.value === null) { text("span", "quiet", cell, "–").title = it.reason || "not scored"; }
      else { define(number(it.value), view.metric.key, cell, {of: it.key}); }
      const mark = text("td", "mark", line, it.best ? "best" : it.baseline ? "baseline" : "");
      if (!it.competes) { mark.title = "does not compete"; }
    }
    const more = el("dl", "facts", rest);
    for (const fact of view.facts) {
      text("dt", "", more, fact.name);
      const value = text("dd", "", more, fact.value);
      if (fact.title) { value.title = fact.title; }
    }
  }

  function see(view) {
    clearTimeout(fading);
    root.dataset.state = view.state ?? "none";
    if (view.state === "loading" && shown?.picture && !view.picture) {
      // The image before stays, dimmed, while the next one is on its way.
      fading = setTimeout(() => stage.classList.add("waiting"), 120);
      if (view.title) { paintWords(view); }
      shown = {...view, picture: shown.picture};
      return;
    }
    stage.classList.remove("waiting");
    shown = view;
    const none = !view.title;
    head.hidden = marks.hidden = rest.hidden = none;
    if (none) {
      stage.replaceChildren();
      stage.dataset.state = "none";
      text("p", "missing", stage, "Choose an image: j for the first one");
      return;
    }
    paintStage(view);
    paintWords(view);
  }

  function select(found, at, total) {
    const other = row?.name !== found?.name;
    row = found;
    place.textContent = at >= 0 ? `${thousands(at + 1)} / ${thousands(total)}` : "";
    previous.disabled = at <= 0;
    next.disabled = at >= total - 1;
    for (const node of [open, tagButton, noteButton, heatKey]) { node.disabled = !row; }
    if (other) {  // text that was typed and not kept stays with its image
      for (const [kind, it] of Object.entries(forms)) {
        if (!it.form.hidden && !it.input.value.trim()) { closeField(kind); }
      }
    }
  }

  return {see, select, answer, remark, openField, toggleHeat, root};
}
