"use strict";

// The listening section: a sortable list of utterances, one row per signal with its spectrogram.
const data = JSON.parse(document.getElementById("listening-data").textContent);
const player = new Player();
const byId = (id) => document.getElementById(id);
const signals = data.signals; // [{name, label}], the order of the keys 1 to 9
let current = null; // index into data.utterances
let view = "levels";
let order = data.utterances.map((_, index) => index);
let sorting = { column: "difference", descending: true };

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

function show(value, digits = 2) {
  return value === null || value === undefined ? "–" : value.toFixed(digits);
}

function metric() {
  return data.metrics[Number(byId("metric").value)];
}

// What the list shows in a column for an utterance: a system's score, or the spread of them.
function cell(utterance, column) {
  const scores = utterance.scores[metric().name] ?? {};
  if (column === "id") return utterance.id;
  if (column === "condition") return utterance.condition;
  if (column !== "difference") return scores[column] ?? null;
  const values = data.systems.map((name) => scores[name]).filter((value) => value != null);
  return values.length > 1 ? Math.max(...values) - Math.min(...values) : null;
}

function compare(a, b) {
  if (a === null || b === null) return (a === null) - (b === null) || 0; // missing ones last
  const sign = sorting.descending ? -1 : 1;
  if (typeof a === "number") return sign * (a - b);
  return sign * a.localeCompare(b, undefined, { numeric: true });
}

function drawList() {
  order = data.utterances.map((_, index) => index);
  order.sort((i, j) =>
    compare(cell(data.utterances[i], sorting.column), cell(data.utterances[j], sorting.column)),
  );
  const columns = [
    ["id", "utterance"],
    ["condition", "condition"],
    ...data.rated.map((name) => [name, name]),
    ...(data.systems.length > 1 ? [["difference", "largest difference"]] : []),
  ];
  const head = make("tr");
  for (const [column, label] of columns) {
    const sorted = sorting.column === column;
    const button = make("button", { type: "button", class: "sort" }, label);
    button.append(sorted ? (sorting.descending ? " ▼" : " ▲") : "");
    button.addEventListener("click", () => {
      const worstFirst = !metric().higher_is_better;
      const first = column === "difference" || (data.rated.includes(column) && worstFirst);
      sorting = { column, descending: sorted ? !sorting.descending : first };
      drawList();
      [...byId("utterances").tHead.querySelectorAll("button")]
        .find((one) => one.textContent.startsWith(label))
        ?.focus();
    });
    const state = sorted ? (sorting.descending ? "descending" : "ascending") : "none";
    head.append(make("th", { scope: "col", "aria-sort": state }, button));
  }
  const rows = order.map((index) => {
    const utterance = data.utterances[index];
    const row = make("tr", index === current ? { "aria-current": "true" } : {});
    for (const [column] of columns) {
      const value = cell(utterance, column);
      if (column === "id") {
        const pick = make("button", { type: "button", class: "pick" }, utterance.id);
        pick.addEventListener("click", () => open(index));
        row.append(make("th", { scope: "row" }, pick));
      } else if (column === "condition") row.append(make("td", {}, value));
      else row.append(make("td", { class: "number" }, show(value, metric().digits)));
    }
    return row;
  });
  byId("utterances").tHead.replaceChildren(head);
  byId("utterances").tBodies[0].replaceChildren(...rows);
}

// One row per signal: the button that lets it through, its scores, its spectrogram.
function drawSignals() {
  const utterance = data.utterances[current];
  const rows = signals.map(({ name, label }, place) => {
    const input = make("input", { type: "radio", name: "signal", value: name });
    input.checked = name === player.selected;
    input.addEventListener("change", () => select(name));
    const key = place < 9 ? make("kbd", {}, String(place + 1)) : "";
    const title = make("label", { class: "title" }, input, " ", label, " ", key);
    const scores = data.metrics
      .filter((one) => utterance.scores[one.name]?.[name] != null)
      .map((one) => `${one.label} ${show(utterance.scores[one.name][name], one.digits)}`)
      .join(" · ");
    const pictured = view === "differences" && utterance.differences[name];
    const source = pictured ? utterance.differences[name] : utterance.levels[name];
    const what = pictured ? "difference to the clean speech" : "spectrogram";
    const image = make("img", {
      src: `data:image/png;base64,${source}`,
      alt: `${what} of ${label}, 0 to ${data.top_khz} kHz over ${show(utterance.duration)} s`,
    });
    const plot = make("div", { class: "plot" }, image, phones(utterance), make("i", { class: "head" }));
    plot.addEventListener("click", (event) => {
      const box = plot.getBoundingClientRect();
      move(((event.clientX - box.left) / box.width) * utterance.duration);
    });
    const axis = make("div", { class: "axis", "aria-hidden": "true" });
    axis.append(make("span", {}, `${data.top_khz} kHz`), make("span", {}, "0"));
    return make(
      "li",
      { class: name === player.selected ? "signal chosen" : "signal", "data-signal": name },
      make("div", { class: "caption" }, title, make("small", {}, scores)),
      make("div", { class: "picture" }, axis, plot),
    );
  });
  byId("signals").replaceChildren(...rows);
}

