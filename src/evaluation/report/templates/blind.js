"use strict";

// The listening test: one trial after the other, in an order drawn for each participant.
const test = JSON.parse(document.getElementById("test-data").textContent);
const player = new Player();
const byId = (id) => document.getElementById(id);
const REFERENCE = "reference";
let session = null; // {participant, started, order, answers}
let place = 0; // in the order of trials
let trial = null; // what the answer to the present one needs
const storageKey = `listening-test-${test.test}`;

function shuffled(items) {
  const copy = [...items];
  for (let last = copy.length - 1; last > 0; last -= 1) {
    const other = crypto.getRandomValues(new Uint32Array(1))[0] % (last + 1);
    [copy[last], copy[other]] = [copy[other], copy[last]];
  }
  return copy;
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

// Answers outlive a closed window where the browser allows it.
function keep() {
  try {
    localStorage.setItem(storageKey, JSON.stringify(session));
  } catch {
    byId("status").textContent = "this browser keeps no answers: finish before you close it";
  }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(storageKey));
  } catch {
    return null;
  }
}

function start() {
  const participant = byId("participant").value.trim();
  if (!participant) {
    byId("participant").focus();
    return;
  }
  const old = kept();
  session =
    old?.participant === participant && !old.finished
      ? old
      : {
          test: test.test,
          kind: test.kind,
          participant,
          started: new Date().toISOString(),
          order: shuffled(test.trials.keys()),
          answers: [],
        };
  place = session.answers.length;
  byId("welcome").hidden = true;
  if (place < session.order.length) present();
  else finish();
}

async function present() {
  const index = session.order[place];
  const codes = shuffled(Object.keys(test.trials[index].stimuli));
  trial = { index, codes, shown: Date.now(), plays: 0, ratings: {}, answer: null, x: null };
  byId("trial").hidden = false;
  byId("trial-title").textContent = `${place + 1} of ${session.order.length}`;
  byId("next").disabled = true;
  const sounds = {};
  if (test.kind === "mushra") sounds[REFERENCE] = test.trials[index].reference;
  for (const code of codes) sounds[code] = test.trials[index].stimuli[code];
  if (test.kind === "abx") {
    trial.x = shuffled(codes)[0];
    sounds.x = sounds[trial.x];
  }
  byId("status").textContent = "loading";
  player.region = null;
  await player.load(sounds);
  player.select(Object.keys(sounds)[0]);
  repeat();
  byId("status").textContent = "";
  byId("position").max = player.duration;
  draw();
  tick();
}

function names() {
  if (test.kind === "abx") return [...trial.codes.map((code, i) => [code, "AB"[i]]), ["x", "X"]];
  return [[REFERENCE, "Reference"], ...trial.codes.map((code, i) => [code, `Version ${i + 1}`])];
}

function draw() {
  const rows = names().map(([name, label], index) => {
    const button = make("button", { type: "button", class: "hear", "data-name": name }, label, " ");
    button.append(make("kbd", {}, String(index + 1)));
    button.addEventListener("click", () => select(name));
    const row = make("div", { class: "scale" }, button);
    if (test.kind === "mushra" && name !== REFERENCE) row.append(...rating(name, label));
    return row;
  });
  if (test.kind === "abx") rows.push(question());
  byId("choices").replaceChildren(...rows);
  select(player.selected);
}

function rating(code, label) {
  const slider = make("input", {
    type: "range",
    min: "0",
    max: "100",
    step: "1",
    value: "50",
    "aria-label": `Quality of ${label}: 0 bad to 100 excellent`,
  });
  const shown = make("output", {}, "–");
  slider.addEventListener("input", () => {
    trial.ratings[code] = Number(slider.value);
    shown.textContent = slider.value;
    byId("next").disabled = Object.keys(trial.ratings).length < trial.codes.length;
  });
  return [slider, shown];
}

function question() {
  const group = make("fieldset", {}, make("legend", {}, "X is"));
  for (const [code, label] of names().slice(0, 2)) {
    const input = make("input", { type: "radio", name: "answer", value: code });
    input.addEventListener("change", () => {
      trial.answer = code;
      byId("next").disabled = false;
    });
    group.append(make("label", {}, input, ` ${label} `));
  }
  return group;
}

function next() {
  player.stop();
  const answer = { trial: trial.index, seconds: (Date.now() - trial.shown) / 1000, plays: trial.plays };
  if (test.kind === "mushra") answer.ratings = trial.ratings;
  else Object.assign(answer, { x: trial.x, answer: trial.answer });
  session.answers.push(answer);
  keep();
  place += 1;
  if (place < session.order.length) present();
  else finish();
}

function finish() {
  session.finished = new Date().toISOString();
  keep();
  byId("trial").hidden = true;
  byId("end").hidden = false;
  byId("save").focus();
}

function save() {
  const { order, ...answers } = session;
  const file = new Blob([JSON.stringify(answers, null, 1)], { type: "application/json" });
  const name = session.participant.replaceAll(/[^\p{L}\p{N}_-]/gu, "_");
  const link = make("a", { download: `answers_${test.test}_${name}.json`, href: URL.createObjectURL(file) });
  link.click();
}

function select(name) {
  player.select(name);
  for (const button of document.querySelectorAll(".hear")) {
    button.setAttribute("aria-pressed", String(button.dataset.name === name));
  }
}

function repeat() {
  player.repeat(byId("repeat").checked && player.duration ? [0, player.duration] : null);
}

function toggle() {
  if (!player.playing) trial.plays += 1;
  player.toggle();
  tick();
}

function move(time) {
  player.seek(time);
  tick();
}

function tick() {
  byId("position").value = player.position;
  byId("time").textContent = `${player.position.toFixed(1)} / ${player.duration.toFixed(1)} s`;
  byId("play").textContent = player.playing ? "Pause" : "Play";
  if (player.playing) requestAnimationFrame(tick);
}

document.addEventListener("keydown", (event) => {
  if (!trial || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.matches("input[type=text]")) return;
  if (event.key === " " && event.target.matches("button, input")) return;
  const chosen = names()[Number(event.key) - 1];
  if (chosen) select(chosen[0]);
  else if (event.key === " ") toggle();
  else if (event.key === "Home" && !event.target.matches("input[type=range]")) move(0);
  else return;
  event.preventDefault();
});

byId("start").addEventListener("click", start);
byId("participant").addEventListener("keydown", (event) => event.key === "Enter" && start());
byId("play").addEventListener("click", toggle);
byId("position").addEventListener("input", (event) => move(Number(event.target.value)));
byId("repeat").addEventListener("change", repeat);
byId("next").addEventListener("click", next);
byId("save").addEventListener("click", save);
player.ended = tick;
