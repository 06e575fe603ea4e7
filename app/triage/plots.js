// Confidence against score, and how scores and surprise are spread. A drag marks a range; what is
// marked stays drawn until it is cleared.

const PAD = {left: 44, right: 8, top: 8, bottom: 30};
const SIDE = 76;  // width of the histogram beside the scatter
const NEAR = 10;  // px within which a click takes a point

function plots(host, {brush, point}) {
  const root = el("section", "plots", host, {"aria-label": "Confidence and score"});
  const joint = el("div", "joint", root);
  const canvas = el("canvas", "marks", joint, {"aria-hidden": "true"});
  const frame = draw("svg", joint, {class: "frame", role: "img"});
  const spread = el("figure", "spread", root);
  const fields = el("form", "ranges", root, {"aria-label": "Ranges"});
  const probe = el("i", "probe", root, {"aria-hidden": "true"});
  let [view, chosen, drag, drawn] = [null, null, null, ""];
  const inputs = {};

  for (const [name, words] of [["confidence", "confidence"], ["span", "score"]]) {
    const group = el("span", "range", fields, {role: "group", "aria-label": `Range of ${words}`});
    text("span", "name", group, words);
    const [low, high] = ["from", "to"].map((end) => {
      const field = el("input", "", group, {
        type: "number", step: "any", "aria-label": `${words} ${end}`, placeholder: end,
      });
      field.addEventListener("change", () => fields.requestSubmit());
      return field;
    });
    inputs[name] = {low, high};
  }
  const clear = button("Clear the ranges", "plain", fields, {press: () => brush({confidence: [], span: []})});
  fields.addEventListener("submit", (event) => {
    event.preventDefault();
    brush(Object.fromEntries(Object.entries(inputs).map(([name, {low, high}]) => {
      const axis = view?.[name === "span" ? "y" : "x"];
      if (!axis || (low.value === "" && high.value === "")) { return [name, []]; }
      const ends = [low.value === "" ? axis.low : Number(low.value),
                    high.value === "" ? axis.high : Number(high.value)];
      return [name, ends.sort((a, b) => a - b)];
    })));
  });

  // ---- places
  const size = () => ({width: joint.clientWidth, height: joint.clientHeight});
  function scales() {
    const {width, height} = size();
    const [left, top] = [PAD.left, PAD.top];
    const right = Math.max(left + 20, width - PAD.right - SIDE);
    const bottom = Math.max(top + 20, height - PAD.bottom);
    const line = (axis, from, to) => ({
      to: (value) => from + (value - axis.low) / (axis.high - axis.low) * (to - from),
      back: (at) => axis.low + (clamp((at - from) / (to - from), 0, 1)) * (axis.high - axis.low),
    });
    return {left, top, right, bottom, width, height,
            x: line(view.x, left, right), y: line(view.y, bottom, top)};
  }
  const ticks = (axis) => {
    const step = axis.high - axis.low > 3 ? (axis.high - axis.low) / 4 : 0.25 * (axis.high - axis.low);
    return [0, 1, 2, 3, 4].map((n) => axis.low + n * step);
  };

  // ---- drawing
  function paint() {
    if (!view || !root.isConnected) { return; }
    const at = scales();
    if (at.width < 120 || at.height < 80) { return; }
    marks(at);
    axes(at);
    overlay(at);
  }

  function colours() {
    const style = getComputedStyle(probe);
    return {right: style.color, wrong: style.borderTopColor};
  }

  function marks(at) {
    const ratio = window.devicePixelRatio || 1;
    const tint = colours();
    canvas.width = Math.round(at.width * ratio);
    canvas.height = Math.round(at.height * ratio);
    const pen = canvas.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    drawn = JSON.stringify(tint);
    dots(pen, at, tint, ratio);
  }

  // Each mark is drawn once and stamped: paths of thousands of arcs take a tenth of a second.
  function stamp(side, ratio, colour, shape) {
    const sheet = new OffscreenCanvas(Math.ceil(side * ratio), Math.ceil(side * ratio));
    const pen = sheet.getContext("2d");
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.strokeStyle = colour;
    pen.lineWidth = side > 8 ? 1.4 : 1.1;
    pen.beginPath();
    shape(pen, side / 2, side / 2 - 1.5);
    pen.stroke();
    return sheet;
  }

  // Right answers are rings, wrong ones crosses on top of them.
  function dots(pen, at, tint, ratio) {
    const {x, y, wrong} = view.points;
    const many = x.length > 600;
    const side = many ? 7 : 9;
    const ring = stamp(side, ratio, tint.right, (to, mid, arm) => to.arc(mid, mid, arm, 0, 7));
    const cross = stamp(side, ratio, tint.wrong, (to, mid, arm) => {
      to.moveTo(mid - arm, mid - arm); to.lineTo(mid + arm, mid + arm);
      to.moveTo(mid - arm, mid + arm); to.lineTo(mid + arm, mid - arm);
    });
    for (const [kind, mark, alpha] of [["0", ring, many ? 0.55 : 0.85], ["1", cross, 0.9]]) {
      pen.globalAlpha = alpha;
      for (let i = 0; i < x.length; i++) {
        if (wrong[i] !== kind) { continue; }
        pen.drawImage(mark, at.x.to(x[i]) - side / 2, at.y.to(y[i]) - side / 2, side, side);
      }
    }
  }

  function axes(at) {
    frame.replaceChildren();
    frame.setAttribute("viewBox", `0 0 ${at.width} ${at.height}`);
    frame.setAttribute("aria-label", view.described);
    draw("rect", frame, {class: "ground", x: at.left, y: at.top, width: at.right - at.left, height: at.bottom - at.top});
    const label = (x, y, anchor, words, className = "tick") => {
      const node = draw("text", frame, {x, y, "text-anchor": anchor, class: className});
      node.textContent = words;
      return node;
    };
    for (const value of ticks(view.x)) {
      draw("line", frame, {class: "line", x1: at.x.to(value), x2: at.x.to(value), y1: at.top, y2: at.bottom});
      // Where there is no room for all of them: the first and the last.
      const ends = value === view.x.low || value >= view.x.high;
      if (ends || at.right - at.left > 160) {
        label(at.x.to(value), at.bottom + 13, "middle", number(value));
      }
    }
    for (const value of ticks(view.y)) {
      draw("line", frame, {class: "line", x1: at.left, x2: at.right, y1: at.y.to(value), y2: at.y.to(value)});
      label(at.left - 5, at.y.to(value) + 4, "end", number(value));
    }
    label((at.left + at.right) / 2, at.height - 4, "middle", view.x.label, "title");
    const side = label(0, 0, "middle", view.y.label, "title");
    side.setAttribute("transform", `translate(11 ${(at.top + at.bottom) / 2}) rotate(-90)`);
    bars(at);
  }

  // The histogram of the score shares the scatter's axis.
  function bars(at) {
    const {right, wrong} = view.scores;
    const most = Math.max(1, ...right.map((count, i) => count + wrong[i]));
    const [from, room] = [at.right + 6, SIDE - 8];
    const h = (at.bottom - at.top) / right.length;
    right.forEach((count, i) => {
      const y = at.bottom - (i + 1) * h + 0.5;
      const [first, second] = [wrong[i] / most * room, count / most * room];
      if (wrong[i]) { draw("rect", frame, {class: "wrong", x: from, y, width: first, height: Math.max(1, h - 1)}); }
      if (count) { draw("rect", frame, {class: "right", x: from + first, y, width: second, height: Math.max(1, h - 1)}); }
    });
    draw("line", frame, {class: "axis", x1: from - 1, x2: from - 1, y1: at.top, y2: at.bottom});
    const words = draw("text", frame, {x: at.width, y: at.bottom + 24, "text-anchor": "end", class: "tick"});
    words.textContent = `counts to ${thousands(most)}`;
  }

  function overlay(at) {
    for (const node of frame.querySelectorAll(".brush, .here")) { node.remove(); }
    const shown = drag ? marked(at, drag) : {confidence: view.confidence, span: view.span};
    const [xs, ys] = [shown.confidence, shown.span];
    if (xs.length || ys.length) {
      const x1 = xs.length ? at.x.to(xs[0]) : at.left;
      const x2 = xs.length ? at.x.to(xs[1]) : at.right + (ys.length ? SIDE : 0);
      const y1 = ys.length ? at.y.to(ys[1]) : at.top;
      const y2 = ys.length ? at.y.to(ys[0]) : at.bottom;
      draw("rect", frame, {class: "brush", x: clamp(x1, at.left, at.right), y: clamp(y1, at.top, at.bottom),
        width: Math.max(2, x2 - clamp(x1, at.left, at.right)),
        height: Math.max(2, clamp(y2, at.top, at.bottom) - clamp(y1, at.top, at.bottom))});
    }
    if (chosen && chosen.x !== null && chosen.y !== null) {
      draw("circle", frame, {class: "here", cx: at.x.to(chosen.x), cy: at.y.to(chosen.y), r: 7});
    }
  }

  // ---- brushing
  function marked(at, {from, to, side}) {
    const span = [at.y.back(Math.max(from.y, to.y)), at.y.back(Math.min(from.y, to.y))];
    if (side) { return {confidence: view.confidence, span}; }
    const confidence = [at.x.back(Math.min(from.x, to.x)), at.x.back(Math.max(from.x, to.x))];
    return {confidence, span};
  }
  const place = (event) => {
    const box = joint.getBoundingClientRect();
    return {x: event.clientX - box.left, y: event.clientY - box.top};
  };
  joint.addEventListener("pointerdown", (event) => {
    if (!view || event.button !== 0) { return; }
    const from = place(event);
    drag = {from, to: from, side: from.x > scales().right};
    joint.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  joint.addEventListener("pointermove", (event) => {
    if (!drag) { return; }
    drag.to = place(event);
    overlay(scales());
  });
  const end = (event) => {
    if (!drag) { return; }
    const [done, at] = [drag, scales()];
    drag = null;
    const moved = Math.max(Math.abs(done.to.x - done.from.x), Math.abs(done.to.y - done.from.y));
    if (event.type === "pointercancel") { overlay(at); return; }
    if (moved >= 5) { brush(marked(at, done)); return; }
    overlay(at);
    const near = nearest(at, done.to);
    if (near >= 0) { point(near); }
  };
  joint.addEventListener("pointerup", end);
  joint.addEventListener("pointercancel", end);
  joint.addEventListener("dblclick", () => brush({confidence: [], span: []}));

  function nearest(at, {x, y}) {
    let [best, found] = [NEAR * NEAR, -1];
    for (let i = 0; i < view.points.x.length; i++) {
      const [dx, dy] = [at.x.to(view.points.x[i]) - x, at.y.to(view.points.y[i]) - y];
      if (dx * dx + dy * dy < best) { [best, found] = [dx * dx + dy * dy, i]; }
    }
    return found;
  }

  // ---- the spread of surprise
  function surprise() {
    if (!view) { return; }
    spread.replaceChildren();
    const {counts, low, high} = view.surprise;
    const head = el("figcaption", "", spread);
    text("strong", "", head, "Surprise");
    const most = Math.max(1, ...counts);
    const box = draw("svg", spread, {viewBox: `0 0 ${counts.length} 100`, preserveAspectRatio: "none",
      role: "img", "aria-label": view.surprised});
    counts.forEach((count, i) => {
      const height = count ? Math.max(1.5, 100 * Math.sqrt(count / most)) : 0;
      draw("rect", box, {class: "bar", x: i + 0.06, y: 100 - height, width: 0.88, height});
    });
    if (chosen && chosen.surprise !== null && chosen.surprise !== undefined && high > low) {
      const x = (chosen.surprise - low) / (high - low) * counts.length;
      draw("line", box, {class: "here", x1: x, x2: x, y1: 0, y2: 100});
    }
    const ends = el("div", "ends", spread);
    text("span", "", ends, number(low));
    text("span", "", ends, `√, to ${thousands(most)}`);
    text("span", "", ends, number(high));
    const legend = el("p", "legend", spread);
    for (const [kind, words] of [["right", "right"], ["wrong", "wrong"]]) {
      const item = el("span", kind, legend);
      const mark = draw("svg", item, {viewBox: "0 0 10 10", "aria-hidden": "true"});
      if (kind === "right") { draw("circle", mark, {cx: 5, cy: 5, r: 3.4}); }
      else { draw("path", mark, {d: "M1.5 1.5 8.5 8.5M8.5 1.5 1.5 8.5"}); }
      item.append(words);
    }
    text("span", "note", legend, view.note);
  }

  function see(found) {
    view = found;
    root.hidden = !view;
    if (!view) { return; }
    for (const [name, {low, high}] of Object.entries(inputs)) {
      const range = view[name];
            const focused = root.getRootNode().activeElement;
      if (focused !== low) { low.value = range.length ? round(range[0]) : ""; }
      if (focused !== high) { high.value = range.length ? round(range[1]) : ""; }
    }
    clear.disabled = !view.confidence.length && !view.span.length;
    requestAnimationFrame(() => { surprise(); paint(); });
  }
  const round = (value) => Number(value.toFixed(4));

  function select(row) {
    chosen = row ? {x: row.confidence, y: row.score, surprise: row.surprise} : null;
    if (!view) { return; }
    surprise();
    if (frame.childElementCount && root.isConnected && joint.clientWidth > 120) { overlay(scales()); }
  }

  const watch = new ResizeObserver(() => requestAnimationFrame(paint));
  watch.observe(joint);
  // A canvas does not follow the theme by itself.
  probe.addEventListener("transitionend", () => { if (drawn !== JSON.stringify(colours())) { paint(); } });
  return {see, select, escape: () => { const was = drag; drag = null; if (was) { paint(); } return Boolean(was); },
          remove: () => watch.disconnect()};
}