function phones(utterance) {
  const layer = make("div", { class: "phones", "aria-hidden": "true" });
  if (!byId("show-phones").checked) return layer;
  for (const [start, end, phone] of utterance.phones) {
    const left = (100 * start) / utterance.duration;
    const width = (100 * (end - start)) / utterance.duration;
    layer.append(make("span", { style: `left:${left}%;width:${width}%` }, phone));
  }
  return layer;
}

async function open(index) {
  const utterance = data.utterances[index];
  current = index;
  byId("player").hidden = false;
  byId("heading").textContent = utterance.id;
  byId("details").textContent = [utterance.condition, utterance.transcript].filter(Boolean).join(" · ");
  drawList();
  player.region = null;
  byId("repeat").checked = false;
  byId("status").textContent = "loading";
  await player.load(utterance.sounds);
  if (current !== index) return; // another one was picked meanwhile
  byId("status").textContent = "";
  byId("position").max = player.duration;
  drawSignals();
  tick();
}

function select(name) {
  player.select(name);
  for (const row of byId("signals").children) {
    const chosen = row.dataset.signal === name;
    row.classList.toggle("chosen", chosen);
    row.querySelector("input").checked = chosen;
  }
}

function move(time) {
  player.seek(time);
  tick();
}

function toggle() {
  player.toggle();
  tick();
}

// Show the position of the player; repeats itself while it plays.
function tick() {
  const position = player.position;
  byId("position").value = position;
  byId("time").textContent = `${show(position)} / ${show(player.duration)} s`;
  byId("play").textContent = player.playing ? "Pause" : "Play";
  const left = `${player.duration ? (100 * position) / player.duration : 0}%`;
  for (const head of document.querySelectorAll(".head")) head.style.left = left;
  if (player.playing) requestAnimationFrame(tick);
}

function step(by) {
  const place = order.indexOf(current);
  const next = order[Math.min(Math.max(place + by, 0), order.length - 1)];
  if (next !== current) open(next);
}

const KEYS = {
  " ": toggle,
  ArrowLeft: () => move(player.position - 0.5),
  ArrowRight: () => move(player.position + 0.5),
  Home: () => move(0),
  n: () => step(1),
  p: () => step(-1),
  d: () => byId("view").click(),
};

document.addEventListener("keydown", (event) => {
  if (current === null || event.ctrlKey || event.metaKey || event.altKey) return;
  const place = event.target;
  if (place.matches("select, input[type=range], input[type=text]")) return;
  if (event.key === " " && place.matches("button, input, summary")) return;
  const radio = place.matches("input[type=radio]");
  if (radio && event.key.startsWith("Arrow")) return; // they move between the signals
  const number = Number(event.key);
  if (number >= 1 && number <= signals.length) select(signals[number - 1].name);
  else if (Object.hasOwn(KEYS, event.key)) KEYS[event.key]();
  else return;
  event.preventDefault();
});

byId("play").addEventListener("click", toggle);
byId("position").addEventListener("input", (event) => move(Number(event.target.value)));
byId("metric").addEventListener("change", drawList);
byId("show-phones").addEventListener("change", drawSignals);
byId("view").addEventListener("click", () => {
  view = view === "levels" ? "differences" : "levels";
  byId("view").setAttribute("aria-pressed", String(view === "differences"));
  drawSignals();
  tick();
});
byId("repeat").addEventListener("change", (event) => {
  const from = player.position;
  const region = [Math.max(0, from - 0.5), Math.min(player.duration, from + 0.5)];
  player.repeat(event.target.checked ? region : null);
  tick();
});
player.ended = tick;
if (data.utterances.length) {
  drawList();
  open(order[0]);
}
