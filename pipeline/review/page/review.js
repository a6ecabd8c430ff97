"use strict";
const at = (id) => document.getElementById(id);
const made = (name, text = "") => {
  const node = document.createElement(name);
  node.textContent = text;
  return node;
};
const seconds = (value) => `${value.toFixed(2)} s`;
let who = "", task = null, before = null, skipped = [];
let film = null, frame = 0, timer = null, sound = null, ask = 0;

function warn(text) {
  at("problem").hidden = !text;
  at("problem").textContent = text;
}

async function post(path, values = {}) {
  let said, ok = false;
  try {
    const answer = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ who, ...values }),
    });
    ok = answer.ok;
    said = answer.status === 401 ? { error: "Load the page again, which asks for the token." }
      : await answer.json();
  } catch {
    ok = false;
    said = { error: "The review does not answer, and nothing was kept; is discern review serve still running?" };
  }
  warn(ok ? "" : said.error);
  if (said.shown) at("shown").textContent = said.shown;
  return ok ? said : null;
}

function hide() {
  ask += 1;
  clearInterval(timer);
  if (sound) sound.pause();
  film = timer = sound = null;
  at("player").hidden = true;
  at("picture").removeAttribute("src");
  at("strips").replaceChildren();
}

function open(said) {
  hide();
  task = said.task;
  at("task").hidden = !task;
  if (said.left !== undefined) {
    at("summary").textContent = task ? `${said.left} to decide.`
      : skipped.length ? "Nothing is left but what you skipped; begin again to see it."
        : "Nothing is left to decide.";
  }
  if (!task) return;
  at("decide").reset();
  at("task-id").textContent = task.id;
  at("brief").replaceChildren(...task.brief.map((line) => made("li", line)));
  at("moment").replaceChildren(...task.moments.map((one, number) => {
    const option = made("option", `${number + 1}: ${seconds(one.start_s)} to ${seconds(one.end_s)}`);
    option.value = number;
    return option;
  }));
  at("moments-line").hidden = task.moments.length < 2;
  at("stills").disabled = !task.has_stills;
  for (const id of ["play", "clear"]) at(id).disabled = !task.can_play;
  at("hear").disabled = !task.can_play || task.is_silent;
  at("before").disabled = !before;
  at("task-title").focus();
}

async function next() {
  const said = await post("/next", { skipped });
  if (said) open(said);
}

const path = (what) => `/tasks/${encodeURIComponent(task.name)}${what}`;

// What arrives once somebody has gone on, or cleared away, is not shown.
async function asked(what, values = {}) {
  const mine = ++ask;
  at("summary").textContent = "Looking it up …";
  const said = await post(path(what), values);
  if (mine !== ask) return null;
  at("summary").textContent = said ? "There it is." : "Nothing can be shown.";
  return said;
}

async function stills() {
  const said = await asked("/stills");
  if (!said) return;
  at("strips").replaceChildren(...said.pictures.map((one, number) => {
    const image = made("img");
    image.src = one;
    image.alt = `Three stills of part ${number + 1}, grey and blurred`;
    return image;
  }));
}

const moment = () => Number(at("moment").value) || 0;

async function play(kind) {
  const said = await asked(`/${kind}`, { moment: moment() });
  if (!said) return;
  film = { ...said, kind };
  at("picture").className = kind;
  at("player").hidden = false;
  run();
}

function run() {
  clearInterval(timer);
  frame = 0;
  draw();
  timer = setInterval(() => {
    if (frame + 1 >= film.pictures.length) {
      clearInterval(timer);
      timer = null;
    } else {
      frame += 1;
      draw();
    }
  }, 1000 / film.fps);
}

function draw() {
  at("picture").src = film.pictures[frame];
  at("picture").alt = `Picture at ${seconds(time())}, ${film.kind === "clear" ? "clear" : "grey and blurred"}`;
  at("time").textContent = seconds(time());
}

const time = () => film.start_s + frame / film.fps;

function step(by) {
  if (!film) return;
  clearInterval(timer);
  timer = null;
  frame = Math.min(Math.max(frame + by, 0), film.pictures.length - 1);
  draw();
}

async function hear() {
  const said = await asked("/sound", { moment: moment() });
  if (!said) return;
  if (sound) sound.pause();
  sound = new Audio(said.sound);
  if (film) run();
  await sound.play();
}

function mark() {
  if (!film) {
    warn("Play the seconds first, and stop at the discharge.");
    return;
  }
  const there = at("times").value.split(";").map((one) => one.trim()).filter(Boolean);
  at("times").value = [...new Set([...there, time().toFixed(4)])].join("; ");
  choose("discharge", "yes");
  at("summary").textContent = `A discharge at ${seconds(time())}.`;
}

function choose(name, value) {
  document.querySelector(`input[name=${name}][value=${value}]`).checked = true;
}

function chosen(name) {
  return document.querySelector(`input[name=${name}]:checked`)?.value ?? "";
}

async function decide() {
  const times = at("times").value.split(";").map((one) => one.trim()).filter(Boolean).map(Number);
  if (times.some((one) => !Number.isFinite(one))) {
    warn("A time is no number of seconds, such as 2.25.");
    at("times").focus();
    return;
  }
  const values = { origin: chosen("origin"), discharge: chosen("discharge"), discharges_s: times, note: at("note").value };
  const { name } = task;
  const said = await post(path("/decision"), values);
  // Enter may have been pressed twice.
  if (!said || task?.name !== name) return;
  at("last-section").hidden = !said.others.length;
  at("others").replaceChildren(...said.others.map((one) => made("li", one)));
  before = name;
  await next();
}

async function again() {
  if (!before) return;
  const said = await post(`/tasks/${encodeURIComponent(before)}`);
  before = null;
  if (said) open(said);
}

function skip() {
  skipped.push(task.name);
  return next();
}

const KEYS = {
  s: () => at("stills").click(), p: () => at("play").click(), u: () => at("clear").click(),
  h: () => at("hear").click(), c: () => at("hide").click(), m: mark, k: () => at("skip").click(),
  b: () => at("before").click(), ",": () => step(-1), ".": () => step(1),
  y: () => choose("discharge", "yes"), n: () => choose("discharge", "no"),
  x: () => choose("discharge", "unsure"),
  ...Object.fromEntries(["real", "game", "film", "generated", "unsure"]
    .map((one, number) => [String(number + 1), () => choose("origin", one)])),
};

document.addEventListener("keydown", (event) => {
  const writes = event.target.matches("input:not([type=radio]):not([type=checkbox]), select");
  if (!task || writes || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Enter" && !event.target.matches("button, select")) {
    event.preventDefault();
    decide();
  } else if (at("keys").checked && KEYS[event.key.toLowerCase()]) {
    event.preventDefault();
    KEYS[event.key.toLowerCase()]();
  }
});
at("begin").addEventListener("submit", (event) => {
  event.preventDefault();
  who = at("who").value.trim();
  localStorage.setItem("who", who);
  skipped = [];
  next();
});
at("decide").addEventListener("submit", (event) => {
  event.preventDefault();
  decide();
});
for (const [id, does] of [["stills", stills], ["play", () => play("protected")],
  ["clear", () => play("clear")], ["hear", hear], ["hide", hide], ["back", () => step(-1)],
  ["forth", () => step(1)], ["mark", mark], ["skip", skip], ["before", again]]) {
  at(id).addEventListener("click", does);
}
at("moment").addEventListener("change", () => { if (film) play(film.kind); });
// A name that somebody typed while this was loading stays.
at("who").value ||= localStorage.getItem("who") ?? "";
