// The Present page: stories and their slides on the left, the chosen slide on the right.

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) { node.className = className; }
  if (text !== undefined) { node.textContent = text; }
  if (parent) { parent.append(node); }
  return node;
}

function button(parent, className, text, label) {
  const node = make("button", className, parent, text);
  node.type = "button";
  if (label) { node.setAttribute("aria-label", label); node.title = label; }
  return node;
}

const MARKS = {
  ready: ["✓", "ready"], missing: ["✕", "cannot be shown"], failed: ["✕", "failed"],
  changed: ["≠", "changed since it was pinned"], waiting: ["…", "being made ready"],
  unknown: ["", "not checked yet"],
};

const ICONS = {
  explore: "M3 4h18v14H3z M7 14l3-4 3 3 2-2 3 4", batch: "M5 20V9h3v11z M11 20V4h3v16z M17 20v-7h3v7z",
  triage: "M4 6h16 M4 12h11 M4 18h6", parts: "M4 4h7v7H4z M13 4h7v7h-7z M4 13h7v7H4z M13 13h7v7h-7z",
  compare: "M3 5h8v13H3z M13 5h8v13h-8z",
};

function icon(parent, page) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", ICONS[page] ?? ICONS.explore);
  svg.append(path);
  parent.append(svg);
}

const MOST_BYTES = 2_000_000;

