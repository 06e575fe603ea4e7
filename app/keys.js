// panel-material-ui 0.16 opens a select by click only; the keyboard shall do it too.
export function render({model, el}) {
  el.hidden = true;
  const onKey = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    // The space bar when it is let go: the menu would take that for a choice.
    const keys = event.type === "keyup" ? [" "] : ["Enter", "ArrowDown", "ArrowUp"];
    if (!keys.includes(event.key)) { return; }
    const from = event.composedPath()[0];
    if (from.getAttribute?.("role") !== "combobox"
        || from.getAttribute("aria-haspopup") !== "listbox"
        || from.getAttribute("aria-expanded") === "true"
        || from.getAttribute("aria-disabled") === "true") { return; }
    event.preventDefault();
    from.click();
  };
  for (const type of ["keydown", "keyup"]) { document.addEventListener(type, onKey); }
  model.on("remove", () => {
    for (const type of ["keydown", "keyup"]) { document.removeEventListener(type, onKey); }
  });
}
