// What belongs to the document and not to one page: its title, a link that skips the navigation, and
// names that widgets of panel-material-ui 0.16 and icons do not have by themselves.

// Each mend: what lacks something, and what it gets. Only attributes that are missing are set, so
// that a newer version of the widgets wins.
const MENDS = [
  // The number field of an editable slider, and its two arrows: named like the slider.
  ["input.MuiInput-input:not([aria-label]):not([type=hidden])", (node, root) => {
    const name = sliderName(root);
    if (name && !node.labels?.length) { node.setAttribute("aria-label", `${name}, as a number`); }
  }],
  [".MuiInputAdornment-root button:not([aria-label])", (node, root) => {
    const name = sliderName(root);
    const all = [...root.querySelectorAll(".MuiInputAdornment-root button")];
    if (!name) { return; }
    node.setAttribute("aria-label", `${all.indexOf(node) % 2 ? "Decrease" : "Increase"} ${name}`);
    node.tabIndex = -1;  // the arrow keys of the field do the same
  }],
  // The name of an icon ("download") is its picture, not a word to be read out.
  [".material-icons:not([aria-hidden]), .material-icons-outlined:not([aria-hidden])", (node) => {
    node.setAttribute("aria-hidden", "true");
  }],
  // The page's name is its first heading; the line that keeps room for the bar is none.
  [".MuiAppBar-root .title:not([aria-level])", (node) => {
    node.setAttribute("role", "heading");
    node.setAttribute("aria-level", "1");
  }],
  // An open select says it is a listbox, but holds menu items: the list is named what its items are.
  ["ul[role=listbox]:has(> [role=menuitem])", (node) => { node.setAttribute("role", "menu"); }],
  ["ul[role=menu] > .MuiListSubheader-root:not([role])", (node) => {
    node.setAttribute("role", "presentation");
  }],
  ["main .MuiToolbar-root h5:not([role])", (node) => { node.setAttribute("role", "presentation"); }],
];

function sliderName(root) {
  return root.querySelector?.("input[type=range]")?.getAttribute("aria-label") ?? "";
}

// Shadow roots do not report to the document: each is watched from when it is first met.
function watch() {
  const known = new WeakSet();
  const waiting = new Set();
  let planned = 0;
  const observer = new MutationObserver((records) => {
    for (const record of records) {
      for (const node of record.addedNodes) {
        if (node.nodeType === Node.ELEMENT_NODE) { waiting.add(node); }
      }
    }
    if (waiting.size && !planned) { planned = requestAnimationFrame(look); }
  });
  function look() {
    planned = 0;
    const nodes = [...waiting];
    waiting.clear();
    const roots = new Set();
    for (const node of nodes) {
      if (!node.isConnected) { continue; }
      roots.add(node.getRootNode());
      meet(node);
    }
    roots.forEach(mend);
  }
  function meet(node) {
    const walker = document.createTreeWalker(node, NodeFilter.SHOW_ELEMENT);
    for (let at = node; at; at = walker.nextNode()) {
      if (at.shadowRoot && !known.has(at.shadowRoot)) {
        known.add(at.shadowRoot);
        observer.observe(at.shadowRoot, {childList: true, subtree: true});
        mend(at.shadowRoot);
        for (const child of at.shadowRoot.children) { meet(child); }
      }
    }
  }
  function mend(root) {
    for (const [selector, how] of MENDS) {
      for (const node of root.querySelectorAll(selector)) { how(node, root); }
    }
  }
  observer.observe(document.body, {childList: true, subtree: true});
  meet(document.body);
  return () => observer.disconnect();
}

function find(selector, root = document) {
  const here = root.querySelector(selector);
  if (here) { return here; }
  for (const node of root.querySelectorAll("*")) {
    const deep = node.shadowRoot && find(selector, node.shadowRoot);
    if (deep) { return deep; }
  }
  return null;
}

// Light or dark as the system has it, until somebody chooses; the choice outlives a reload.
const THEME = "xaieval-theme";

function followTheme() {
  const toggle = find("button[aria-label='Toggle theme']");
  if (!toggle) { return; }
  const now = () => (find(".mui-dark") ? "dark" : "light");
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const wanted = localStorage.getItem(THEME) ?? system;
  if (now() !== wanted) { toggle.click(); }
  toggle.addEventListener("click", () => {
    requestAnimationFrame(() => requestAnimationFrame(() => localStorage.setItem(THEME, now())));
  });
}

const STYLE = `
a.skip-to-page { position: fixed; left: 8px; top: -64px; z-index: 3000; padding: 8px 16px;
  border-radius: 4px; font: 600 14px system-ui, sans-serif; text-decoration: none;
  color: #fff; background: #0a566b; outline: 2px solid #fff; }
a.skip-to-page:focus { top: 8px; }
main:focus { outline: none; }`;

export function render({model, el: host}) {
  host.hidden = true;
  const style = document.createElement("style");
  style.textContent = STYLE;
  const skip = document.createElement("a");
  skip.className = "skip-to-page";
  skip.href = "#page";
  skip.textContent = "Skip to the page";
  skip.addEventListener("click", (event) => {
    event.preventDefault();  // the address is the view: no fragment in it
    const main = find("main");
    if (!main) { return; }
    main.tabIndex = -1;
    main.focus();
  });
  document.head.append(style);
  document.body.prepend(skip);
  const name = () => { document.title = model.page ? `${model.page} · xaieval` : "xaieval"; };
  model.on("page", name);
  name();
  const stop = watch();
  requestAnimationFrame(followTheme);  // once the bar is there
  model.on("remove", () => { stop(); skip.remove(); style.remove(); });
}
