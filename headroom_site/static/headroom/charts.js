// Time series with uPlot. The data stand in the page as JSON, and in the table below the chart for everybody else.
const money = new Intl.NumberFormat("en", { style: "currency", currency: "USD", maximumSignificantDigits: 4 });
const PALETTE = ["--chart-3", "--chart-1", "--chart-2", "--chart-4"];
const HEIGHT = 260;
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

function draw(element) {
  const source = document.getElementById(`${element.dataset.chart}-series`);
  if (!source || !window.uPlot) return;
  const data = JSON.parse(source.textContent);
  if (data.x.length < 2) {
    element.hidden = true; // one point is no line; the table has it
    return;
  }
  const chart = new uPlot(
    {
      width: element.clientWidth - 24,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      series: [
        { value: (_, seconds) => (seconds == null ? "–" : new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ")), label: "UTC" },
        ...data.series.map((series, index) => ({
          label: series.label,
          stroke: colour(PALETTE[index % PALETTE.length]),
          width: 2,
          dash: index === 0 ? [6, 4] : undefined,
          points: { show: data.x.length < 40 },
          value: (_, dollars) => (dollars == null ? "–" : money.format(dollars)),
        })),
      ],
      axes: [axis(), { ...axis(), size: 72, values: (_, ticks) => ticks.map((dollars) => money.format(dollars)) }],
      scales: { y: { range: (_, low, high) => [Math.min(0, low), high > low ? high * 1.08 : low + 1] } },
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
