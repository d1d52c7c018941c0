// What the status page does beyond being read: live updates, search, buttons. All markup comes ready and escaped from
// keepwell; this only puts it in its place. Without this script the page is the same, but stands still.
"use strict";

const $ = (id) => document.getElementById(id);
const rows = () => [...$("rows").children];
document.documentElement.classList.add("script");

// --- times ---

const minute = 60, hour = 3600, day = 86400;
function age(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  return s < minute ? `${s} s` : s < hour ? `${Math.floor(s / minute)} min` : s < 2 * day ? `${Math.floor(s / hour)} h` : `${Math.floor(s / day)} d`;
}
// By how much this computer's clock is ahead of keepwell's: ages are those that keepwell would tell.
const clockAhead = Date.now() - new Date(document.querySelector("#live time").dateTime);
function tellAges(root) {
  for (const time of root.querySelectorAll("time.age")) {
    const text = age((Date.now() - clockAhead - new Date(time.dateTime)) / 1000);
    if (time.textContent !== text) time.textContent = text;
  }
}
function tellTimes(root) {
  for (const time of root.querySelectorAll("time")) {
    const at = new Date(time.dateTime);
    time.title = at.toLocaleString();
    if (time.className === "clock") time.textContent = at.toLocaleTimeString([], { hour12: false });
  }
  tellAges(root);
}

// --- search and filter ---

// Of services, and of what happened to them.
function search() {
  const words = $("search").value.toLowerCase().split(/\s+/).filter(Boolean);
  for (const element of [...rows(), ...$("happenings").children]) {
    const text = words.length ? element.textContent.toLowerCase() : "";
    element.classList.toggle("unlike", !words.every((word) => text.includes(word)));
  }
  noteNothing();
}
function noteNothing() { $("nothing").hidden = rows().some((row) => row.offsetParent !== null || row.getClientRects().length); }

// --- what is replaced ---