export function render({model, el: host}) {
  const send = (type, more = {}) => model.send_msg({type, ...more});
  host.classList.add("host");
  const root = make("div", "layout", host);

  // ------------------------------------------------------------ left: stories and slides
  const left = make("aside", "left", root);
  left.setAttribute("aria-label", "Stories and slides");
  const choose = make("div", "choose", left);
  const label = make("label", "field", choose);
  make("span", "", label, "Story");
  const select = make("select", "", label);
  const more = make("details", "more", choose);
  const summary = make("summary", "", more, "⋯");
  summary.setAttribute("aria-label", "More about this story");
  const menu = make("div", "menu", more);
  const fresh = button(menu, "", "New story");
  const pick = make("input", "", menu);
  pick.type = "file";
  pick.accept = ".json,application/json";
  pick.hidden = true;
  const load = button(menu, "", "Open a story’s JSON file …");
  const drop = button(menu, "", "Delete this story");
  const titleLabel = make("label", "field", left);
  make("span", "", titleLabel, "Title");
  const title = make("input", "", titleLabel);
  title.type = "text";
  title.maxLength = 120;
  const list = make("ol", "slides", left);
  list.setAttribute("aria-label", "Slides");
  make("p", "hint", left,
    "↑ ↓ choose · Alt+↑ ↓ move · Delete removes · D doubles · Enter presents from here");

  // ------------------------------------------------------------ right: the chosen slide
  const right = make("main", "right", root);
  right.setAttribute("aria-label", "Slide");
  const bar = make("div", "bar", right);
  const present = button(bar, "primary", "▶ Present");
  const check = button(bar, "second", "Check everything");
  const progress = make("div", "checking", bar);
  const said = make("span", "said", progress);
  said.setAttribute("role", "status");
  const meter = make("progress", "", progress);
  meter.setAttribute("aria-label", "Slides made ready");
  const cancel = button(progress, "quiet", "Cancel");
  const empty = make("div", "empty", right);
  const slide = make("div", "slide", right);
  const captionLabel = make("label", "field caption", slide);
  make("span", "", captionLabel, "Caption");
  const caption = make("input", "", captionLabel);
  caption.type = "text";
  caption.maxLength = 600;
  caption.placeholder = "What to say about it";
  const paper = make("figure", "paper", slide);
  const image = make("img", "", paper);
  const over = make("div", "over", paper);
  const state = make("p", "state", slide);
  const facts = make("dl", "facts", slide);
  const foot = make("div", "foot", slide);
  const open = button(foot, "second", "Open the live page");
  const again = make("details", "again", slide);
  make("summary", "", again, "How to make it again");
  const commands = make("pre", "", again);
  const problems = make("section", "problems", right);

  // ------------------------------------------------------------ undo
  const toast = make("div", "toast", root);
  toast.setAttribute("role", "status");
  const toastText = make("span", "", toast);
  const undo = button(toast, "", "Undo");
  toast.hidden = true;
  let toastTimer = 0;

  let dragged = "";
  let wanted = "";   // the slide whose row takes the focus when it is there again

  const choosing = (id) => { model.selected = id; send("select", {slide: id}); };  // at once here
  const slides = () => model.story.slides ?? [];
  const chosen = () => slides().find((one) => one.id === model.selected) ?? slides()[0];
  const mark = (one) => {
    if (model.busy === one.id) { return "waiting"; }
    if (one.changed && /^(ready|unknown)$/.test(one.state)) { return "changed"; }
    return one.state ?? "unknown";
  };
  const focusRow = (id) => {
    const row = [...list.children].find((node) => node.dataset.slide === id);
    row?.querySelector("button.pick")?.focus();
  };
  const move = (id, to) => {
    const n = slides().length;
    if (to < 0 || to >= n) { return; }
    wanted = id;
    send("move", {slide: id, to});
  };

  function fillStories() {
    select.replaceChildren(...model.stories.map((one) => {
      const option = document.createElement("option");
      option.value = one.id;
      option.textContent = `${one.title} (${one.n})`;
      return option;
    }));
    select.value = model.story.id ?? "";
    select.disabled = !model.stories.length;
    drop.disabled = !model.story.id;
    if (host.getRootNode().activeElement !== title) { title.value = model.story.title ?? ""; }
    titleLabel.hidden = !model.story.id;
  }

  function row(one, place) {
    const item = make("li", "row", null);
    item.dataset.slide = one.id;
    item.draggable = true;
    item.classList.toggle("chosen", one.id === chosen()?.id);
    const pickOne = button(item, "pick");
    pickOne.setAttribute("aria-current", String(one.id === chosen()?.id));
    make("span", "number", pickOne, place + 1);
    const thumb = make("span", "thumb", pickOne);
    if (one.thumb) {
      const img = make("img", "", thumb);
      img.src = one.thumb;
      img.alt = "";
    } else { icon(thumb, one.page); }
    const words = make("span", "words", pickOne);
    make("span", "name", words, one.caption || one.what);
    make("span", "under", words, one.caption ? one.what : one.pageTitle);
    const [sign, meaning] = MARKS[mark(one)];
    const flag = make("span", "flag " + mark(one), pickOne, sign);
    flag.title = one.why || meaning;
    if (sign) { flag.setAttribute("aria-label", meaning); flag.setAttribute("role", "img"); }
    const tools = make("span", "tools", item);
    const up = button(tools, "", "↑", "Move up");
    const down = button(tools, "", "↓", "Move down");
    const copy = button(tools, "", "⧉", "Duplicate");
    const away = button(tools, "", "✕", "Remove");
    up.disabled = place === 0;
    down.disabled = place === slides().length - 1;
    up.addEventListener("click", () => move(one.id, place - 1));
    down.addEventListener("click", () => move(one.id, place + 1));
    copy.addEventListener("click", () => send("duplicate", {slide: one.id}));
    away.addEventListener("click", () => send("delete", {slide: one.id}));
    pickOne.addEventListener("click", () => { wanted = one.id; choosing(one.id); });
    pickOne.addEventListener("keydown", (event) => {
      const step = {ArrowUp: -1, ArrowDown: 1}[event.key];
      if (step && event.altKey) {
        move(one.id, place + step);
      } else if (step) {
        const to = slides()[place + step];
        if (to) { wanted = to.id; choosing(to.id); }
      } else if (event.key === "Home" || event.key === "End") {
        const to = slides().at(event.key === "Home" ? 0 : -1);
        wanted = to.id; choosing(to.id);
      } else if (event.key === "Delete" || event.key === "Backspace") {
        wanted = (slides()[place + 1] ?? slides()[place - 1])?.id ?? "";
        send("delete", {slide: one.id});
      } else if (event.key.toLowerCase() === "d" && !event.ctrlKey && !event.metaKey) {
        send("duplicate", {slide: one.id});
      } else if (event.key === "Enter") {
        send("present", {slide: one.id});
      } else { return; }
      event.preventDefault();
      event.stopPropagation();
    });
    item.addEventListener("dragstart", (event) => {
      dragged = one.id;
      event.dataTransfer.effectAllowed = "move";
      event.dataTransfer.setData("text/plain", one.id);
    });
    item.addEventListener("dragend", () => {
      dragged = "";
      for (const node of list.children) { node.classList.remove("before", "after"); }
    });
    item.addEventListener("dragover", (event) => {
      if (!dragged || dragged === one.id) { return; }
      event.preventDefault();
      const box = item.getBoundingClientRect();
      const below = event.clientY > box.top + box.height / 2;
      item.classList.toggle("after", below);
      item.classList.toggle("before", !below);
    });
    item.addEventListener("dragleave", () => item.classList.remove("before", "after"));
    item.addEventListener("drop", (event) => {
      if (!dragged) { return; }
      event.preventDefault();
      const below = item.classList.contains("after");
      const from = slides().findIndex((known) => known.id === dragged);
      let to = place + (below ? 1 : 0);
      if (from < to) { to -= 1; }
      send("move", {slide: dragged, to});
    });
    return item;
  }

  function fillSlides() {
    const active = host.getRootNode().activeElement;
    const had = wanted || (active?.closest?.(".pick") ? active.closest("li").dataset.slide : "");
    list.replaceChildren(...slides().map(row));
    if (had && (wanted || active)) { focusRow(had); }
    wanted = "";
    list.hidden = !slides().length;
  }

  function fillSlide() {
    const one = chosen();
    slide.hidden = !one;
    present.disabled = check.disabled = !one;
    empty.hidden = Boolean(one);
    if (!one) {
      const head = model.story.id ? "This story has no slides yet" : "No story yet";
      empty.replaceChildren();
      make("h2", "", empty, head);
      make("p", "", empty, "Go to any page, set it as you want to show it, and press p, or Pin in "
        + "the title bar. Each pinned view becomes a slide, here in this list; a talk of five to "
        + "eight of them is a good length.");
      make("p", "", empty, "Present shows the live pages, one after the other, without network.");
      return;
    }
    if (host.getRootNode().activeElement !== caption || caption.dataset.of !== one.id) {
      caption.value = one.caption;
    }
    caption.dataset.of = one.id;
    const view = model.preview.slide === one.id ? model.preview : {status: "loading"};
    paper.dataset.status = view.status;
    image.hidden = !view.src;
    if (view.src) { image.src = view.src; image.alt = view.alt; }
    over.textContent = {loading: "Drawing this slide …", error: view.text}[view.status] ?? "";
    over.hidden = !over.textContent;
    const [sign, meaning] = MARKS[mark(one)];
    state.className = "state " + mark(one);
    state.textContent = [sign, one.why || meaning, one.time].filter(Boolean).join(" ");
    facts.replaceChildren(...(view.facts ?? []).map(([name, text]) => {
      const pair = make("div");
      make("dt", "", pair, name);
      make("dd", "", pair, text);
      return pair;
    }));
    again.hidden = !view.commands?.length;
    commands.textContent = (view.commands ?? []).join("\n\n");
  }

  function fillChecking() {
    const {running, done, total, text, list: bad} = model.checking;
    progress.hidden = !text;
    meter.hidden = cancel.hidden = !running;
    meter.max = total || 1;
    meter.value = done || 0;
    said.textContent = text || "";
    check.hidden = Boolean(running);
    problems.replaceChildren();
    problems.hidden = !bad?.length;
    if (bad?.length) {
      make("h2", "", problems, "Not ready");
      const ul = make("ul", "", problems);
      for (const one of bad) {
        const li = make("li", "", ul);
        const go = button(li, "quiet", `${one.number}. ${one.name}`);
        go.addEventListener("click", () => choosing(one.slide));
        make("span", "", li, one.why);
      }
    }
  }

  function fillToast() {
    if (!model.toast.n) { return; }
    toastText.textContent = model.toast.text;
    undo.hidden = !model.toast.undo;
    toast.hidden = false;
    clearTimeout(toastTimer);
    toastTimer = setTimeout(() => { toast.hidden = true; }, 10000);
  }

  const fillAll = () => { fillStories(); fillSlides(); fillSlide(); fillChecking(); };

  select.addEventListener("change", () => send("choose", {story: select.value}));
  title.addEventListener("change", () => send("rename", {value: title.value}));
  fresh.addEventListener("click", () => { more.open = false; send("create"); });
  drop.addEventListener("click", () => { more.open = false; send("drop"); });
  load.addEventListener("click", () => pick.click());
  pick.addEventListener("change", async () => {
    const file = pick.files[0];
    more.open = false;
    if (!file) { return; }
    if (file.size > MOST_BYTES) { send("too-large", {value: file.name}); }
    else { send("import", {value: await file.text(), name: file.name}); }
    pick.value = "";
  });
  more.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && more.open) { more.open = false; summary.focus(); }
  });
  more.addEventListener("focusout", (event) => {
    if (event.relatedTarget && !more.contains(event.relatedTarget)) { more.open = false; }
  });
  present.addEventListener("click", () => send("present", {slide: chosen()?.id}));
  check.addEventListener("click", () => send("check"));
  cancel.addEventListener("click", () => send("cancel"));
  open.addEventListener("click", () => send("open", {slide: chosen()?.id}));
  undo.addEventListener("click", () => { toast.hidden = true; send("undo"); });
  caption.addEventListener("change", () => {
    send("caption", {slide: caption.dataset.of, value: caption.value});
  });
  caption.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { caption.blur(); focusRow(caption.dataset.of); }
  });

  model.on("stories", fillStories);
  model.on("story", () => { fillStories(); fillSlides(); fillSlide(); });
  model.on("selected", () => { fillSlides(); fillSlide(); });
  model.on("busy", () => { fillSlides(); fillSlide(); });
  model.on("preview", fillSlide);
  model.on("checking", fillChecking);
  model.on("toast", fillToast);
  fillAll();
}
