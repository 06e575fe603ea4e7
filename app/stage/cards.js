// The cards: the image's own and one of each method, filled from a view.

function makeCards(stage) {
  const {grid, cards} = stage;

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

  function drawCard(view, card) {
    let parts = cards.get(card.key);
    if (!parts) { parts = makeCard(grid, false); cards.set(card.key, parts); }
    grid.append(parts.card);  // keeps the order of the view
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
  }

  function drawn(view) {
    drawSource(view);
    const keys = new Set((view.cards || []).map((card) => card.key));
    for (const [key, parts] of cards) {
      if (!keys.has(key)) { parts.card.remove(); cards.delete(key); }
    }
    for (const card of view.cards || []) { drawCard(view, card); }
  }
  return {drawn};
}
