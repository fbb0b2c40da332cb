// New figures without a reload. The server says what changed, at most every two seconds; the session's tiles change where
// they stand, and a page of rollups or requests fetches itself anew when its figures have, not too often and never under a
// reader's hands.
const REFRESH_S = 30;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 30_000;

let wait = FIRST_WAIT_MS;
let revision = null;
let refreshedAt = performance.now();

function connect() {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/dashboard/live`);
  socket.addEventListener("open", () => {
    wait = FIRST_WAIT_MS;
    document.documentElement.dataset.live = "on";
  });
  socket.addEventListener("message", (event) => show(JSON.parse(event.data)));
  socket.addEventListener("close", () => {
    document.documentElement.dataset.live = "off";
    setTimeout(connect, wait + Math.random() * wait);
    wait = Math.min(2 * wait, LONGEST_WAIT_MS);
  });
}

function show(news) {
  for (const [name, tile] of Object.entries(news.tiles)) {
    for (const element of document.querySelectorAll(`[data-session] [data-figure="${name}"]`)) {
      if (element.dataset.number === String(tile.number)) continue;
      element.dataset.number = tile.number;
      element.textContent = tile.text;
      element.className = tile.tone;
    }
  }
  const first = revision === null;
  const hasChanged = revision !== news.revision;
  revision = news.revision;
  const isEmpty = document.querySelector("[data-empty]") && news.tiles.calls?.number > 0;
  if (isEmpty || (hasChanged && !first)) refresh(isEmpty);
}

async function refresh(isUrgent) {
  const area = document.querySelector("[data-refresh]");
  const isBusy = document.hidden || area?.contains(document.activeElement) || String(getSelection()) !== "";
  const leastMs = isUrgent ? 0 : 1000 * (Number(area?.dataset.refresh) || REFRESH_S);
  if (!area || isBusy || performance.now() - refreshedAt < leastMs) return;
  refreshedAt = performance.now();
  const answer = await fetch(location.href, { headers: { accept: "text/html" } });
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-refresh]");
  if (!fresh) return;
  area.replaceWith(fresh);
  document.dispatchEvent(new CustomEvent("refreshed"));
}

connect();
