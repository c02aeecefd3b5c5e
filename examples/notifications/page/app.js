// Logs in with Simple JWT, opens a WebSocket with the token, and after an interruption goes on where it was.
const page = Object.fromEntries([...document.querySelectorAll("[id]")].map((element) => [element.id, element]));
let tokens;
let user;
let socket;
let isUsed = false; // the access token, for a connection

function say(text) {
  page.state.textContent = text;
}

async function call(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (tokens) headers.Authorization = `Bearer ${tokens.access}`;
  const answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
  return answer.status === 204 ? null : answer.json();
}

// The id of the last notification that this browser has seen, for each user.
const lastSeen = {
  get key() { return `last-seen-${user}`; },
  get() { return localStorage.getItem(this.key) ?? ""; },
  set(id) { localStorage.setItem(this.key, id); },
};

function show({ text, created }) {
  const item = document.createElement("li");
  const time = document.createElement("time");
  time.textContent = new Date(created).toLocaleTimeString();
  item.append(time, text);
  page.notifications.prepend(item);
}

function open() {
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  // With `since`, even an empty one, every frame says where it stands: {"id": ..., "notification": {...}}.
  const url = () => `${scheme}://${location.host}/ws/notifications/?since=${lastSeen.get()}`;
  const opened = () => say(`logged in as ${user}`);
  const received = (data) => {
    const frame = JSON.parse(data);
    if (frame.history?.gap) say("you were away for long: older notifications are in the list of the site");
    if (frame.notification) show(frame.notification);
    const id = frame.id ?? frame.history?.id;
    if (id) lastSeen.set(id);
  };
  const waiting = () => say("reconnecting");
  const ended = (code, reason) => end(reason);
  socket = reconnecting(url, { token, opened, received, waiting, ended });
}

// Access tokens live for some minutes only.
async function token() {
  try {
    if (isUsed) tokens.access = (await call("/api/token/refresh/", { refresh: tokens.refresh })).access;
  } catch (error) {
    if (/: 401 /.test(error.message)) end("log in again");
    throw error;
  }
  isUsed = true;
  return tokens.access;
}

function end(reason) {
  socket.close();
  tokens = undefined;
  page.mine.hidden = true;
  page.login.hidden = false;
  page.notifications.replaceChildren();
  say(reason);
}

page.login.onsubmit = async (event) => {
  event.preventDefault();
  const fields = Object.fromEntries(new FormData(page.login));
  try {
    tokens = await call("/api/token/", fields);
    isUsed = false;
    user = fields.username;
    page.login.hidden = true;
    page.mine.hidden = false;
    open();
  } catch (error) {
    say(error.message);
  }
};

page.send.onsubmit = async (event) => {
  event.preventDefault();
  try {
    await call("/api/notifications/", Object.fromEntries(new FormData(page.send)));
    page.send.elements.text.value = "";
  } catch (error) {
    say(error.message);
  }
};

page.logout.onclick = () => call("/api/logout/", {}).catch((error) => say(error.message));
