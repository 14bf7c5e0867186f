// Several tabs of one browser: they share a session, and the connections to the server.

import assert from "node:assert/strict";
import { Person, base, eventually, handle, loaded, scenario, signIn, withBrowser } from "./harness.mjs";

withBrowser();

const heading = (page, name) => page.getByRole("heading", { name, exact: true });
const signOut = (page) => page.getByRole("button", { name: "Sign out" }).click();

/** Another tab of this one's browser, with the same session. */
async function tabOf(page) {
  const tab = await page.context().newPage();
  await tab.goto("/");
  await loaded(tab, "home");
  return tab;
}

/** What the tabs have kept of a session: { token, user }. */
const kept = (page) => page.evaluate(async () => (await import("/kept.js")).read());

const refreshed = (token) => fetch(`${base}/v1/auth/refresh`, {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ refresh_token: token }),
});

scenario("signing out ends the session in every tab, with the newest token", async (world) => {
  const page = await world.signedIn(handle("ann"));
  const other = await tabOf(page);
  await other.getByLabel("Write a post").fill("not for ben");
  const { token } = await kept(page);
  await signOut(page);
  await heading(page, "Sign in").waitFor();
  await heading(other, "Sign in").waitFor();
  await eventually(async () => (await refreshed(token)).status === 401, "the end of the session");
  await signIn(other, handle("ben"));
  assert.equal(await other.getByLabel("Write a post").inputValue(), "");
});

scenario("whoever signs in takes the place of who was signed in in another tab", async (world) => {
  const [ann, ben] = [handle("ann"), handle("ben")];
  const first = await world.guest();
  const second = await first.context().newPage();
  await second.goto("/");
  await second.locator("#dev-login").waitFor();
  await signIn(first, ann);
  await signIn(second, ben);
  await first.locator("#account").getByText(`@${ben}`).waitFor();
  await loaded(first, "home");
  assert.equal(await second.locator("#account .handle").textContent(), `@${ben}`);
  const { token } = await kept(first);
  await signOut(first);
  await heading(second, "Sign in").waitFor();
  await eventually(async () => (await refreshed(token)).status === 401, "the end of ben's session");
});

scenario("a sign-out is known to a tab that was away, or put aside", async (world) => {
  const ann = handle("ann");
  const page = await world.signedIn(ann);
  const away = await tabOf(page);
  await away.goto("about:blank");
  await signOut(page);
  await heading(page, "Sign in").waitFor();
  await away.goto("/");
  await heading(away, "Sign in").waitFor();
  await signIn(away, ann);
  // A page that the browser has put aside whole is not told what other tabs write, as one's own tab is not.
  await away.evaluate(() => {
    localStorage.removeItem("tributary.signed-in");
    dispatchEvent(new PageTransitionEvent("pageshow", { persisted: true }));
  });
  await heading(away, "Sign in").waitFor();
});

scenario("a tab without a session leaves that of the others alone", async (world) => {
  const guest = await world.guest();
  await guest.locator("#dev-login").waitFor();
  const page = await guest.context().newPage();
  await page.goto("/");
  await signIn(page, handle("ann"));
  const status = await guest.evaluate(async () => (await import("/session.js")).get("/v1/me").catch((problem) => problem.status));
  assert.equal(status, 401);
  assert.notEqual(await kept(page), undefined);
  await tabOf(page);
  assert.equal(await heading(page, "Home").isVisible(), true);
});

scenario("what was offered to somebody is not offered to whoever comes next", async (world) => {
  const ben = await Person.signIn(handle("ben"));
  const page = await world.signedIn(handle("ann"));
  await page.goto(`/#/@${ben.handle}`);
  await page.getByRole("button", { name: `Mute @${ben.handle}`, exact: true }).click();
  await page.getByRole("button", { name: "Undo" }).waitFor();
  await signOut(page);
  await heading(page, "Sign in").waitFor();
  assert.equal(await page.getByRole("button", { name: "Undo" }).count(), 0);
});

scenario("a renewal that hangs in another tab does not keep one from signing out", async (world) => {
  const page = await world.signedIn(handle("ann"));
  const { token } = await kept(page);
  let asked = 0;
  await page.context().route("**/v1/auth/refresh", () => { asked += 1; }); // which is never answered
  const tab = await page.context().newPage();
  await tab.goto("/");
  await eventually(() => asked === 1, "the renewal");
  await signOut(page);
  await heading(page, "Sign in").waitFor({ timeout: 5000 });
  assert.equal(await page.locator("#account .handle").count(), 0);
  await tab.close(); // and gives back the lock
  await eventually(async () => (await kept(page)) === undefined, "the end of the session");
  await eventually(async () => (await refreshed(token)).status === 401, "its end at the server");
});

scenario("a tab has a stream only while it is seen, and half a minute more", async (world) => {
  const ann = handle("ann");
  const ben = await Person.signIn(handle("ben"));
  await (await Person.signIn(ann)).follow(ben);
  const context = await world.context();
  await context.addInitScript(() => {
    let hidden = true; // opened in the background
    Object.defineProperty(Document.prototype, "hidden", { get: () => hidden });
    window.beSeen = (seen) => {
      hidden = !seen;
      document.dispatchEvent(new Event("visibilitychange"));
    };
  });
  const page = await context.newPage();
  const [opened, ended] = [[], []];
  const streams = (to) => (request) => request.url().endsWith("/v1/feed/live") && to.push(request);
  page.on("request", streams(opened));
  page.on("requestfailed", streams(ended));
  await page.clock.install();
  await page.goto("/");
  await signIn(page, ann);
  await page.evaluate(() => dispatchEvent(new Event("online")));
  await ben.post("said meanwhile");
  await new Promise((done) => setTimeout(done, 500));
  assert.equal(opened.length - ended.length, 0, "nobody looks");
  await page.evaluate(() => beSeen(true));
  await page.getByRole("button", { name: "1 new post" }).waitFor();
  assert.equal(opened.length - ended.length, 1);
  await page.evaluate(() => beSeen(false));
  await page.clock.fastForward(20_000);
  await page.evaluate(() => beSeen(true));
  await page.clock.fastForward(20_000);
  assert.equal(opened.length - ended.length, 1, "it was seen meanwhile");
  await ben.post("a sign of life"); // for by the clock of the page the stream has been silent for long
  await page.getByRole("button", { name: "2 new posts" }).waitFor();
  await page.evaluate(() => beSeen(false));
  await page.clock.fastForward(31_000);
  await eventually(() => opened.length === ended.length, "the end of the stream");
});
