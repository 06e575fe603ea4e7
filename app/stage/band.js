// The lines above the images: facts, verdict, legend, progress; and the message instead of images.

function makeBand(stage) {
  const {model, root} = stage;
  const band = el("header", "band", root);
  const facts = el("div", "facts", band);
  const tools = el("div", "tools-corner", band);
  const verdict = el("div", "verdict", band, {role: "status", "aria-live": "polite"});
  const legend = el("div", "legend", band, {"aria-label": "Legend"});
  const work = el("div", "work", band);
  const bar = el("div", "bar-track", work);
  const fill = el("div", "bar-fill", bar);
  const doing = el("span", "doing", work);
  const cancel = el("button", "plain", work, {type: "button"});
  cancel.textContent = "Cancel";
  cancel.addEventListener("click", () => model.send_msg({type: "cancel"}));
  const message = el("div", "message", root, {role: "alert"});

  for (const [name, text] of [["hit", "hit"], ["miss", "miss"], ["false-alarm", "false alarm"],
                              ["edge", "mask outline"], ["chance", "constant map"],
                              ["best", "best on its grid"]]) {
    const item = el("span", "key", legend);
    el("i", name, item);
    el("span", "", item).textContent = text;
  }

  function showFacts(list) {
    facts.replaceChildren();
    for (const fact of list) {
      const item = el("div", `fact ${fact.kind || ""}`, facts);
      el("span", "name", item).textContent = fact.name;
      el("strong", "", item).textContent = fact.value;
      if (fact.mark) { el("span", "mark", item).textContent = fact.mark; }
      if (fact.note) { el("span", "aside", item).textContent = fact.note; }
    }
  }

  function showVerdict(found) {
    verdict.replaceChildren();
    if (found) {
      el("strong", "", verdict).textContent = found.title;
      el("span", "", verdict).textContent = found.text;
    }
  }

  function showMessage(told) {
    message.hidden = !told;
    message.replaceChildren();
    if (!told) { return; }
    el("h2", "", message).textContent = told.title;
    for (const text of told.lines) { el("p", "", message).textContent = text; }
    for (const {id, label} of told.actions || []) {
      const button = el("button", "plain", message, {type: "button"});
      button.textContent = label;
      button.addEventListener("click", () => model.send_msg({type: id}));
    }
  }

  function drawn(view) {
    showFacts(view.facts || []);
    showVerdict(view.verdict);
    work.hidden = view.status !== "loading";
    if (view.progress) {
      fill.style.width = `${100 * view.progress.done / Math.max(1, view.progress.total)}%`;
      doing.textContent = view.progress.text;
    }
    showMessage(view.message);
    legend.querySelector(".hit + span").textContent = view.outline ? "hit" : "Top-K";
    const rows = (view.cards || []).flatMap((card) => card.rows || []);
    const has = (name) => rows.some((row) => row[name] !== null && row[name] !== undefined);
    legend.querySelector(".chance").parentElement.hidden = !has("chance");
    legend.querySelector(".best").parentElement.hidden = !has("ceiling");
    legend.hidden = !(view.cards || []).length;
  }
  return {tools, legend, drawn, showFacts, showVerdict};
}
