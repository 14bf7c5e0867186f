// The page: which view is shown, and to whom.

import { el, find, toast, withdraw } from "./dom.js";
import { reach } from "./http.js";
import * as compose from "./compose.js";
import * as home from "./home.js";
import * as keys from "./keys.js";
import * as operator from "./operator.js";
import * as people from "./people.js";
import * as person from "./person.js";
import * as popular from "./popular.js";
import * as posts from "./posts.js";
import * as relations from "./relations.js";
import * as session from "./session.js";
import * as signingIn from "./signing-in.js";

const NAME = "Tributary";
const TICK_MS = 30_000;
/** The views with an address of their own, and their titles. People and engine stand beside home where there is room. */
const VIEWS = { home: "Home", popular: "Popular", hidden: "Muted and blocked", people: "People", engine: "Engine" };

let shows = 0;
const sections = Object.fromEntries([...document.querySelectorAll("main > section")].map((section) => [section.id, section]));

/** What the address says: `#/popular`, `#/@handle`, `#/@handle/followers`. */
function address() {
  const [, first = "", list] = location.hash.split("/");
  if (first.startsWith("@")) return { view: "person", handle: first.slice(1), list: ["followers", "following"].includes(list) ? list : "posts" };
  return { view: Object.hasOwn(VIEWS, first) ? first : "home" };
}

/** The section of a view. Guests sign in first, for all but what is popular. */
function sectionOf(view) {
  if (!session.user() && view !== "popular") return "sign-in";
  return ["people", "engine"].includes(view) ? "home" : view;
}

/** Shows what the address says. `moved`: somebody went there, so the keyboard goes too. */
async function show(moved) {
  const mine = (shows += 1);
  const { view, handle, list } = address();
  const name = sectionOf(view);
  const before = sections[document.body.dataset.section];
  if (before) before.dataset.place = scrollY;
  for (const section of Object.values(sections)) section.hidden = section.id !== name && !(name === "sign-in" && section.id === "popular");
  Object.assign(document.body.dataset, { view, section: name });
  document.title = `${handle ? `@${handle}` : VIEWS[view]} · ${NAME}`;
  home.paintBar();
  for (const link of document.querySelectorAll(".views a")) {
    if (link.hash === (location.hash || "#/")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name === "person") {
    try {
      await person.open(handle, list);
    } catch (problem) {
      if (mine !== shows) return;
      person.close();
      find("person-title").textContent = problem.status === 404 ? "There is nobody with this handle." : problem.message;
    }
  } else person.close();
  if (name === "hidden") person.openHidden();
  if (!moved || mine !== shows) return;
  const kept = ["home", "popular"].includes(name);
  scrollTo(0, kept ? Number(sections[name].dataset.place ?? 0) : 0);
  const heading = ["people", "engine"].includes(view) ? find(view) : sections[name].querySelector("h2");
  heading.focus({ preventScroll: true });
}

/** The way to where one is already: from the top, with what is new. */
function again() {
  scrollTo(0, 0);
  const { view } = address();
  if (view === "popular") popular.open();
  else if (view === "home" && home.hasNews()) home.reveal();
}

function paintAccount(user) {
  const parts = user === null
    ? [el("a", { class: "primary small", href: "#/", text: "Sign in" })]
    : [el("a", { class: "handle", href: `#/@${user.handle}`, text: `@${user.handle}` }),
      el("button", { class: "secondary small", type: "button", text: "Sign out", onclick: leave })];
  find("account").replaceChildren(...parts);
}

async function leave() {
  const gone = session.signOut();
  compose.clear();
  location.hash = "#/";
  await enter(null, true);
  await gone;
}

/** Opens the page for this User, or for a guest. `moved`: it was asked for, so the keyboard goes there. */
async function enter(user, moved) {
  for (const section of Object.values(sections)) delete section.dataset.place;
  document.body.classList.toggle("signed-in", user !== null);
  paintAccount(user);
  for (const part of [home, popular, relations]) part.close();
  withdraw();
  posts.forget();
  people.open(user);
  if (user) compose.open(user);
  await operator.open();
  if (user === null) {
    await Promise.all([show(moved), signingIn.offer(), popular.open()]);
    return;
  }
  const known = relations.open(user).catch((problem) => toast(problem.message));
  await Promise.all([show(moved), home.open(), people.showMe(), popular.open(), known]);
}

/** Goes on with the session of before. While it cannot be asked for one is a guest, and is offered to try again. */
async function begin() {
  try {
    await enter((await signingIn.comeBack()) ?? (await session.resume()));
  } catch (problem) {
    const entered = enter(null);
    toast(problem.message, { text: "Try again", run: begin, stays: true });
    addEventListener("online", beginAgain, { once: true });
    await entered;
  }
}

const beginAgain = () => session.user() || begin();

function startConnection() {
  const words = find("offline");
  const paint = (lost) => {
    const away = session.user() ? "The server cannot be reached. Trying again." : "The server cannot be reached.";
    const said = !navigator.onLine ? "You are offline. What you see may be old." : lost ? away : "";
    if (words.textContent !== said) words.textContent = said;
  };
  reach.addEventListener("lost", () => paint(true));
  reach.addEventListener("found", () => paint(false));
  addEventListener("online", () => paint(false));
  addEventListener("offline", () => paint(true));
}

history.scrollRestoration = "manual";
for (const part of [session, home, people, operator, compose, keys]) part.start();
signingIn.start((user) => enter(user, true));
startConnection();
session.events.addEventListener("end", () => {
  enter(null);
  toast("Your session has ended. Sign in again.");
});
relations.events.addEventListener("change", ({ detail }) => {
  home.relationChanged(detail);
  person.relationChanged(detail);
  if (detail.kind !== "mutes") people.showMe();
});
addEventListener("hashchange", () => show(true));
for (const link of document.querySelectorAll(".top a")) {
  link.addEventListener("click", () => link.hash === (location.hash || "#/") && again());
}
find("skip").addEventListener("click", (event) => {
  event.preventDefault(); // the address is that of a view
  find("main").focus();
});
setInterval(() => document.hidden || posts.tick(), TICK_MS);
find("starting").remove(); // where one module is missing, none runs, and it stays
begin();
