// The cards: the image's own and one of each method, filled from a view.

const FRAME_PX = 18;         // padding and border of a card
const BETWEEN_PX = 8;
const ABOVE_PX = 252;        // title bar, selects, facts and what-if line above the cards
const NARROWEST_PX = 176;    // in which a card's table can be read
const WIDEST_PX = 460;

// How many cards stand in a row: the fewest with which all fit on the screen, as large as may be;
// where nothing fits, as many as are of the usual width.
function columnsFor({cards, wells, rows, width, height, aspect}) {
  const usual = Math.max(1, Math.floor((width + BETWEEN_PX) / ((width > 1300 ? 272 : 200) + BETWEEN_PX)));
  const card = (columns) => {
    const wide = Math.min(WIDEST_PX, (width - BETWEEN_PX * (columns - 1)) / columns);
    const images = wells * ((wide - FRAME_PX) * aspect + 6);
    return {wide, high: FRAME_PX + 34 + 18 + images + 18 * rows + 6 + BETWEEN_PX};
  };
  for (let columns = 1; columns <= Math.max(cards, 1); columns++) {
    const {wide, high} = card(columns);
    if (wide < NARROWEST_PX) { break; }
    if (Math.ceil(cards / columns) * high <= height) { return columns; }
  }
  return usual;
}

function makeCards(stage) {
  const {model, grid, cards} = stage;

  // The wall's width is heard of: to ask for it would lay the page out twice for every view.
  let width = 0;
  stage.fit = () => {
    const {view} = stage;
    if (!view?.width || !width) { return; }
    const most = Math.max(1, ...(view.cards || []).map((card) => (card.rows || []).length));
    const columns = columnsFor({
      cards: [...grid.children].filter((it) => !it.hidden).length,
      wells: model.mode.toLowerCase() === "both" ? 2 : 1,
      rows: most, width, height: window.innerHeight - ABOVE_PX,
      aspect: view.height / view.width,
    });
    grid.style.gridTemplateColumns = `repeat(${columns}, minmax(0, ${WIDEST_PX}px))`;
  };
  const resized = new ResizeObserver(([{contentRect}]) => { width = contentRect.width; stage.fit(); });
  resized.observe(grid);
  window.addEventListener("resize", stage.fit);
  model.on("mode", stage.fit);
  model.on("remove", () => { resized.disconnect(); window.removeEventListener("resize", stage.fit); });

  function drawSource(view) {
    if (!view.picture) {
      if (stage.source) { stage.source.card.remove(); stage.source = null; }
      return;
    }
    if (!stage.source) {
      stage.source = makeCard(grid, true);
      grid.prepend(stage.source.card);
      stage.regions.attach(stage.source);
    }
    const {source} = stage;
    source.title.textContent = "Image";
    source.heat.picture.src = stage.kept.get(view.picture.id).src;
    source.heat.picture.alt = view.picture.alt;
    setOutline(source.heat.outline, view);
    source.note.textContent = view.source_note || "";
    fillRows(source.table, view.source_rows || [], "About the image");
  }

  function drawCard(view, card, before) {
    let parts = cards.get(card.key);
    if (!parts) { parts = makeCard(grid, false); cards.set(card.key, parts); }
    const next = before ? before.nextSibling : grid.firstChild;
    if (next !== parts.card) { grid.insertBefore(parts.card, next); }  // the order of the view
    parts.card.dataset.method = card.key;
    parts.card.dataset.state = card.state;
    parts.card.className = `card ${card.state} ${card.winner ? "winner" : ""} ${card.baseline ? "baseline" : ""}`;
    parts.title.textContent = card.label;
    parts.title.title = card.title || card.label;
    fillBadges(parts.badges, card.badges || []);
    parts.note.textContent = card.note || "";
    fillRows(parts.table, card.rows || [], `Scores of ${card.label}`, card.key);
    parts.levels = card.heat ? stage.kept.get(card.heat.id) : null;
    [parts.low, parts.high] = [card.low, card.high];
    for (const well of [parts.heat, parts.topk]) {
      well.picture.src = view.picture ? stage.kept.get(view.picture.id).src : "";
      setOutline(well.outline, view);
    }
    parts.heat.canvas.setAttribute("aria-label", card.heat_alt || "");
    if (card.topk) {
      parts.topk.image.src = stage.kept.get(card.topk.id).src;
      parts.topk.image.alt = card.topk_alt || "";
    }
    parts.topk.image.hidden = !card.topk;
    parts.heat.canvas.hidden = !card.heat;
    return parts.card;
  }

  function drawn(view) {
    drawSource(view);
    const keys = new Set((view.cards || []).map((card) => card.key));
    for (const [key, parts] of cards) {
      if (!keys.has(key)) { parts.card.remove(); cards.delete(key); }
    }
    let before = stage.source?.card ?? null;
    for (const card of view.cards || []) { before = drawCard(view, card, before); }
    stage.fit();
  }
  return {drawn};
}
