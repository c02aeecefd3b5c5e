"use strict";

// What came over the last minute, for each name a list of [time, price].
const WINDOW = 60_000;
const series = new Map();
const find = (selector) => document.querySelector(selector);
let received = 0;

function take(text) {
  const { prices, at = Date.now() } = JSON.parse(text);
  received += 1;
  for (const [name, price] of Object.entries(prices)) {
    if (!series.has(name)) series.set(name, { points: [], card: makeCard(name, series.size) });
    const { points, card } = series.get(name);
    // After a change of the connection what is kept comes once more.
    if (points.length > 0 && at <= points[points.length - 1][0]) continue;
    points.push([at, price]);
    while (points[0][0] < at - WINDOW) points.shift();
    card.show(price, change(points, price));
  }
  document.body.classList.add("has-prices");
  find("#counts").textContent = `${received} received`;
  requestAnimationFrame(draw);
}

// In percent, since the first price that is shown.
function change(points, price) {
  return (price / points[0][1] - 1) * 100;
}

const percent = (value) => `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)} %`;

function makeCard(name, number) {
  const card = document.createElement("li");
  card.style.setProperty("--own", `var(--series-${number % 4})`);
  card.innerHTML = "<h2></h2><output></output><small></small>";
  card.querySelector("h2").textContent = name;
  find("#prices").append(card);
  return {
    show(price, since) {
      card.querySelector("output").textContent = price.toFixed(2);
      const small = card.querySelector("small");
      small.textContent = percent(since);
      small.className = since < 0 ? "down" : "up";
    },
  };
}

// MARK: the chart

function element(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

// A round number: 1, 2 or 5 with zeroes.
function roundStep(rough) {
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough);
}

function draw() {
  const chart = find("#chart");
  const { width, height } = chart.getBoundingClientRect();
  const inner = { left: 12, right: width - 58, top: 16, bottom: height - 28 };
  const now = Date.now();
  const lines = [...series.values()].map(({ points }) => {
    while (points.length > 1 && points[0][0] < now - WINDOW) points.shift();
    return points.map(([time, price]) => [time, change(points, price)]);
  });
  const values = lines.flat().map(([, value]) => value);
  const most = Math.max(0.5, ...values), least = Math.min(-0.5, ...values);
  // A quarter of a minute at first, and then as much as there is.
  const age = now - Math.min(now, ...lines.map(([first]) => first[0]));
  const span = [WINDOW / 4, WINDOW / 2, WINDOW].find((span) => span >= Math.min(age, WINDOW));
  const x = (time) => inner.right - ((now - Math.min(time, now)) / span) * (inner.right - inner.left);
  const y = (value) => inner.bottom - ((value - least) / (most - least)) * (inner.bottom - inner.top);

  const made = [];
  const step = roundStep((most - least) / 5);
  for (let value = Math.ceil(least / step) * step; value <= most; value += step) {
    const isZero = Math.abs(value) < step / 2;
    made.push(element("line", { class: isZero ? "zero" : "grid", x1: inner.left, x2: inner.right, y1: y(value), y2: y(value) }));
    made.push(element("text", { x: inner.right + 8, y: y(value) + 4 }, isZero ? "0 %" : percent(value).replace(/\.?0+ /, " ")));
  }
  for (const part of [0, 1, 2, 3]) {
    const time = (span * part) / 3;
    const label = part === 0 ? "now" : `−${time / 1000} s`;
    const anchor = part === 3 ? "start" : part === 0 ? "end" : "middle";
    made.push(element("text", { x: x(now - time), y: height - 10, "text-anchor": anchor }, label));
  }
  lines.forEach((points, number) => {
    const color = `var(--series-${number % 4})`;
    const path = points.map(([time, value], index) => `${index ? "L" : "M"}${x(time).toFixed(1)} ${y(value).toFixed(1)}`).join("");
    const [first, last] = [points[0], points[points.length - 1]];
    made.push(element("path", { class: "area", d: `${path}L${x(last[0])} ${y(0)}L${x(first[0])} ${y(0)}Z`, style: `fill: ${color}` }));
    made.push(element("path", { class: "line", d: path, style: `stroke: ${color}` }));
    made.push(element("circle", { cx: x(last[0]), cy: y(last[1]), r: 4, style: `fill: ${color}` }));
  });
  chart.replaceChildren(...made);
}

setInterval(draw, 250);
addEventListener("resize", draw);

// MARK: where the prices come from

function show(state, text) {
  document.body.dataset.state = state;
  find("#state").textContent = text;
}

// How long to wait where the browser does not come back by itself: never the same for everyone. Milliseconds.
const patience = () => 2000 + 2000 * Math.random();

const sources = {
  events() {
    const source = new EventSource("events/ticker/");
    let again;
    find("#address").textContent = source.url;
    source.onopen = () => show("open", "connected");
    source.onmessage = (event) => take(event.data);
    source.onerror = () => {
      show("closed", "the connection is lost, coming back…");
      // Cut off, the browser comes back by itself; after an answer that is no stream it gives up.
      if (source.readyState === EventSource.CLOSED) again = setTimeout(connect, patience());
    };
    return () => {
      clearTimeout(again);
      source.close();
    };
  },
  websocket() {
    const address = new URL("ws/ticker/", location.href.replace(/^http/, "ws"));
    find("#address").textContent = address;
    const socket = reconnecting(() => address, {
      opened: () => show("open", "connected"),
      received: take,
      waiting: () => show("closed", "the connection is lost, coming back…"),
      ended: (code, reason) => show("closed", reason || `closed (${code})`),
    });
    return () => socket.close();
  },
};

let leave = () => {};

function connect() {
  leave();
  show("connecting", "connecting…");
  leave = sources[find("input[name=over]:checked").value]();
}

for (const choice of document.querySelectorAll("input[name=over]")) choice.addEventListener("change", connect);
connect();
