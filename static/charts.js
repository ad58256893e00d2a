/* Draws each chart of the dashboard from the numbers of the table below it: one source for eye, keyboard and test.
   Series differ in colour and in pattern or dash. Without this script the tables stand open, and say the same. */
"use strict";

(() => {
  const HEIGHT = 220;
  const DASHES = [[], [7, 5], [2, 4]];
  const STEPS = {
    count: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6],
    percent: [25, 50],
    seconds: [1, 5, 15, 30, 60, 300, 900, 1800, 3600, 7200, 14400, 28800, 43200, 86400, 172800, 432000, 864000, 2592000],
  };
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  const number = (cell) => (cell.dataset.value === undefined ? null : Number(cell.dataset.value));

  function read(figure) {
    const heads = [...figure.querySelectorAll("thead th")];
    const rows = [...figure.querySelectorAll("tbody tr")];
    const drawn = heads.flatMap((head, place) => (head.dataset.tone ? [place] : []));
    return {
      unit: figure.dataset.unit,
      isStack: figure.dataset.kind === "stack",
      tones: drawn.map((place) => heads[place].dataset.tone),
      steps: rows.map((row) => row.cells[0].dataset.short),
      values: drawn.map((place) => rows.map((row) => number(row.cells[place]))),
      said: rows.map((row) => {
        const told = heads.slice(1).map((head, place) => `${head.textContent.trim()} ${row.cells[place + 1].textContent.trim()}`);
        return `${row.cells[0].textContent.trim()}: ${told.join(", ")}`;
      }),
    };
  }

  /* Full, striped, dotted, checked, empty: told apart without colour, on the paper of the page. */
  function filling(place, tone) {
    const tile = document.createElement("canvas");
    const size = 8 * devicePixelRatio;
    tile.width = tile.height = size;
    const pen = tile.getContext("2d");
    pen.fillStyle = place === 0 ? token(tone) : token("sheet");
    pen.fillRect(0, 0, size, size);
    pen.strokeStyle = pen.fillStyle = token(tone);
    pen.lineWidth = 2 * devicePixelRatio;
    pen.beginPath();
    if (place === 1) {
      for (const shift of [-size, 0, size]) pen.moveTo(shift - 1, size + 1), pen.lineTo(shift + size + 1, -1);
    } else if (place === 2) {
      pen.arc(size / 2, size / 2, size / 5, 0, 7);
      pen.fill();
    } else if (place === 3) {
      pen.fillRect(0, 0, size / 2, size / 2);
      pen.fillRect(size / 2, size / 2, size / 2, size / 2);
    }
    if (place === 1) pen.stroke();
    return pen.createPattern(tile, "repeat");
  }

  function series(chart) {
    if (!chart.isStack) {
      return chart.tones.map((tone, place) => ({
        stroke: token(tone),
        width: 2,
        dash: DASHES[place],
        points: { show: true, size: 7, fill: place ? token("sheet") : token(tone), stroke: token(tone) },
      }));
    }
    const bars = uPlot.paths.bars({ size: [0.72, 36] });
    const all = chart.tones.map((tone, place) => {
      const fill = filling(place, tone);
      return { stroke: token(tone), width: 1, fill: () => fill, paths: bars, points: { show: false } };
    });
    return all.reverse();
  }

  /* A stack's parts stand on each other, the tallest sum behind; where there is none, there is no bar. */
  function data(chart) {
    const places = chart.steps.map((_, place) => place);
    if (!chart.isStack) return [places, ...chart.values];
    const sums = chart.values.map((_, last) => places.map((at) => chart.values.slice(0, last + 1).reduce((sum, one) => sum + one[at], 0) || null));
    return [places, ...sums.reverse()];
  }

  function short(unit, value) {
    if (unit === "percent") return `${value} %`;
    if (unit === "count") return value < 1e4 ? String(value) : `${value / 1e3}k`;
    if (value < 60) return `${value} s`;
    if (value < 3600) return `${Math.round(value / 60)} min`;
    return value < 172800 ? `${Math.round(value / 360) / 10} h` : `${Math.round(value / 8640) / 10} d`;
  }

  function axes(chart) {
    const font = `12px ${token("sans")}`;
    const many = chart.steps.length;
    const labelled = (plot) => {
      const room = Math.max(Math.floor(plot.bbox.width / devicePixelRatio / 56), 1);
      const every = Math.ceil(many / room);
      return chart.steps.map((_, place) => place).filter((place) => place % every === 0);
    };
    return [
      { font, stroke: token("ink-soft"), grid: { show: false }, ticks: { show: false }, size: 28, splits: labelled, values: (_, at) => at.map((place) => chart.steps[place]) },
      { font, stroke: token("ink-soft"), grid: { stroke: token("line"), width: 1 }, ticks: { show: false }, size: 56, incrs: STEPS[chart.unit], values: (_, at) => at.map((value) => short(chart.unit, value)) },
    ];
  }

  function drawn(figure, chart) {
    const plot = figure.querySelector(".plot");
    const readout = figure.querySelector(".readout");
    const last = chart.steps.length - 1;
    const tell = (place) => {
      readout.textContent = chart.said[place];
      plot.setAttribute("aria-valuenow", place);
      plot.setAttribute("aria-valuetext", chart.said[place]);
    };
    const most = chart.unit === "percent" ? () => [0, 100] : (_, __, top) => [0, Math.max(top * 1.08, 1)];
    const made = new uPlot(
      {
        width: plot.clientWidth,
        height: HEIGHT,
        padding: [12, 18, 0, 0],
        legend: { show: false },
        cursor: { y: false, drag: { x: false, y: false }, points: { show: false } },
        scales: { x: { time: false, range: [-0.5, last + 0.5] }, y: { range: most } },
        series: [{}, ...series(chart)],
        axes: axes(chart),
        hooks: { setCursor: [(self) => self.cursor.idx != null && tell(self.cursor.idx)] },
      },
      data(chart),
      plot,
    );
    tell(Number(plot.getAttribute("aria-valuenow") ?? last));
    return made;
  }

  /* Arrow keys go from step to step, as the pointer does. */
  function steer(plot, last, current) {
    plot.addEventListener("keydown", (event) => {
      const at = Number(plot.getAttribute("aria-valuenow"));
      const to = { ArrowLeft: at - 1, ArrowDown: at - 1, ArrowRight: at + 1, ArrowUp: at + 1, Home: 0, End: last }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const place = Math.min(Math.max(to, 0), last);
      const made = current();
      made.setCursor({ left: made.valToPos(place, "x"), top: 10 });
    });
  }

  function swatches(figure, chart) {
    figure.querySelectorAll(".swatch").forEach((swatch, place) => {
      swatch.width = 28 * devicePixelRatio;
      swatch.height = 14 * devicePixelRatio;
      const pen = swatch.getContext("2d");
      if (chart.isStack) {
        pen.fillStyle = filling(place, chart.tones[place]);
        pen.fillRect(0, 0, swatch.width, swatch.height);
      }
      pen.strokeStyle = token(chart.tones[place]);
      pen.lineWidth = 2 * devicePixelRatio;
      if (chart.isStack) return pen.strokeRect(0, 0, swatch.width, swatch.height);
      pen.setLineDash(DASHES[place].map((dash) => dash * devicePixelRatio));
      pen.moveTo(0, swatch.height / 2);
      pen.lineTo(swatch.width, swatch.height / 2);
      return pen.stroke();
    });
  }

  function show(figure) {
    const chart = read(figure);
    const plot = figure.querySelector(".plot");
    const role = { role: "slider", tabindex: 0, "aria-valuemin": 0, "aria-valuemax": chart.steps.length - 1 };
    Object.entries(role).forEach(([name, value]) => plot.setAttribute(name, value));
    plot.setAttribute("aria-labelledby", figure.getAttribute("aria-labelledby"));
    const draw = () => {
      plot.chart?.destroy();
      plot.chart = drawn(figure, chart);
      swatches(figure, chart);
    };
    draw();
    steer(plot, chart.steps.length - 1, () => plot.chart);
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
    new ResizeObserver(() => plot.chart.setSize({ width: plot.clientWidth, height: HEIGHT })).observe(plot);
  }

  document.querySelectorAll("figure.chart:has(.plot)").forEach(show);
})();
