// The operator's side: the engine's figures, the thresholds, and which authors are hot because of them.

import { bytes, el, find, micros, number, toast } from "./dom.js";
import { get, request } from "./api.js";

const PEOPLE = 300; // the demo has so many people; a larger setting widens the slider
const SLIDERS = [
  ["enter_followers", "Hot from", "followers", PEOPLE, 1],
  ["leave_followers", "Cools below", "followers", PEOPLE, 0],
  ["flush_max_age_ms", "Compact after", "s", 60, 0],
];

let tuning = null;
let etag = null;
let watched = []; // the cast
let authors = new Map(); // id -> author as operators see it
let turn = 0;

const percent = (rate) => (rate === null || rate === undefined ? "–" : `${Math.round(rate * 100)} %`);

/** The strip of figures. */
export async function pollStatus() {
  const status = await get("/v1/operator/status");
  const backlog = status.shards.reduce((sum, shard) => sum + shard.backlog_events, 0);
  const down = status.shards.filter((shard) => !shard.up).length;
  const figures = [
    ["log position", number(status.position)],
    ["ring", `${number(status.ring.entries)} posts, ${bytes(status.ring.bytes)}`],
    ["to compact", `${number(backlog)} events`],
    ["cache hits", status.caches.map((cache) => `${cache.name} ${percent(cache.hit_rate)}`).join(", ")],
  ];
  if (down) figures.push(["shards down", `${down} of ${status.shards.length}`]);
  if (status.h_us !== null) figures.push(["deliver one", micros(status.h_us)]);
  if (status.l_us !== null) figures.push(["merge one", micros(status.l_us)]);
  find("strip").replaceChildren(...figures.map(([name, value]) => el("div", {}, el("dt", { text: name }), el("dd", { text: value }))));
}

const shownValue = (name) => (name === "flush_max_age_ms" ? Math.round(tuning[name] / 1000) : tuning[name]);

function wanted() {
  const { version: _, ...settings } = tuning;
  for (const [name] of SLIDERS) {
    const value = Number(find(name).value);
    if (value !== shownValue(name)) settings[name] = name === "flush_max_age_ms" ? value * 1000 : value;
  }
  return settings;
}

/** Leave never stands above enter: whichever is dragged takes the other along. */
function dragged(name) {
  const [enter, leave] = [find("enter_followers"), find("leave_followers")];
  if (Number(leave.value) > Number(enter.value)) (name === "enter_followers" ? leave : enter).value = find(name).value;
  paintOutputs();
}

function paintOutputs() {
  for (const [name, , unit] of SLIDERS) find(`${name}-out`).textContent = `${number(find(name).value)} ${unit}`;
  paintAuthors();
}

function paintTuning() {
  for (const [name, , , max] of SLIDERS) {
    find(name).max = Math.max(max, shownValue(name));
    find(name).value = shownValue(name);
  }
  find("version").textContent = `Tuning version ${tuning.version}`;
  paintOutputs();
}

async function loadTuning() {
  const answer = await request("GET", "/v1/operator/tuning");
  [tuning, etag] = [answer.document, answer.etag];
  paintTuning();
}

/** Saves on release. Somebody else's newer version wins and is shown. */
async function save() {
  try {
    const answer = await request("PUT", "/v1/operator/tuning", { body: wanted(), headers: { "if-match": etag } });
    [tuning, etag] = [answer.document, answer.etag ?? `"${answer.document.version}"`];
    paintTuning();
    await Promise.all(watched.map(look));
  } catch (problem) {
    toast(problem.status === 412 ? "Somebody else changed the thresholds; these are theirs." : problem.message);
    await loadTuning().catch(() => {});
  }
}

async function look(user) {
  authors.set(user.id, await get(`/v1/operator/authors/${user.id}`));
  paintAuthors();
}

function paintAuthors() {
  if (!tuning) return;
  const list = find("authors");
  const shown = [...authors.values()].sort((a, b) => b.followers - a.followers);
  const [enter, leave] = ["enter_followers", "leave_followers"].map((name) => Number(find(name).value));
  const most = Math.max(1, ...shown.map((author) => author.followers)) * 1.05;
  const along = (count) => `${Math.min(100, (count / most) * 100)}%`;
  list.style.setProperty("--enter", along(enter));
  list.style.setProperty("--leave", along(leave));
  list.replaceChildren(...shown.map((author) => {
    const bar = el("span", { class: "bar" });
    bar.style.width = along(author.followers);
    const channel = author.channel === "pull" ? "hot" : "push";
    return el("li", { class: channel },
      el("span", { class: "handle", text: `@${author.handle}` }),
      el("span", { class: "channel", text: author.pin ? `${channel}, pinned` : channel }),
      el("span", { class: "track", "aria-hidden": "true" }, bar),
      el("span", { class: "amount", text: number(author.followers), title: "followers" }));
  }));
}

/** One author at a time, so that watching costs the engine little. */
export async function pollAuthors() {
  if (watched.length === 0) return;
  turn = (turn + 1) % watched.length;
  await look(watched[turn]);
}

/** Shows the operator's side with these authors under watch. */
export async function open(cast) {
  watched = cast;
  authors = new Map();
  // Whoever cannot be looked up now gets their turn later.
  await Promise.all([loadTuning(), pollStatus(), ...watched.map((user) => look(user).catch(() => {}))]);
}

/** Connects the page's elements. */
export function start() {
  find("tuning").append(...SLIDERS.map(([name, label, , max, min]) => el("div", { class: "slider" },
    el("label", { for: name, text: label }), el("output", { id: `${name}-out`, for: name }),
    el("input", { type: "range", id: name, min, max, step: 1, value: min, oninput: () => tuning && dragged(name), onchange: () => tuning && save() }))));
  find("tuning").addEventListener("submit", (event) => event.preventDefault());
}
