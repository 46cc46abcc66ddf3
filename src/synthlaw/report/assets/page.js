"use strict";
// Draws the charts from the island (JSON, compressed), in the reader's theme; everything else is
// plain HTML. A chart is drawn when it comes near the screen, so that a large page opens at once.
window.synthlawIsland = (function () {
  const packed = atob(document.getElementById("island").textContent.trim());
  const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).json();
})();
window.synthlawIsland.then(function (island) {
  const root = document.documentElement;
  const darkPage = window.matchMedia("(prefers-color-scheme: dark)");
  const finePointer = window.matchMedia("(pointer: fine)").matches;
  const hidden = new Set();
  const view = {};
  const measure = {};

  function theme() {
    return root.dataset.theme || (darkPage.matches ? "dark" : "light");
  }

  // Colours and dashes are references into the palette; all other text is left alone.
  const LOOKED_UP = new Set(["color", "fillcolor", "bgcolor", "bordercolor", "gridcolor",
    "linecolor", "tickcolor", "dash"]);
  function resolved(value, colours, key) {
    if (typeof value === "string") {
      return LOOKED_UP.has(key) && Object.hasOwn(colours, value) ? colours[value] : value;
    }
    if (Array.isArray(value)) return value.map((item) => resolved(item, colours, key));
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, resolved(item, colours, name)]));
  }

  function draw(name) {
    const place = document.getElementById("plot-" + name);
    const chart = island.charts[name];
    if (!chart || !place || !window.Plotly) return;
    const shown = chart.views[view[name]];
    const figure = resolved(shown[measure[name]] || shown.figure, island.palette[theme()], "");
    figure.data = figure.data.filter((trace) => !hidden.has(trace.mixture));
    for (const trace of figure.data) delete trace.mixture;
    const narrow = place.clientWidth < 520;
    figure.layout.font.family = getComputedStyle(document.body).fontFamily;
    if (narrow) figure.layout.font.size = 12;
    // A drag on a touch screen scrolls the page; zooming is for a mouse.
    figure.layout.dragmode = finePointer ? "zoom" : false;
    window.Plotly.react(place, figure.data, figure.layout,
      { displayModeBar: false, displaylogo: false, doubleClick: "reset" });
  }

  const near = new Set();
  function drawAll() {
    near.forEach(draw);
  }
  const places = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      const name = entry.target.id.slice("plot-".length);
      places.unobserve(entry.target);
      near.add(name);
      draw(name);
    }
  }, { rootMargin: "60% 0px" });
  function drawEvery() {
    Object.keys(view).forEach((name) => near.add(name));
    drawAll();
  }
  window.addEventListener("beforeprint", drawEvery);

  const widths = new ResizeObserver((entries) => {
    for (const entry of entries) {
      if (entry.target._fullLayout) window.Plotly.Plots.resize(entry.target);
    }
  });
  for (const [name, chart] of Object.entries(island.charts)) {
    if (!chart) continue;
    view[name] = chart.start;
    // Losses nearly coincide; their differences are what decides.
    measure[name] = chart.views[chart.start].difference ? "difference" : "figure";
    const place = document.getElementById("plot-" + name);
    widths.observe(place);
    places.observe(place);
  }
  for (const chooser of document.querySelectorAll(".chooser")) {
    chooser.addEventListener("change", (event) => {
      const name = chooser.dataset.chart || chooser.dataset.measure;
      if (chooser.dataset.chart) view[name] = Number(event.target.value);
      else measure[name] = event.target.value;
      draw(name);
    });
  }
  // A mixture is hidden in every chart at once, so that charts stay comparable.
  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const mixture = Number(button.dataset.mixture);
      if (!hidden.delete(mixture)) hidden.add(mixture);
      for (const twin of document.querySelectorAll(`.legend [data-mixture="${mixture}"]`)) {
        twin.setAttribute("aria-pressed", String(!hidden.has(mixture)));
      }
      drawAll();
    });
  }

  const toggle = document.getElementById("theme");
  function nameToggle() {
    toggle.textContent = theme() === "dark" ? "Light page" : "Dark page";
  }
  toggle.hidden = false;
  toggle.addEventListener("click", () => {
    root.dataset.theme = theme() === "dark" ? "light" : "dark";
    nameToggle();
    drawAll();
  });
  darkPage.addEventListener("change", () => { nameToggle(); drawAll(); });

  const links = new Map();
  for (const link of document.querySelectorAll(".contents a")) {
    links.set(link.getAttribute("href").slice(1), link);
  }
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting || !links.has(entry.target.id)) continue;
      for (const link of links.values()) link.removeAttribute("aria-current");
      links.get(entry.target.id).setAttribute("aria-current", "true");
    }
  }, { rootMargin: "0px 0px -75% 0px" });
  document.querySelectorAll("main section").forEach((section) => seen.observe(section));

  // A table is saved from the page itself, which may have left its folder.
  for (const link of document.querySelectorAll("a[data-table]")) {
    if (!Object.hasOwn(island.tables, link.dataset.table)) continue;
    link.addEventListener("click", () => {
      const text = island.tables[link.dataset.table];
      const address = URL.createObjectURL(new Blob([text], { type: "text/csv" }));
      link.href = address;
      link.download = link.textContent;
      setTimeout(() => URL.revokeObjectURL(address), 60000);
    });
  }

  nameToggle();
  root.dataset.charts = "ready";
});
