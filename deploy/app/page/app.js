"use strict";

const element = (id) => document.getElementById(id);

// Text only, never markup: names and emails come from other people.
function make(tag, text, className) {
  const made = document.createElement(tag);
  made.textContent = text;
  if (className) made.className = className;
  return made;
}

function pill(id, good, text) {
  element(id).className = `pill ${good ? "good" : "bad"}`;
  element(id).textContent = text;
}

async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, signal: AbortSignal.timeout(5000) });
  const body = await response.json().catch(() => ({}));
  if (!response.ok && !body.checks) throw new Error(body.error || `the answer is ${response.status}`);
  return body;
}

async function showHealth() {
  try {
    const health = await ask("/api/v1/health/");
    pill("health", health.status === "ok", health.status === "ok" ? "API is well" : "API is unwell");
    const rows = Object.entries(health.checks).map(([name, check]) => {
      const row = make("li", "");
      const well = check.status === "ok";
      row.append(make("span", name), make("span", well ? `ok, ${check.us / 1000} ms` : check.error, well ? "good" : "bad"));
      return row;
    });
    element("checks").replaceChildren(...(rows.length ? rows : [make("li", "nothing", "quiet")]));
  } catch (error) {
    pill("health", false, "API does not answer");
    element("checks").replaceChildren(make("li", error.message, "bad"));
  }
}

async function showVisits(method = "GET") {
  try {
    element("visits").textContent = (await ask("/api/v1/visits", { method })).visits;
  } catch (error) {
    element("visits").textContent = "–";
  }
}

async function showUsers() {
  const table = element("users");
  try {
    const { users } = await ask("/api/v1/users/");
    const rows = users.map((user) => {
      const row = make("tr", "");
      row.append(make("td", user.name), make("td", user.email), make("td", user.created));
      return row;
    });
    table.replaceChildren(...rows);
    if (!rows.length) table.append(cellRow("nobody yet", "quiet"));
  } catch (error) {
    table.replaceChildren(cellRow(error.message, "bad"));
  }
}

function cellRow(text, className) {
  const row = make("tr", "");
  const cell = make("td", text, className);
  cell.colSpan = 3;
  row.append(cell);
  return row;
}

async function addUser(event) {
  event.preventDefault();
  const form = event.target;
  const message = element("message");
  try {
    const body = JSON.stringify({ name: form.name.value, email: form.email.value });
    await ask("/api/v1/users/", { method: "POST", headers: { "Content-Type": "application/json" }, body });
    message.className = "good";
    message.textContent = `${form.name.value} was added.`;
    form.reset();
    await showUsers();
  } catch (error) {
    message.className = "bad";
    message.textContent = `Not added: ${error.message}.`;
  }
}

// Tries again forever, more and more slowly, up to ten seconds.
function listen(wait = 500) {
  const socket = new WebSocket(`${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`);
  socket.onopen = () => { wait = 500; pill("live", true, "live"); };
  socket.onmessage = (event) => {
    const update = JSON.parse(event.data);
    if (update.visits !== undefined) element("visits").textContent = update.visits;
  };
  socket.onclose = () => {
    pill("live", false, "not live");
    setTimeout(() => listen(Math.min(wait * 2, 10000)), wait);
  };
}

element("add").addEventListener("submit", addUser);
element("count").addEventListener("click", () => showVisits("POST"));
ask("/api/v1/config/frontend/")
  .then((config) => { element("environment").textContent = `${config.environment}, version ${config.version}`; })
  .catch(() => {});
showVisits();
showUsers();
showHealth();
setInterval(showHealth, 5000);
setInterval(showUsers, 15000);
listen();
