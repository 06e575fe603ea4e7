(() => {
  "use strict";
  const dark = JSON.parse(document.getElementById("dark-colours").textContent);
  const ground = window.matchMedia("(prefers-color-scheme: dark)");
  const plots = [...document.querySelectorAll(".plot")];
  const drawn = new Map();

  // A figure is kept once, in its light colours; on a dark ground they are exchanged.
  const item = (plot) => {
    const text = document.getElementById(plot.dataset.item).textContent;
    return JSON.parse(text, (_, value) =>
      ground.matches && typeof value === "string" && value in dark ? dark[value] : value);
  };

  const draw = async (plot) => {
    if (drawn.get(plot) === ground.matches) return;
    drawn.set(plot, ground.matches);
    plot.replaceChildren();
    await Bokeh.embed.embed_item(item(plot), plot.id);
    plot.dataset.drawn = "yes";
  };

  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) if (entry.isIntersecting) draw(entry.target);
  }, { rootMargin: "800px 0px" });
  for (const plot of plots) near.observe(plot);
  ground.addEventListener("change", () => {
    for (const plot of plots) if (drawn.has(plot)) draw(plot);
  });
})();
