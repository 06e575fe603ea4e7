// A linked cross and loupe over all images.

function makeInspector(stage) {
  const {grid, cards} = stage;

  function hover(at) {
    grid.style.setProperty("--cx", `${100 * at.x}%`);
    grid.style.setProperty("--cy", `${100 * at.y}%`);
    for (const parts of cards.values()) {
      if (!parts.levels) { continue; }
      const {levels, width, height} = parts.levels;
      const [column, row] = [Math.floor(at.x * width), Math.floor(at.y * height)];
      const level = levels[row * width + column] / 255;
      const value = parts.low + level * (parts.high - parts.low);
      const small = value !== 0 && Math.abs(value) < 1e-3;
      const text = small ? value.toExponential(1) : value.toPrecision(3);
      parts.readout.textContent = `(${row}, ${column}) ${text}`;
    }
  }

  function leave() {
    for (const parts of cards.values()) { parts.readout.textContent = ""; }
  }

  grid.addEventListener("click", (event) => {
    const at = stage.point(event);
    if (!at || (stage.source?.card.contains(event.target) && stage.regions.pick(at))) { return; }
    const zoomed = grid.classList.toggle("zoomed");
    if (zoomed) {
      grid.style.setProperty("--ox", `${100 * at.x}%`);
      grid.style.setProperty("--oy", `${100 * at.y}%`);
    }
  });
  return {hover, leave, drawn: leave};
}
