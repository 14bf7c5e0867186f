// Signing in: by the providers that the server knows, and where it has it by the login of developers.

import { el, find, toast } from "./dom.js";
import { send } from "./http.js";
import * as session from "./session.js";
import { store, stored } from "./stored.js";

/** Where providers send the browser back to: the path of `redirect_url`. */
const BACK = "/signed-in";
const PROVIDER = "tributary.provider"; // { name, hash }, from the click to the way back

const title = (name) => name[0].toUpperCase() + name.slice(1);

function goTo(name) {
  store("sessionStorage", PROVIDER, { name, hash: location.hash });
  location.assign(`/v1/auth/${encodeURIComponent(name)}/login`);
}

/** Offers the ways in that the server has. */
export async function offer() {
  let ways;
  try {
    ways = (await send("GET", "/v1/auth/providers")).document;
  } catch (problem) {
    return toast(problem.message, { text: "Try again", run: offer, stays: true });
  }
  find("providers").replaceChildren(...ways.providers.map((name) =>
    el("button", { class: "secondary", type: "button", text: `Continue with ${title(name)}`, onclick: () => goTo(name) })));
  find("dev-login").hidden = !ways.dev;
  find("no-way-in").hidden = ways.dev || ways.providers.length > 0;
}

/** Ends a sign-in by a provider, where the browser comes back from one. The User, or null. */
export async function comeBack() {
  if (location.pathname !== BACK) return null;
  const query = location.search;
  const { name, hash } = stored("sessionStorage", PROVIDER) ?? { name: null, hash: "" };
  store("sessionStorage", PROVIDER, undefined);
  // The code is good for one use: it is taken off the address bar and out of the history first.
  history.replaceState(null, "", `/${hash}`);
  if (!name) {
    toast("This sign-in was not begun here. Try again.");
    return null;
  }
  try {
    return await session.signInBy(name, query);
  } catch (problem) {
    toast(`${title(name)} did not sign you in. ${problem.message}`);
    return null;
  }
}

/** Connects the page's elements; `done` is called with whoever has signed in. */
export function start(done) {
  find("dev-login").addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = find("dev-send");
    button.disabled = true;
    try {
      await done(await session.signIn(find("dev-handle").value.trim().replace(/^@/, ""), find("dev-operator").checked));
    } catch (problem) {
      toast(problem.status === 404 ? "Signing in by handle is switched off on this server." : problem.message);
    }
    button.disabled = false;
  });
}
