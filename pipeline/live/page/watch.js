"use strict";
const WIDTH = 180, HEIGHT = 32, SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);
const made = (name, text = "", kind = "") => {
  const node = document.createElement(name);
  node.textContent = text;
  if (kind) node.className = kind;
  return node;
};
const drawn = (name, attributes) => {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  return node;
};
const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };
const level = (value) => value.toFixed(3);
const count = (number, what) => `${number} ${what}${number === 1 ? "" : "s"}`;
const clock = (text) => new Date(text).toLocaleTimeString();

// Nodes stay as long as what they show, so that nobody loses the button under the finger.
function keyed(parent, items, key, make, fill) {
  const there = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, place) => {
    const name = String(key(item));
    let node = there.get(name);
    if (!node) {
      node = make(item);
      node.dataset.key = name;
    }
    there.delete(name);
    if (parent.children[place] !== node) parent.insertBefore(node, parent.children[place] ?? null);
    fill(node, item);
  });
  for (const node of there.values()) node.remove();
}

function alertMade(one) {
  const node = made("li");
  node.append(made("h3", one.stream), made("p", "", "said"));
  if (one.stills) {
    const image = made("img");
    image.src = one.stills;
    image.alt = "Three stills of the clip that opened the alert, grey and blurred";
    image.width = 288;
    image.height = 96;
    node.append(image);
  }
  node.append(made("p", "", "decided"));
  const buttons = made("div", "", "buttons");
  for (const [decision, text] of [["acknowledged", "Acknowledge"], ["dismissed", "Dismiss"]]) {
    const button = made("button", text);
    button.type = "button";
    button.dataset.decision = decision;
    button.setAttribute("aria-label", `${text} the alert of ${one.stream}, ${clock(one.opened_at)}`);
    button.addEventListener("click", () => decide(one.alert, decision));
    buttons.append(button);
  }
  node.append(buttons);
  return node;
}

function alertFilled(node, one) {
  node.className = one.closed_at ? "closed" : "open";
  const clip = one.last_clip;
  const heard = clip ? `; real ${clip.seen_and_heard.p_real.toFixed(2)}, discharge `
    + `${clip.seen_and_heard.p_discharge.toFixed(2)} when it opened` : "";
  set(node.querySelector(".said"), `${one.closed_at ? "Closed" : "Open"}; opened at `
    + `${clock(one.opened_at)}, second ${one.opened_s.toFixed(1)}; highest level `
    + `${level(one.highest_level)}${heard}`);
  const decided = one.decided;
  set(node.querySelector(".decided"), decided
    ? `${decided.decision === "dismissed" ? "Dismissed" : "Acknowledged"} by ${decided.who}, `
      + clock(decided.at)
    : "Nobody has decided yet.");
}

function streamMade(one) {
  const node = made("tr"), name = made("th", one.name);
  name.scope = "row";
  const state = made("td"), trace = made("td");
  state.append(made("span", "", "state"));
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  svg.append(drawn("line", { class: "threshold", x1: 0, x2: WIDTH }),
    drawn("polyline", { class: "trace" }));
  trace.append(svg);
  node.append(name, state, trace, ...Array.from({ length: 4 }, () => made("td", "", "number")));
  return node;
}

function streamFilled(node, one, threshold) {
  const state = node.querySelector(".state");
  const kind = one.alert ? "alert" : one.state;
  state.className = `state ${kind.replace(" ", "-")}`;
  set(state, one.alert ? `alert${one.state === "watched" ? "" : `, ${one.state}`}`
    : one.state + (one.reason ? `: ${one.reason}` : ""));
  const levels = one.levels.map(([, value]) => value);
  const most = Math.max(1, threshold, ...levels);
  const y = (value) => HEIGHT - 1 - (HEIGHT - 2) * value / most;
  const x = (place) => levels.length < 2 ? 0 : WIDTH * place / (levels.length - 1);
  const [line, trace] = node.querySelector("svg").children;
  for (const end of ["y1", "y2"]) line.setAttribute(end, y(threshold));
  trace.setAttribute("points", levels.map((value, place) => `${x(place)},${y(value)}`).join(" "));
  const now = levels.length ? levels[levels.length - 1] : null;
  node.querySelector("svg").setAttribute("aria-label", now === null ? "No level yet"
    : `Levels of the last ${count(levels.length, "clip")}: now ${level(now)}, highest `
      + `${level(Math.max(...levels))}, threshold ${level(threshold)}`);
  const [shown, behind, answered, dropped] = node.querySelectorAll(".number");
  set(shown, now === null ? "–" : level(now));
  set(behind, one.lag_s === null ? "–" : `${one.lag_s.toFixed(1)} s`);
  set(answered, String(one.num_answered));
  set(dropped, String(one.num_dropped));
}

function show(state) {
  const open = state.alerts.filter((one) => !one.closed_at);
  const lost = state.streams.filter((one) => one.state === "lost").length;
  set(at("summary"), `${count(open.length, "open alert")}; ${count(state.streams.length, "stream")}`
    + `, ${lost} lost.`);
  document.title = `${open.length ? `(${open.length}) ` : ""}Discern: streams`;
  const share = state.load.answered_share ?? 1, out = state.load.num_left_out ?? 0;
  warn(share < 1 || out ? `The machine is too slow: one of ${Math.round(1 / share)} clips is `
    + `answered, and ${count(out, "stream")} left out.` : "", "warning");
  at("no-alerts").hidden = state.alerts.length > 0;
  keyed(at("alerts"), state.alerts, (one) => one.alert, alertMade, alertFilled);
  at("matches-section").hidden = !state.matches.length;
  keyed(at("matches"), state.matches, (one) => `${one.time} ${one.item}`, () => made("li"),
    (node, one) => set(node, `${clock(one.time)}: ${one.stream} shows ${one.item}, known by its `
      + `${one.by}, from second ${one.start_s.toFixed(1)}`));
  keyed(at("streams"), state.streams, (one) => one.name, streamMade,
    (node, one) => streamFilled(node, one, state.threshold));
}

// Each kind of fault has a line of its own, so that none hides another.
function warn(text, place) {
  at(place).hidden = !text;
  set(at(place), text);
}

async function decide(alert, decision) {
  const who = at("who").value.trim();
  if (!who) {
    warn("Say who you are first.", "problem");
    at("who").focus();
    return;
  }
  localStorage.setItem("who", who);
  let said;
  try {
    const answer = await fetch(`/alerts/${encodeURIComponent(alert)}/decision`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ decision, who }),
    });
    said = answer.status === 401 ? { error: "load the page again, which asks for the token" }
      : await answer.json();
  } catch {
    said = { error: "the watch does not answer" };
  }
  warn(said.error ? `The decision was not kept: ${said.error}.` : "", "problem");
  if (!said.error) show(said);
}

// A name that somebody typed while this was loading stays.
at("who").value ||= localStorage.getItem("who") ?? "";
function follow() {
  const source = new EventSource("/events");
  source.addEventListener("state", (event) => {
    warn("", "connection");
    show(JSON.parse(event.data));
  });
  source.addEventListener("error", () => {
    warn("The watch does not answer, or too many read it; what is shown may be old. Load the page "
      + "again if this stays.", "connection");
    // A browser asks again by itself where the connection broke, and not where it was refused.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  });
}
follow();
