// A round brush on the image card: strokes in shares of the original image, by pointer and by keys.

function makeBrush(stage, {changed, rest}) {
  let parts = null;      // the image card it lies on
  let active = false;
  let strokes = [];      // {radius, points: [[x, y], …]}, the radius a share of the shorter side
  let radius = 0.06;
  let at = {x: 0.5, y: 0.5};   // in shares of the picture shown
  let painting = false;
  let fresh = false;     // painted, and not yet in the picture that is shown
  let timer = 0;
  const canvas = el("canvas", "brush", null, {
    tabindex: "0", role: "application",
    "aria-label": "Brush on the image: arrow keys move it, space paints, shift with an arrow paints"
      + " a line, square brackets change its size, backspace takes the last stroke back",
  });
  const ring = el("div", "brush-ring", null, {"aria-hidden": "true"});
  const frame = () => stage.view?.frame ?? {x: 0, y: 0, w: 1, h: 1, width: 1, height: 1};
  const short = () => Math.min(frame().width, frame().height);
  const number = (value) => String(Number(value.toFixed(3)));
  const clamp = (value) => Math.min(1, Math.max(0, value));
  const place = () => [clamp(frame().x + at.x * frame().w), clamp(frame().y + at.y * frame().h)];

  function text() {
    return strokes.map((it) => `r${[it.radius, ...it.points.flat()].map(number).join(",")}`).join(";");
  }
  function read(written) {
    clearTimeout(timer);
    strokes = !written ? [] : written.split(";").map((part) => {
      const [size, ...rest] = part.slice(1).split(",").map(Number);
      const points = [];
      for (let i = 0; i + 1 < rest.length; i += 2) { points.push([rest[i], rest[i + 1]]); }
      return {radius: size, points};
    });
    if (strokes.length) { radius = strokes[strokes.length - 1].radius; }
    fresh = false;
    draw();
  }

  function draw() {
    if (!parts) { return; }
    canvas.hidden = ring.hidden = !active;
    if (!active) { return; }
    const {x, y, w, h, width, height} = frame();
    ring.style.left = `${100 * at.x}%`;
    ring.style.top = `${100 * at.y}%`;
    ring.style.width = `${200 * radius * short() / width / w}%`;
    ring.style.height = `${200 * radius * short() / height / h}%`;
    const [columns, rows] = [2 * canvas.clientWidth, 2 * canvas.clientHeight];
    if (canvas.width !== columns || canvas.height !== rows) {
      [canvas.width, canvas.height] = [columns, rows];
    }
    const context = canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, columns, rows);
    if (!fresh) { return; }
    // In px of the original, so that the brush is as round as the picture's own pixels are square.
    context.setTransform(columns / (width * w), 0, 0, rows / (height * h),
      -x / w * columns, -y / h * rows);
    context.lineCap = context.lineJoin = "round";
    context.strokeStyle = "#ffffff";
    for (const stroke of strokes) {
      context.lineWidth = 2 * stroke.radius * short();
      context.beginPath();
      stroke.points.forEach(([px, py], index) => {
        context[index ? "lineTo" : "moveTo"](px * width, py * height);
      });
      if (stroke.points.length === 1) {
        context.lineTo(stroke.points[0][0] * width, stroke.points[0][1] * height);
      }
      context.stroke();
    }
  }

  function begin() {
    strokes.push({radius, points: [place()]});
    fresh = true;
    draw();
  }
  function extend({last = false} = {}) {
    const {points} = strokes[strokes.length - 1];
    const [px, py] = points[points.length - 1];
    const [nx, ny] = place();
    const {width, height} = frame();
    const far = Math.hypot((nx - px) * width, (ny - py) * height);
    // Corners closer than a third of the radius change nothing that is seen.
    if (far > radius * short() / 3 || (last && far > 0)) { points.push([nx, ny]); }
    draw();
  }
  function ended(wait) {
    clearTimeout(timer);
    timer = setTimeout(() => changed(text()), wait);
    rest();
  }
  function undo() {
    if (!strokes.length) { return; }
    strokes.pop();
    fresh = true;
    draw();
    ended(120);
  }
  function clear() {
    strokes = [];
    fresh = true;
    draw();
    ended(0);
  }
  function resize(value) {
    radius = Math.min(0.5, Math.max(0.005, value));
    draw();
    rest();
  }

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) { return; }
    const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};
    const step = steps[event.key];
    if (step) {
      if (event.shiftKey && !painting) { painting = true; begin(); }
      const {w, h, width, height} = frame();
      const far = Math.max(radius / 2, 0.01) * short();
      at = {x: clamp(at.x + step[0] * far / width / w), y: clamp(at.y + step[1] * far / height / h)};
      if (event.shiftKey) { extend(); ended(400); } else { draw(); }
    } else if (event.key === " ") {
      begin();
      ended(300);
    } else if (event.key === "[" || event.key === "]") {
      resize(radius * (event.key === "]" ? 1.25 : 0.8));
    } else if (event.key === "Backspace") {
      undo();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  });
  canvas.addEventListener("keyup", (event) => { if (event.key === "Shift") { painting = false; } });
  canvas.addEventListener("blur", () => { painting = false; });
  // A click would pick a region or magnify.
  stage.root.addEventListener("click", (event) => {
    if (active && parts?.heat.well.contains(event.composedPath()[0])) { event.stopPropagation(); }
  }, true);

  function attach(source) {
    parts = source;
    source.heat.layers.append(canvas, ring);
    draw();
  }
  return {
    attach, read, text, undo, clear, resize, draw,
    get radius() { return radius; },
    get count() { return strokes.length; },
    get active() { return active; },
    set active(on) {
      active = on;
      clearTimeout(timer);
      parts?.heat.well.classList.toggle("brushing", on);
      draw();
    },
    focus: () => canvas.focus({preventScroll: true}),
    settled() { if (!painting) { fresh = false; } draw(); },
    press(event, point, well) {
      if (!active || well !== parts?.heat.well) { return false; }
      canvas.focus({preventScroll: true});
      at = point;
      painting = true;
      clearTimeout(timer);
      begin();
      return true;
    },
    drag(event, point) { at = {x: clamp(point.x), y: clamp(point.y)}; extend(); },
    release(event, point) {
      at = {x: clamp(point.x), y: clamp(point.y)};
      extend({last: true});
      painting = false;
      ended(120);
    },
    hover(point, well) {
      if (!active || well !== parts?.heat.well) { return; }
      at = point;
      draw();
    },
  };
}
