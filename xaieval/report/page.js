(() => {
  "use strict";
  const dark = JSON.parse(document.getElementById("dark-colours").textContent);
  const ground = window.matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")];
  const drawn = new Map();  // plot -> what Bokeh made of it, once it was near

  // A figure is kept once, in its light colours; on a dark ground they are exchanged.
  const item = (plot) => {
    const text = document.getElementById(plot.dataset.item).textContent;
    return JSON.parse(text, (_, value) =>
      ground.matches && typeof value === "string" && value in dark ? dark[value] : value);
  };

  // One after the other for each plot, so that a change of ground in between is not lost.
  const draw = (plot) => {
    const before = drawn.get(plot) ?? Promise.resolve(null);
    drawn.set(plot, before.then(async (views) => {
      views?.clear();
      plot.replaceChildren();
      const made = await Bokeh.embed.embed_item(item(plot), plot.id);
      plot.dataset.drawn = ground.matches ? "dark" : "light";
      return made;
    }));
  };

  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (isIntersecting && !drawn.has(target)) draw(target);
    }
  }, { rootMargin: "800px 0px" });
  for (const plot of plots) near.observe(plot);
  ground.addEventListener("change", () => [...drawn.keys()].forEach(draw));
})();
