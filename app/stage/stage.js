// The stage of Explore: one message per change, drawn in place, swapped in whole.

export function render({model, el: host}) {
  const root = el("section", "explore", host, {"aria-label": "Heatmaps and scores"});
  const stage = {
    model, root,
    grid: null,         // holds the cards
    cards: new Map(),   // method key -> the parts of its card
    source: null,       // the parts of the image card
    view: null,         // the view on screen
    kept: new Map(),    // its decoded images and levels, by id
    coming: new Map(),  // those of the views after it, still being decoded
    features: [],
  };
  let wanted = -1;      // version asked for last
  stage.band = makeBand(stage);
  stage.grid = el("div", "wall", root);
  stage.regions = makeRegions(stage);
  stage.features.push(stage.band, makeCards(stage), stage.regions, makeInspector(stage),
    makePainting(stage), makeLookup(stage), makeSwipe(stage),
    ...FEATURES.map((make) => make(stage)));
  makePointer(stage);
  root.querySelector(".whatif-bar .space")?.replaceWith(stage.band.legend);  // one line less

  // Decode everything first, then swap it in within one frame.
  async function show() {
    const view = model.view;
    if (!view || view.version === undefined) { return; }
    wanted = view.version;
    const next = new Map();
    let missing = false;
    const fetch = async (item, loader) => {
      if (!item) { return; }
      if (!stage.kept.has(item.id) && !stage.coming.has(item.id)) {
        if (!item.src) { missing = true; return; }
        stage.coming.set(item.id, loader(item.src));
      }
      next.set(item.id, await (stage.kept.get(item.id) ?? stage.coming.get(item.id)));
    };
    try {
      await Promise.all([
        fetch(view.picture, load),
        fetch(view.original, load),
        fetch(view.regions?.index, loadIndex),
        ...(view.cards || []).flatMap((card) => [fetch(card.heat, loadLevels), fetch(card.topk, load)]),
      ]);
    } catch (error) {
      stage.coming.clear();  // what failed is not waited for again
      console.warn("an image could not be decoded", error);
      return;
    }
    if (view.version !== wanted) { return; }
    if (missing) { model.send_msg({type: "resend"}); return; }
    stage.kept = next;
    stage.coming.clear();
    stage.view = view;
    root.setAttribute("aria-busy", String(view.status === "loading"));
    root.style.setProperty("--aspect", `${view.width || 1} / ${view.height || 1}`);
    root.classList.toggle("pixels", (view.width || 999) < 160);
    root.classList.toggle("no-mask", !view.outline);
    for (const feature of stage.features) { feature.drawn?.(view); }
    requestAnimationFrame(() => requestAnimationFrame(() => {
      if (stage.view !== view) { return; }
      root.dataset.painted = String(view.version);
      root.dataset.status = view.status;
      root.dataset.sample = view.sample || "";
      root.dataset.k = view.k ?? "";
      root.dataset.region = view.regions?.picked ?? "";
      for (const feature of stage.features) { feature.painted?.(view); }
    }));
  }

  model.on("view", show);
  show();
}
