// Draws the charts in the page's colours, again where the scheme changes or the page is printed; copies what is asked for.
(() => {
  "use strict";
  const figures = JSON.parse(document.getElementById("plots").textContent);
  const root = document.documentElement;
  const phone = matchMedia("(max-width: 640px), (pointer: coarse)");

  // A colour is given by the name of one of the page's; nothing but a colour is replaced.
  const painted = (value, colours, key = "") => {
    if (typeof value === "string") {
      const named = /^var\((--[a-z0-9-]+)\)$/.exec(value);
      return named && /color/i.test(key) ? colours.getPropertyValue(named[1]).trim() : value;
    }
    if (Array.isArray(value)) {
      return /color/i.test(key) || typeof value[0] === "object" ? value.map((each) => painted(each, colours, key)) : value;
    }
    if (value === null || typeof value !== "object") return value;
    return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, painted(each, colours, name)]));
  };

  const draw = (figure) => {
    const colours = getComputedStyle(root);
    const ink = colours.getPropertyValue("--ink").trim();
    const base = {
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, color: ink, size: 13 },
      hoverlabel: {
        bgcolor: colours.getPropertyValue("--panel").trim(),
        bordercolor: colours.getPropertyValue("--line").trim(),
        font: { color: ink },
      },
      modebar: {
        bgcolor: "rgba(0,0,0,0)",
        color: colours.getPropertyValue("--other").trim(),
        activecolor: ink,
      },
      // On a phone a finger scrolls the page.
      dragmode: phone.matches ? false : "zoom",
    };
    const config = {
      displaylogo: false,
      displayModeBar: phone.matches || figure.small ? false : "hover",
      responsive: true,
      scrollZoom: false,
      showTips: false,
      modeBarButtons: [["toImage", "zoom2d", "pan2d", "zoomIn2d", "zoomOut2d", "resetScale2d"]],
      toImageButtonOptions: { format: "svg", filename: `${figure.id}` },
    };
    const layout = { ...base, ...painted(figure.layout, colours) };
    return Plotly.react(`plot-${figure.id}`, painted(figure.data, colours), layout, config);
  };

  let turn = 0;
  const drawAll = async () => {
    const mine = ++turn;
    root.dataset.drawn = "no";
    for (const figure of figures) {
      if (mine !== turn) return;
      await draw(figure);
      // Between two charts the page answers to its reader.
      await new Promise((go) => setTimeout(go));
    }
    if (mine === turn) root.dataset.drawn = "yes";
  };
  drawAll();
  for (const change of ["(prefers-color-scheme: dark)", "print"]) {
    matchMedia(change).addEventListener("change", () => {
      turn += 1;
      if (change === "print") figures.forEach(draw);
      else drawAll();
      if (change === "print") root.dataset.drawn = "yes";
    });
  }

  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      const done = document.execCommand("copy");
      area.remove();
      if (!done) throw new Error("not copied");
    }
  };
  for (const button of document.querySelectorAll("button.copy")) {
    button.addEventListener("click", async () => {
      let said = "Copied";
      try {
        await copy(document.getElementById(button.dataset.copies).textContent);
      } catch {
        said = "Select and copy by hand";
      }
      button.textContent = said;
      document.getElementById("told").textContent = said;
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
})();
