"use strict";

// One tab for each consumer of routes.yaml. A message is shown as it went over the wire, in both directions.
const consumers = {
  chat: {
    about: 'Everyone in the room sees every message: {"message": X} in, {"message": X} out. Open this page twice.',
    path: () => `/ws/chat/${room()}/`,
    encode: (text) => JSON.stringify({ message: text }),
    decode(data) {
      const { message, error } = JSON.parse(data);
      if (error !== undefined) return { text: error, isFault: true };
      return { text: typeof message === "string" ? message : JSON.stringify(message) };
    },
  },
  echo: {
    about: "What you send comes back as it was.",
    path: () => "/ws/echo/",
    encode: (text) => text,
    decode: (data) => ({ text: data }),
  },
  broadcast: {
    about: "What anyone sends goes, as it is, to everyone.",
    path: () => "/ws/news/",
    encode: (text) => text,
    decode: (data) => ({ text: data }),
  },
};

const closeWords = {
  1000: "closed", 1001: "the server went away", 1002: "the protocol was broken", 1003: "this kind of data is not taken",
  1006: "the connection was lost", 1007: "the text was not UTF-8", 1008: "not allowed", 1009: "the message was too large",
  1011: "the server failed", 1012: "the server restarts", 1013: "too slow, or the server is full",
};

const LONGEST_LOG = 500;

const at = (id) => document.getElementById(id);
const log = at("log");
let current = "chat";
let socket = null;
let countdown = null;
let counts = { sent: 0, received: 0 };

function room() {
  const name = decodeURIComponent(location.hash.slice(1));
  return /^[-A-Za-z0-9_]{1,60}$/.test(name) ? name : "lobby";
}

function show(state, text) {
  document.body.dataset.state = state;
  at("state").textContent = text;
  at("send-form").querySelector("button").disabled = state !== "open";
}

function write(kind, text, detail) {
  const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 40;
  const line = document.createElement("li");
  line.className = kind;
  line.textContent = text;
  if (detail) {
    const small = document.createElement("small");
    small.textContent = detail;
    line.append(small);
  }
  log.append(line);
  while (log.children.length > LONGEST_LOG) log.firstChild.remove();
  if (isAtEnd) log.scrollTop = log.scrollHeight;
  at("counts").textContent = `${counts.sent} sent, ${counts.received} received`;
}

function detail(direction, data) {
  const size = typeof data === "string" ? new TextEncoder().encode(data).length : data.size;
  return `${direction} ${new Date().toLocaleTimeString()}, ${size} bytes`;
}

function connect() {
  clearInterval(countdown);
  socket?.close();
  const scheme = location.protocol === "https:" ? "wss:" : "ws:";
  const url = `${scheme}//${location.host}${consumers[current].path()}`;
  at("address").textContent = url;
  show("connecting", "connecting…");
  socket = reconnecting(() => url, { opened, received, waiting, ended });
}

function opened() {
  clearInterval(countdown);
  show("open", "connected");
  write("note", "connected");
}

function received(data) {
  counts.received += 1;
  if (typeof data !== "string") return write("received", "binary data", detail("↓", data));
  let message;
  try {
    message = consumers[current].decode(data);
  } catch {
    message = { text: data };
  }
  write(message.isFault ? "received fault" : "received", message.text, detail("↓", data));
}

function ended(code, reason) {
  const words = reason || closeWords[code] || "closed";
  write("note fault", `${words} (${code})`);
  show("closed", "not connected");
}

function waiting(pause, code, reason) {
  ended(code, reason);
  const until = Date.now() + pause;
  const tick = () => show("closed", `not connected, next try in ${Math.max(0, Math.ceil((until - Date.now()) / 1000))} s`);
  clearInterval(countdown);
  countdown = setInterval(tick, 200);
  tick();
}

function choose(name) {
  current = name;
  counts = { sent: 0, received: 0 };
  log.replaceChildren();
  for (const tab of document.querySelectorAll("[role=tab]")) {
    const isChosen = tab.dataset.consumer === name;
    tab.setAttribute("aria-selected", isChosen);
    tab.tabIndex = isChosen ? 0 : -1;
  }
  at("panel").setAttribute("aria-labelledby", `tab-${name}`);
  at("about").textContent = consumers[name].about;
  at("room-form").hidden = name !== "chat";
  at("room").value = room();
  at("counts").textContent = "";
  connect();
}

document.querySelector("[role=tablist]").addEventListener("click", ({ target }) => {
  if (target.dataset.consumer) choose(target.dataset.consumer);
});

document.querySelector("[role=tablist]").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const next = tabs[(tabs.indexOf(document.activeElement) + step + tabs.length) % tabs.length];
  next.focus();
  choose(next.dataset.consumer);
});

at("room-form").addEventListener("submit", (event) => {
  event.preventDefault();
  location.hash = at("room").value;
});

addEventListener("hashchange", () => choose("chat"));

at("send-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const field = at("text");
  if (!socket.isOpen || field.value === "") return;
  const data = consumers[current].encode(field.value);
  socket.send(data);
  counts.sent += 1;
  write("sent", field.value, detail("↑", data));
  field.value = "";
});

choose("chat");
