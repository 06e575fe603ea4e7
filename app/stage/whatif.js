// What if: erase or keep a part of the image, one's own image, one's own mask. The server edits,
// explains and scores; this panel asks and shows, the brush only draws what is asked for.

function makeWhatIf(stage) {
  const {model, root, grid} = stage;
  if (!model.edits) { return {}; }  // nobody on this page would hear of an edit
  const ask = (type, value = "") => model.send_msg({type, value});
  let tool = "";         // what the brush is for: "", "edit" or "mask"
  let open = false;
  let original = false;  // whether the image card shows the picture before the edit
  let asked = "";        // the edit asked for last
  let attached = null;
  let over = 0;          // how many nested targets a dragged file is over

  const panel = el("section", "whatif", null, {"aria-label": "What if"});
  grid.before(panel);
  const bar = el("div", "whatif-bar", panel);
  const button = (parent, text, title, act, className = "plain") => {
    const node = el("button", className, parent, {type: "button"});
    node.textContent = text;
    if (title) { node.title = title; }
    node.addEventListener("click", act);
    return node;
  };
  const disclosure = button(bar, "What if …", "Erase or keep a part of the image and see what changes",
    () => unfold(!open), "disclosure");
  disclosure.setAttribute("aria-expanded", "false");
  disclosure.setAttribute("aria-controls", "whatif-body");
  const said = el("span", "said", bar);
  const back = button(bar, "Back to the original", "Key: Escape", () => restore());
  el("span", "space", bar);
  const privacy = el("span", "privacy", bar);
  const choose = button(bar, "Own image …",
    "PNG, JPEG, WebP or BMP, at most 20 MB and 40 megapixels; it stays in this session's memory",
    () => picker.click());
  const picker = el("input", "", bar, {type: "file", tabindex: "-1", "aria-label": "Own image",
    accept: "image/png,image/jpeg,image/webp,image/bmp"});
  const trouble = el("p", "trouble", panel, {role: "alert"});
  const body = el("div", "whatif-body", panel, {id: "whatif-body"});
  const status = el("p", "sr", panel, {role: "status", "aria-live": "polite"});

  function choice(name, options) {
    const set = el("fieldset", "choice", tools);
    el("legend", "", set).textContent = name;
    return Object.fromEntries(options.map(([value, label, title]) => {
      const wrap = el("label", "", set, {title});
      const input = el("input", "", wrap, {type: "radio", name: `whatif-${name}`, value});
      el("span", "", wrap).textContent = label;
      input.addEventListener("change", () => apply());
      return [value, input];
    }));
  }
  const doing = el("div", "doing", body);
  const tools = el("div", "tools", doing);
  const where = el("div", "tools", doing);
  const kinds = choice("Do", [["erase", "Erase", "Replace the part"],
    ["keep", "Keep only", "Replace everything but the part"]]);
  const fills = choice("Fill", [["blur", "Blur", "The picture, strongly blurred"],
    ["mean", "Mean", "The picture's mean colour"],
    ["noise", "Noise", "Gaussian noise of the picture's mean and spread"]]);
  kinds.erase.checked = fills.blur.checked = true;
  const placeLabel = el("label", "place", where);
  el("span", "", placeLabel, {"aria-hidden": "true"}).textContent = "What";
  const place = el("select", "", placeLabel, {"aria-label": "What to change"});
  // K may have moved in the browser since the view came.
  place.addEventListener("focus", () => { if (stage.view) { places(stage.view); } });
  place.addEventListener("change", () => {
    setTool(place.value === "brush" ? "edit" : tool === "edit" ? "" : tool);
    if (place.value === "brush" && !brush.count) { brush.focus(); return; }
    apply();
  });
  const brushes = el("div", "brush-tools", where);
  const sizeLabel = el("label", "", brushes);
  el("span", "", sizeLabel).textContent = "Brush";
  const size = el("input", "", sizeLabel, {type: "range", min: "0.01", max: "0.3", step: "0.005"});
  size.addEventListener("input", () => brush.resize(Number(size.value)));
  const undo = button(brushes, "Undo stroke", "Key: backspace, on the image", () => brush.undo());
  const clear = button(brushes, "Clear", "", () => brush.clear());

  const mine = el("div", "mine", doing);
  el("span", "heading", mine).textContent = "Own mask";
  const drawMask = button(mine, "Draw", "Paint the mask that maps are scored against",
    () => setTool(tool === "mask" ? "" : "mask"));
  const maskFile = button(mine, "From a file …", "A PNG or BMP of the image's original size",
    () => maskPicker.click());
  const maskPicker = el("input", "", mine, {type: "file", tabindex: "-1", "aria-label": "Own mask",
    accept: "image/png,image/bmp"});
  const score = button(mine, "", "", () => ask("mask-score", model.whatif.scored ? "" : "own"));
  const remove = button(mine, "Remove", "Forget the own mask", () => {
    brush.read(tool === "mask" ? "" : brush.text());
    ask("mask-remove");
  });
  const result = el("div", "result", body, {role: "region", "aria-label": "Before and after"});
  const byFill = el("p", "fills", body);
  const keep = el("form", "keep", body);
  el("span", "heading", keep).textContent = "Own image";
  const field = (name, label, hint) => {
    const wrap = el("label", "", keep);
    el("span", "", wrap).textContent = label;
    return el("input", "", wrap, {type: "text", name, placeholder: hint, maxlength: "80"});
  };
  const folder = field("folder", "Data set", "my-images");
  const group = field("class", "Class", "images");
  const keepButton = el("button", "plain", keep, {type: "submit"});
  keepButton.textContent = "Keep it";
  keep.addEventListener("submit", (event) => {
    event.preventDefault();
    ask("own-keep", JSON.stringify({folder: folder.value, class: group.value}));
  });
  button(keep, "Forget it", "Remove the image from this session's memory", () => ask("own-forget"));
  const kept = el("p", "kept", body);
  const drop = el("div", "drop", root, {"aria-hidden": "true"});
  drop.textContent = "Drop it: your own image, PNG, JPEG, WebP or BMP, at most 20 MB";
  drop.hidden = true;

  const say = (text) => { trouble.textContent = text; trouble.hidden = !text; };
  const brush = makeBrush(stage, {
    changed: (text) => {
      if (tool === "mask") { ask("mask-strokes", text); } else { apply(); }
    },
    rest: () => controls(),
  });
  const files = makeOwnFiles(stage, {say});
  for (const [input, kind] of [[picker, "image"], [maskPicker, "mask"]]) {
    input.hidden = true;
    input.addEventListener("change", () => {
      if (input.files[0]) { say(""); files.send(input.files[0], kind); }
      input.value = "";
    });
  }

  // ---- asking
  const chosen = (inputs) => Object.values(inputs).find((it) => it.checked).value;
  function apply() {
    if (!place.value) { controls(); return; }
    let part = place.value;
    if (part === "brush") {
      if (!brush.count) { if (asked) { send(""); } controls(); return; }
      part = `brush=${brush.text()}`;
    }
    send(`${chosen(kinds)}:${chosen(fills)}:${part}`);
  }
  function send(text) {
    if (text === asked) { return; }
    asked = text;
    say("");
    ask("edit", text);
    controls();
  }
  function restore() {
    place.value = "";
    if (tool === "edit") { brush.read(""); setTool(""); }
    original = false;
    send("");
  }
  function setTool(wanted, {focus = true} = {}) {
    if (wanted && wanted !== tool) { brush.read(""); }
    tool = wanted;
    brush.active = Boolean(tool);
    if (tool === "mask" && place.value === "brush") { place.value = ""; }
    controls();
    if (tool && focus) { brush.focus(); }
  }
  function unfold(on) {
    open = on;
    if (!open && tool) { setTool(""); }
    controls();
  }

  // ---- showing
  function controls() {
    const told = model.whatif || {};
    const view = stage.view || {};
    panel.hidden = !(view.picture || told.own || asked);
    disclosure.setAttribute("aria-expanded", String(open));
    body.hidden = !open;
    brushes.hidden = !tool;
    size.value = String(brush.radius);
    size.setAttribute("aria-valuetext", `${Math.round(200 * brush.radius)} % of the shorter side`);
    undo.disabled = clear.disabled = !brush.count;
    back.hidden = !asked;
    drawMask.setAttribute("aria-pressed", String(tool === "mask"));
    score.hidden = remove.hidden = !told.masked;
    const other = (view.regions?.list || [])
      .some((it) => it.px && it.kind !== "rest" && it.name !== "own mask");
    score.hidden = score.hidden || !other && told.scored;
    score.textContent = told.scored ? "Score against the data set’s" : "Score against it";
    keep.hidden = !told.own;
    keep.querySelector(".heading").textContent = `Own image: ${told.own || ""}`;
    privacy.textContent = told.own
      ? "Your own image: only in this session’s memory, not in the link."
      : told.masked && told.scored ? "Own mask: only in this session’s memory, not in the link." : "";
    kept.hidden = !told.kept;
    kept.textContent = told.kept ?? "";
    const words = view.whatif ? view.whatif.note || `${view.whatif.said}, ${view.whatif.share}` : "";
    const long = told.long ? " · too long for the link: it stays in this session" : "";
    said.textContent = told.upload
      ? `${files.name}: ${Math.round(100 * told.upload.got / told.upload.size)} %` : words + long;
    said.classList.toggle("noted", Boolean(view.whatif?.note));
  }

  function places(view) {
    const now = place.value;
    const regions = (view.regions?.list || []).filter((it) => it.kind !== "rest" && it.px);
    const group = (label, options) => {
      const node = el("optgroup", "", null, {label});
      for (const [value, text] of options) { el("option", "", node, {value}).textContent = text; }
      return options.length ? [node] : [];
    };
    const first = el("option", "", null, {value: ""});
    first.textContent = "choose …";
    const picked = view.regions?.picked;
    const order = [...regions].sort((a, b) => (b.name === picked) - (a.name === picked));
    const k = stage.cut?.kind === "k" ? stage.cut.value : view.k;
    const strongest = (view.cards || []).filter((it) => it.topk || it.state === "ready");
    place.replaceChildren(first,
      ...group("Region", order.map(({name}) => [`region=${name}`,
        name === picked ? `the mask: ${name}` : name])),
      ...group("Strongest pixels", strongest.map((it) => [`topk=${k}px,${it.key}`,
        `Top-${k} of ${it.label}`])),
      ...group("By hand", [["brush", "brush on the image"]]));
    choosePlace(now);
  }
  // Chooses a place; one that is not on offer now (a K of before) is still named.
  function choosePlace(value) {
    if (value && ![...place.options].some((it) => it.value === value)) {
      el("option", "", place, {value}).textContent = value.replace(/^\w+=/, "");
    }
    place.value = value;
  }

  // The state's edit, from a link or another hand, into the controls.
  function follow() {
    const told = model.whatif || {};
    if (told.trouble) { say(told.trouble); } else if (told.upload || told.image !== seen) { say(""); }
    if (told.image !== seen && tool) { setTool(""); }
    seen = told.image;
    files.follow(told.upload);
    if ((told.edit || "") !== asked) {
      asked = told.edit || "";
      original = false;
      const [kind, fill] = asked.split(":", 2);
      const part = asked.split(":").slice(2).join(":");
      if (kinds[kind]) { kinds[kind].checked = true; }
      if (fills[fill]) { fills[fill].checked = true; }
      if (part.startsWith("brush=")) {
        open = true;
        choosePlace("brush");
        setTool("edit", {focus: false});
        brush.read(part.slice("brush=".length));
      } else {
        if (asked) { open = true; }
        if (tool === "edit") { setTool(""); }
        choosePlace(part);
      }
    }
    controls();
  }
  let seen = null;

  function table(parent, caption, rows, heads) {
    if (!rows.length) { return; }
    const node = el("table", "changes", parent);
    el("caption", "", node).textContent = caption;
    const head = el("tr", "", el("thead", "", node));
    for (const text of heads) { el("th", "", head, {scope: "col"}).textContent = text; }
    const rest = el("tbody", "", node);
    for (const row of rows) {
      const line = el("tr", "", rest);
      const name = el("th", "", line, {scope: "row"});
      name.textContent = row.name;
      if (row.note) { name.title = row.note; }
      if (row.tag) { el("span", "tag", name).textContent = row.tag; }
      el("td", "", line).textContent = row.before;
      el("td", "now", line).textContent = row.after;
      el("td", `change ${sign(row.change)}`, line).textContent = row.change;
    }
  }
  const sign = (change) => change.startsWith("+") ? "up" : change.startsWith("\u2212") ? "down" : "";
  function results(view) {
    result.replaceChildren();
    byFill.replaceChildren();
    const found = view?.whatif;
    if (!found || !found.rows.length) {
      el("p", "empty", result).textContent = found?.note || (found || asked
        ? "Explaining the edited image …"
        : "Choose what to erase or to keep: the prediction, every map and every score follow.");
      return;
    }
    const heads = (first) => [first, "before", "after", "change"];
    const of = (kind) => found.rows.filter((it) => it.kind === kind);
    table(result, "Probability", of("class").map((it) => ({...it, tag: it.note})), heads("class"));
    const scores = of("score");
    table(result, scores[0]?.note ?? "", scores.map((it) => ({...it, note: ""})), heads("method"));
    const fill = model.fills;
    if (fill?.of !== found.key) { return; }
    el("span", "heading", byFill).textContent = `${fill.of_class} (${fill.before}) by fill:`;
    for (const row of fill.rows) {
      const item = el("span", "", byFill);
      item.append(row.fill);
      el("b", "", item).textContent = row.after;
      el("span", `change ${sign(row.change)}`, item).textContent = row.change;
      if (row.predicted !== fill.of_class) { el("span", "tag", item).textContent = row.predicted; }
    }
  }

  function attach(source) {
    attached = source;
    const toggle = button(source.card, "Show the original", "The picture before the edit", () => {
      original = !original;
      picture(stage.view);
    }, "toggle original");
    source.note.before(toggle);
    source.original = toggle;
    brush.attach(source);
  }
  function picture(view) {
    const source = stage.source;
    if (!source) { return; }
    source.original.hidden = !view.original;
    source.original.setAttribute("aria-pressed", String(original && Boolean(view.original)));
    source.title.textContent = !view.original ? "Image" : original ? "Original" : "Edited";
    const shown = original && view.original ? view.original : view.picture;
    source.heat.picture.src = stage.kept.get(shown.id).src;
  }

  function drawn(view) {
    if (stage.source && stage.source !== attached) { attach(stage.source); }
    if (!view.original) { original = false; }
    places(view);
    if (view.picture) { picture(view); }
    results(view);
    if (view.status === "ready") {
      const fact = view.facts?.[0];
      status.textContent = view.whatif && fact ? `${view.whatif.said}: ${fact.value}, ${fact.note}` : "";
    }
    root.dataset.edit = view.status === "ready" ? view.whatif?.text ?? "" : root.dataset.edit ?? "";
    if (view.status !== "loading") { brush.settled(); }
    controls();
  }

  // ---- anywhere on the page
  const shown = () => root.isConnected && root.getClientRects().length > 0;
  const onKey = (event) => {
    if (event.key !== "Escape" || event.defaultPrevented || !shown() || !(asked || tool)) { return; }
    const from = event.composedPath()[0];
    if (from.closest?.("[role=dialog], [role=listbox], [role=menu], dialog, input[type=text], textarea")
        || from.getAttribute?.("aria-expanded") === "true" && from !== disclosure) { return; }
    event.preventDefault();
    if (asked) { restore(); } else { setTool(""); }
  };
  const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files") && shown();
  const onDrag = (event) => {
    if (!carries(event)) { return; }
    event.preventDefault();
    over += event.type === "dragenter" ? 1 : event.type === "dragleave" ? -1 : 0;
    drop.hidden = over <= 0 && event.type !== "dragover";
  };
  const onDrop = (event) => {
    if (!carries(event)) { return; }
    event.preventDefault();
    over = 0;
    drop.hidden = true;
    const file = event.dataTransfer.files[0];
    if (file) { say(""); files.send(file, tool === "mask" ? "mask" : "image"); }
  };
  const listeners = [["keydown", onKey], ["dragenter", onDrag], ["dragover", onDrag],
    ["dragleave", onDrag], ["drop", onDrop]];
  for (const [type, listener] of listeners) { document.addEventListener(type, listener); }
  const resized = new ResizeObserver(() => brush.draw());
  resized.observe(grid);
  model.on("remove", () => {
    for (const [type, listener] of listeners) { document.removeEventListener(type, listener); }
    resized.disconnect();
  });
  model.on("whatif", follow);
  model.on("fills", () => results(stage.view));
  say("");
  follow();
  return {drawn, press: brush.press, drag: brush.drag, release: brush.release, hover: brush.hover};
}
FEATURES.push(makeWhatIf);
