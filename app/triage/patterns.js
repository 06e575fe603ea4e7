// Shared Interest's patterns with their counts, and the lines between them.

export function render({model, el: host}) {
  const root = el("section", "kinds", host, {"aria-label": "Patterns"});
  const list = el("div", "list", root);
  const lines = el("details", "lines", root);
  text("summary", "", lines, "Where the lines are");
  const form = el("div", "sliders", lines);
  const sliders = {};
  let wait = 0;
  for (const {key, label, title} of [
    {key: "high", label: "IoU is high from", title: "From here on map and annotated region are the same"},
    {key: "covered", label: "coverage is high from", title: "From here on one lies within the other"},
    {key: "low", label: "IoU is low up to", title: "Up to here the map lies elsewhere"},
  ]) {
    const row = el("label", "line", form);
    row.title = title;
    text("span", "", row, label);
    const field = el("input", "", row, {type: "range", min: 0, max: 1, step: 0.05, "aria-label": label});
    const output = el("output", "", row);
    field.addEventListener("input", () => {
      output.textContent = Number(field.value).toFixed(2);
      clearTimeout(wait);
      wait = setTimeout(send, 60);
    });
    sliders[key] = {field, output};
  }
  const trouble = el("p", "trouble", lines, {role: "alert"});
  const usual = button("Back to the usual lines", "plain", lines, {press: () => model.send_msg({type: "lines", value: []})});

  function send() {
    const value = ["high", "covered", "low"].map((key) => Number(sliders[key].field.value));
    const bad = value[2] >= value[0] ? "Low must lie below high." : value[1] <= 0 ? "Coverage must be above 0." : "";
    trouble.textContent = bad;
    if (!bad) { model.send_msg({type: "lines", value}); }
  }

  function see() {
    const focused = root.getRootNode().activeElement?.dataset?.pattern;
    list.replaceChildren();
    const {groups = [], most = 1, picked = "", lines: at = {}, usual: same = true, note = ""} = model.view;
    for (const {title, items} of groups) {
      text("h3", "", list, title);
      for (const it of items) {
        const node = button("", "pattern", list, {name: `${it.key}: ${it.count}`,
          press: () => model.send_msg({type: "pattern", value: it.key === model.view.picked ? "" : it.key})});
        node.dataset.pattern = it.key;
        node.setAttribute("aria-pressed", String(it.key === picked));
        node.style.setProperty("--share", String(it.count / Math.max(1, most)));
        text("span", "name", node, it.label);
        text("span", "count", node, thousands(it.count));
        text("span", "says", node, it.says);
        if (it.key === focused) { node.focus({preventScroll: true}); }
      }
    }
    if (note) { text("p", "note", list, note); }
    lines.hidden = !groups.length;
    for (const [key, {field, output}] of Object.entries(sliders)) {
      if (root.getRootNode().activeElement !== field && at[key] !== undefined) { field.value = at[key]; }
      output.textContent = Number(field.value).toFixed(2);
    }
    usual.disabled = same;
  }
  model.on("view", see);
  see();
}
