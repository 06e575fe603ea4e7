// Presenter mode: the header gives way, a quiet bar tells caption and progress, the keys of a talk
// change slides. Controls of the live page keep their own keys while they have the focus; PageUp
// and PageDown, which remote clickers send, always belong to the talk.

function make(tag, className, parent, text) {
  const node = document.createElement(tag);
  if (className) { node.className = className; }
  if (text !== undefined) { node.textContent = text; }
  if (parent) { parent.append(node); }
  return node;
}

const OWN_KEYS = "input, textarea, select, [contenteditable], [role=slider], [role=option], "
  + "[role=listbox], [role=combobox], [role=menu], [role=menuitem], [role=radio], [role=tab], "
  + "[role=spinbutton], [role=textbox], [role=application], [role=dialog], dialog";
const PRESSED = "button, a[href], summary, [role=button], label";

function within(event, selector) {
  return event.composedPath().some((node) => node.matches?.(selector));
}

// The frame of the page: its header, the room it leaves on top, and the page itself.
function frame(el) {
  let at = el;
  while (at) {
    const root = at.getRootNode();
    const header = root.querySelector?.("header.header");
    if (header) {
      const main = root.querySelector("main.main");
      return {header, room: main?.querySelector(".MuiToolbar-root"),
        content: main?.querySelector(".main-content")};
    }
    at = root.host;
  }
  return {};
}

