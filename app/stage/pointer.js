// The pointer over the images: which share of the image it points at, and which feature has it.

function makePointer(stage) {
  const {grid} = stage;
  let held = null;  // the feature that took the pointer when it was pressed

  // The place under an event, in shares of the image; outside 0..1 only while it is dragged.
  stage.point = (event, {well = event.target.closest(".well"), inside = true} = {}) => {
    if (!well || !stage.view) { return null; }
    const box = well.querySelector(".layers").getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width;
    const y = (event.clientY - box.top) / box.height;
    return !inside || (x >= 0 && x < 1 && y >= 0 && y < 1) ? {x, y} : null;
  };

  function leave() {
    grid.classList.remove("pointing");
    for (const feature of stage.features) { feature.leave?.(); }
  }

  grid.addEventListener("pointerdown", (event) => {
    const at = event.button === 0 ? stage.point(event) : null;
    if (!at) { return; }
    const well = event.target.closest(".well");
    const feature = [...stage.features].reverse().find((it) => it.press?.(event, at, well));
    if (!feature) { return; }
    held = {feature, well};
    grid.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  grid.addEventListener("pointermove", (event) => {
    if (held) {
      held.feature.drag?.(event, stage.point(event, {well: held.well, inside: false}), held.well);
      return;
    }
    const at = stage.point(event);
    grid.classList.toggle("pointing", Boolean(at));
    const well = event.target.closest(".well");
    for (const feature of stage.features) {
      if (at) { feature.hover?.(at, well); } else { feature.leave?.(); }
    }
  });
  const release = (event) => {
    if (!held) { return; }
    const {feature, well} = held;
    held = null;
    feature.release?.(event, stage.point(event, {well, inside: false}), well);
  };
  grid.addEventListener("pointerup", release);
  grid.addEventListener("pointercancel", release);
  grid.addEventListener("pointerleave", () => { if (!held) { leave(); } });
}