// Which of a row's elements it is, in a way that also fits the row that comes after: one of a probe stands with that probe.
function placeIn(row, element) {
  const probe = [...row.querySelectorAll("li")].indexOf(element.closest("li"));
  return `${element.tagName}.${element.className} ${probe}`;
}
// A row that is replaced keeps what the reader did to it: its fold, how far its outputs are scrolled, and the focus.
function replaceElement(old, fresh) {
  const focused = old.contains(document.activeElement) ? placeIn(old, document.activeElement) : null;
  const open = old.querySelector("details")?.open;
  const scrolled = new Map([...old.querySelectorAll("pre")].map((pre) => [placeIn(old, pre), [pre.scrollLeft, pre.scrollTop]]));
  old.replaceWith(fresh);
  if (open && fresh.querySelector("details")) fresh.querySelector("details").open = true;
  for (const pre of fresh.querySelectorAll("pre")) pre.scrollTo(...(scrolled.get(placeIn(fresh, pre)) ?? [0, 0]));
  if (focused) {
    const again = [...fresh.querySelectorAll("summary, a, button, pre")];
    (again.find((each) => placeIn(fresh, each) === focused) ?? again[0])?.focus({ preventScroll: true });
  }
}
// Those that need a look stand first; alike ones in the order of the configuration.
function sortRows() {
  const before = rows();
  const number = (row) => Number(row.id.slice("service-".length));
  const sorted = [...before].sort((a, b) => a.dataset.rank - b.dataset.rank || number(a) - number(b));
  if (sorted.every((row, i) => row === before[i])) return;
  const focused = document.activeElement;
  $("rows").append(...sorted);
  if (focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
}
// Where the drawing is wider than the screen, the root cause is what is seen of it.
function showRoot() {
  const root = document.querySelector(".graph .root rect");
  const region = document.querySelector(".scroll");
  if (root) region.scrollLeft = root.getBoundingClientRect().right - region.getBoundingClientRect().right + region.scrollLeft + 16;
}
function fragment(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return template.content;
}
function replace(html) {
  const fresh = fragment(html);
  tellTimes(fresh);
  const news = [];
  let drawn = false;
  for (const element of [...fresh.children]) {
    const old = $(element.id);
    if (!old) continue;
    drawn ||= element.id === "graph";
    if (element.dataset.state !== old.dataset.state && element.id.startsWith("service-"))
      news.push(`${element.querySelector(".name bdi").textContent} is ${element.dataset.state}`);
    if (!old.isEqualNode(element)) replaceElement(old, element);
  }
  sortRows();
  search();
  if (drawn) showRoot();
  if (news.length) $("news").textContent = news.join(", ");
  document.title = document.title.replace(/^(\(\d+\) )?/, troubled() ? `(${troubled()}) ` : "");
}
const troubled = () => Number($("count-trouble").textContent);

function happened(html) {
  const fresh = fragment(html);
  tellTimes(fresh);
  for (const element of [...fresh.children]) {
    $(element.id)?.remove();
    $("happenings").prepend(element);
  }
  while ($("happenings").children.length > 200) $("happenings").lastElementChild.remove();
  search();
}

// The configuration has changed, or too much was missed: the page anew, without losing the reader's place.
async function reload() {
  close();
  try {
    const reply = await fetch("/", { headers: { Accept: "text/html" } });
    if (!reply.ok) throw new Error(String(reply.status));
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
    for (const id of ["summary", "graph", "rows", "happenings"]) $(id).replaceWith(document.adoptNode(fresh.getElementById(id)));
    for (const id of ["count-all", "count-trouble", "count-maintenance", "count-healthy"]) $(id).textContent = fresh.getElementById(id).textContent;
    document.documentElement.classList.toggle("may-act", fresh.documentElement.classList.contains("may-act"));
    document.documentElement.classList.toggle("may-read", fresh.documentElement.classList.contains("may-read"));
    mark = fresh.body.dataset.mark;
    tellTimes(document);
    search();
    showRoot();
    open();
  } catch {
    again();
  }
}

// --- live ---

let mark = document.body.dataset.mark;
let source = null;
let retry = null;

function tellLive(state, text) {
  $("live").dataset.live = state;
  $("live-text").textContent = text;
}
function open() {
  close();
  source = new EventSource("/api/v1/events?since=" + encodeURIComponent(mark));
  source.onopen = () => tellLive("on", "Live");
  const listen = (name, handle) => source.addEventListener(name, (event) => {
    if (event.lastEventId) mark = event.lastEventId;
    handle(event.data);
  });
  listen("replace", replace);
  listen("happened", happened);
  listen("stale", reload);
  listen("text", (data) => {
    for (const [id, text] of Object.entries(JSON.parse(data))) if ($(id)) $(id).textContent = text;
  });
  source.onerror = () => {
    tellLive("lost", "Not live: keepwell does not answer");
    if (source.readyState === EventSource.CLOSED) again();
  };
}
function close() {
  source?.close();
  source = null;
  clearTimeout(retry);
}
// Too many follow already, or keepwell is away: the page is loaded from time to time.
function again() {
  close();
  tellLive("lost", "Not live: looks again every 10 s");
  retry = setTimeout(reload, 10000);
}
// A page that nobody looks at holds no connection: browsers have few for a host.
function follow() {
  if (document.hidden) {
    close();
    tellLive("off", "Paused while hidden");
  } else if (!source) {
    open();
  }
}

// --- acting ---

function tell(text) {
  $("told").textContent = text;
  $("told").hidden = !text;
}
async function act(url) {
  tell("");
  try {
    const reply = await fetch(url, { method: "POST", headers: { Accept: "application/json" } });
    if (!reply.ok) tell("Refused: " + ((await reply.json().catch(() => ({}))).error ?? reply.status));
  } catch {
    tell("keepwell does not answer; nothing was done.");
  }
}
function askWhy(form) {
  const service = form.closest("tr").querySelector(".name bdi").textContent;
  const url = form.action;
  $("maintenance-service").textContent = service;
  $("maintenance-note").value = "";
  $("maintenance").returnValue = "";
  $("maintenance").onclose = () => {
    if ($("maintenance").returnValue === "begin") act(url + "?note=" + encodeURIComponent($("maintenance-note").value));
  };
  $("maintenance").showModal();
  $("maintenance-note").focus();
}

// --- all together ---

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.closest("#rows")) {
    event.preventDefault();
    if (form.querySelector(".maintain")) askWhy(form);
    else act(form.action);
  } else if (form.getAttribute("role") === "search") {
    event.preventDefault();
  }
});
// Enter in the dialog's text field means to begin, not to cancel.
$("maintenance-note").addEventListener("keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault();
    $("maintenance").close("begin");
  }
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
  event.preventDefault();
  $("search").focus();
});
$("search").addEventListener("input", search);
document.querySelector(".filter").addEventListener("change", noteNothing);
document.addEventListener("visibilitychange", follow);
addEventListener("pagehide", close);
addEventListener("pageshow", follow);

tellTimes(document);
setInterval(() => tellAges(document), 1000);
showRoot();
search();
follow();
