// Time series with uPlot: what was spent as filled bars, what it would have been as their outline. A time without calls is a
// gap. The data stand in the page as JSON, and in a table for everybody else.
const money = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumSignificantDigits: 4 });
const LOOKS = [
  { stroke: "--accent", fill: "--accent", width: 0 },
  { stroke: "--chart-3", fill: null, width: 1.5 },
];
const HEIGHT = 260;
const DAY_S = 86_400;
const drawn = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function axis() {
  return {
    stroke: colour("--quiet"),
    grid: { stroke: colour("--line"), width: 1 },
    ticks: { stroke: colour("--line"), width: 1 },
    font: "12px system-ui, sans-serif",
  };
}

function time(_, ticks, __, ___, step) {
  return ticks.map((seconds) => {
    const text = new Date(seconds * 1000).toISOString();
    if (step >= 28 * DAY_S) return text.slice(0, 7);
    return step >= DAY_S || seconds % DAY_S === 0 ? text.slice(5, 10) : text.slice(11, 16);
  });
}

function draw(element) {
  const source = document.getElementById(`${element.dataset.chart}-series`);
  if (!source || !window.uPlot) return;
  const data = JSON.parse(source.textContent);
  if (!data.x.length) {
    element.hidden = true;
    return;
  }
  const gaps = data.x.slice(1).map((second, index) => second - data.x[index]);
  const step = gaps.length ? Math.min(...gaps) : DAY_S;
  const margin = Math.max(0.6 * step, (6 - data.x.length) * 0.5 * step); // a few bars are not stretched over the page
  const chart = new uPlot(
    {
      width: element.clientWidth - 24,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      series: [
        { value: (_, seconds) => (seconds == null ? "–" : new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")), label: "UTC" },
        ...data.series.map((series, index) => ({
          label: series.label,
          stroke: colour(LOOKS[index].stroke),
          fill: LOOKS[index].fill ? colour(LOOKS[index].fill) : undefined,
          width: LOOKS[index].width,
          paths: uPlot.paths.bars({ size: [0.7, 64], radius: 0.1 }),
          points: { show: false },
          value: (_, dollars) => (dollars == null ? "–" : money.format(dollars)),
        })),
      ],
      axes: [{ ...axis(), values: time }, { ...axis(), size: 72, values: (_, ticks) => ticks.map((dollars) => money.format(dollars)) }],
      scales: {
        x: {
          // Of a single time uPlot makes years.
          range: (_, first, last) => [first - margin, (data.x.length > 1 ? last : first) + margin],
        },
        y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.08 : 1] },
      },
    },
    [data.x, ...data.series.map((series) => series.values)],
    element,
  );
  drawn.push({ chart, element });
}

function drawAll() {
  for (const { chart } of drawn.splice(0)) chart.destroy();
  document.querySelectorAll("[data-chart]").forEach(draw);
}

addEventListener("resize", () => {
  for (const { chart, element } of drawn) chart.setSize({ width: element.clientWidth - 24, height: HEIGHT });
});
document.addEventListener("themechange", drawAll);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
document.addEventListener("refreshed", drawAll);
drawAll();