export function render({model, el: host}) {
  const bar = make("section", "bar", host);
  bar.setAttribute("aria-label", "Presenter");
  bar.tabIndex = -1;
  bar.hidden = true;
  const back = make("button", "step", bar, "‹");
  back.setAttribute("aria-label", "Previous slide");
  const place = make("span", "place", bar);
  const next = make("button", "step", bar, "›");
  next.setAttribute("aria-label", "Next slide");
  const caption = make("p", "caption", bar);
  caption.setAttribute("role", "status");
  const note = make("span", "note", bar);
  const clock = make("button", "clock", bar, "0:00");
  clock.setAttribute("aria-pressed", "true");
  const leave = make("button", "leave", bar, "Leave");
  leave.setAttribute("aria-keyshortcuts", "Escape");
  for (const button of [back, next, clock, leave]) { button.type = "button"; }
  const line = make("div", "progress", bar);
  line.setAttribute("aria-hidden", "true");
  const black = make("div", "black", host);
  black.hidden = true;
  black.setAttribute("role", "img");
  black.setAttribute("aria-label", "Black screen");

  let typed = "";
  let typing = 0;
  let began = 0;
  let ticking = 0;
  let parts = {};
  let shown = true;

  const fill = () => {
    place.textContent = typed ? typed + " ⏎" : model.index + 1 + " / " + model.total;
    place.classList.toggle("typed", Boolean(typed));
    caption.textContent = model.caption;
    note.textContent = model.note ? "changed" : "";
    note.title = model.note;
    note.hidden = !model.note;
    back.disabled = model.index === 0;
    next.disabled = model.index + 1 >= model.total;
    line.style.width = 100 * (model.index + 1) / Math.max(1, model.total) + "%";
    host.dataset.slide = model.index + 1;
  };
  const tick = () => {
    const s = Math.floor((Date.now() - began) / 1000);
    const text = Math.floor(s / 60) + ":" + String(s % 60).padStart(2, "0");
    clock.textContent = shown ? text : "Clock";
    clock.setAttribute("aria-pressed", String(shown));
    clock.setAttribute("aria-label", shown ? "Hide the clock, " + text : "Show the clock");
  };
  const forget = () => { typed = ""; clearTimeout(typing); };
  const go = (index) => {
    forget();
    const to = Math.min(Math.max(index, 0), model.total - 1);
    if (to !== model.index) { model.send_msg({type: "go", index: to}); }
    fill();
  };
  const out = () => {
    if (document.fullscreenElement) { document.exitFullscreen(); }
    model.send_msg({type: "leave"});
  };
  const blacken = (on) => { black.hidden = !on; };
  const setFrame = () => {
    const on = model.active;
    if (on && !parts.header) { parts = frame(host); }
    if (parts.header) { parts.header.style.display = on ? "none" : ""; }
    if (parts.room) { parts.room.style.display = on ? "none" : ""; }
    if (parts.content) {
      parts.content.style.boxSizing = on ? "border-box" : "";
      parts.content.style.paddingBottom = on ? "44px" : "";
      parts.content.style.height = on ? "100vh" : "";
    }
    document.documentElement.toggleAttribute("data-presenting", on);
    window.dispatchEvent(new Event("resize"));
  };
  const change = () => {
    const on = model.active;
    if (on === !bar.hidden) { return; }
    bar.hidden = !on;
    setFrame();
    blacken(false);
    clearInterval(ticking);
    if (on) {
      began = Date.now();
      tick();
      ticking = setInterval(tick, 1000);
      bar.focus({preventScroll: true});
    } else {
      if (document.fullscreenElement) { document.exitFullscreen(); }
      parts = {};
    }
    fill();
  };
  const onKey = (event) => {
    if (!model.active || event.ctrlKey || event.metaKey || event.altKey) { return; }
    const key = event.key;
    const own = within(event, OWN_KEYS);
    const mine = () => { event.preventDefault(); event.stopImmediatePropagation(); };
    if (!black.hidden) {
      mine();
      blacken(false);
      if (key === "PageDown") { go(model.index + 1); }
      if (key === "PageUp") { go(model.index - 1); }
      return;
    }
    if (key === "PageDown") { mine(); go(model.index + 1); return; }
    if (key === "PageUp") { mine(); go(model.index - 1); return; }
    if (own) {
      // Escape gives the keys back to the talk; menus and dialogs close by it themselves.
      if (key === "Escape" && !within(event, "dialog, [role=dialog], [role=menu], [role=listbox]")) {
        mine();
        bar.focus({preventScroll: true});
      }
      return;
    }
    const pressed = within(event, PRESSED);
    if (pressed && (key === " " || key === "Enter") && !typed) { return; }
    if (/^\d$/.test(key)) {
      mine();
      typed = (typed + key).slice(-3);
      clearTimeout(typing);
      typing = setTimeout(() => { forget(); fill(); }, 4000);
      fill();
    } else if (key === "Enter" && typed) {
      mine();
      go(Number(typed) - 1);
    } else if (key === "ArrowRight" || key === " " && !event.shiftKey) {
      mine(); go(model.index + 1);
    } else if (key === "ArrowLeft" || key === " ") {
      mine(); go(model.index - 1);
    } else if (key === "Home") {
      mine(); go(0);
    } else if (key === "End") {
      mine(); go(model.total - 1);
    } else if (key === "b" || key === ".") {
      mine(); blacken(true);
    } else if (key === "f") {
      mine();
      if (document.fullscreenElement) { document.exitFullscreen(); }
      else { document.documentElement.requestFullscreen?.().catch(() => {}); }
    } else if (key === "t") {
      mine(); shown = !shown; tick();
    } else if (key === "Escape") {
      mine();
      if (typed) { forget(); fill(); } else { out(); }
    }
  };
  back.addEventListener("click", () => go(model.index - 1));
  next.addEventListener("click", () => go(model.index + 1));
  leave.addEventListener("click", out);
  clock.addEventListener("click", () => { shown = !shown; tick(); });
  black.addEventListener("click", () => blacken(false));
  window.addEventListener("keydown", onKey, true);
  for (const name of ["index", "total", "caption", "note"]) {
    model.on(name, () => {
      fill();
      // The page that had the focus has gone: the talk's keys work on.
      if (name === "index" && model.active
          && (document.activeElement === document.body || !document.activeElement)) {
        bar.focus({preventScroll: true});
      }
    });
  }
  model.on("active", change);
  change();
  model.on("remove", () => {
    window.removeEventListener("keydown", onKey, true);
    clearInterval(ticking);
    clearTimeout(typing);
  });
}
