// Signing in and out, and sessions that go on.

import assert from "node:assert/strict";
import { Person, base, eventually, handle, loaded, scenario, signIn, withBrowser } from "./harness.mjs";

withBrowser();

const heading = (page, name) => page.getByRole("heading", { name, exact: true });

scenario("a developer signs in by handle, stays signed in over a reload, and signs out", async (world) => {
  const ann = handle("ann");
  const page = await world.guest();
  await heading(page, "Sign in").waitFor();
  await signIn(page, ann);
  assert.equal(await page.evaluate(() => document.activeElement.id), "home-title", "the keyboard is where one arrived");
  await page.reload();
  await heading(page, "Home").waitFor();
  await page.locator("#account").getByText(`@${ann}`).waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.length), 0, "the access token is in memory only");
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Sign in").waitFor();
  assert.equal(await page.locator("#home-list .post").count(), 0);
  await page.reload();
  await heading(page, "Sign in").waitFor();
});

scenario("what is refused at the sign-in is told", async (world) => {
  world.allow(/\/v1\/auth\/dev$/);
  const page = await world.guest();
  await page.getByLabel("Handle", { exact: true }).fill("Not A Handle");
  await page.locator("#dev-send").click();
  assert.equal(await page.locator("#dev-handle:invalid").count(), 1);
  await page.route("**/v1/auth/dev", (route) => route.fulfill({
    status: 422, contentType: "application/problem+json", body: JSON.stringify({ title: "Unprocessable", detail: "not this one", code: "bad_handle" }),
  }));
  await page.getByLabel("Handle", { exact: true }).fill(handle("ann"));
  await page.locator("#dev-send").click();
  await page.getByText("not this one").waitFor();
});

/** A stand-in for refresh tokens: each is good for one use, and the access tokens are real. */
async function withRefresh(context, name, expiresIn) {
  const server = { spent: [], reused: 0, loggedOut: [], next: 1, down: false };
  const tokens = async () => {
    const { tokens } = await Person.signIn(name);
    return { ...tokens, expires_in: expiresIn(), refresh_token: `r${server.next++}` };
  };
  const json = (route, status, body) => route.fulfill({ status, contentType: "application/json", body: JSON.stringify(body) });
  await context.route("**/v1/auth/dev", async (route) => json(route, 200, await tokens()));
  await context.route("**/v1/auth/refresh", async (route) => {
    const { refresh_token: token } = route.request().postDataJSON();
    if (server.down) return route.abort();
    if (server.spent.includes(token)) server.reused += 1;
    if (server.spent.includes(token) || server.loggedOut.includes(token)) return json(route, 401, { detail: "spent" });
    server.spent.push(token);
    return json(route, 200, await tokens());
  });
  await context.route("**/v1/auth/logout", (route) => {
    server.loggedOut.push(route.request().postDataJSON().refresh_token);
    return route.fulfill({ status: 204 });
  });
  return server;
}

scenario("tokens are renewed before they expire, and each refresh token is used once over all tabs", async (world) => {
  world.allow(/\/v1\/feed\/live$/);
  const ann = handle("ann");
  const context = await world.context();
  // Without a stream the tabs ask again and again; and streams of so many tabs would take all connections of a browser.
  await context.route("**/v1/feed/live", (route) => route.fulfill({ status: 404, contentType: "application/problem+json", body: "{}" }));
  let seconds = 900;
  const server = await withRefresh(context, ann, () => seconds);
  const first = await context.newPage();
  await first.goto("/");
  await signIn(first, ann);
  assert.deepEqual(server.spent, []);
  // Tabs that are opened have no access token; all of them ask at once.
  const tabs = await Promise.all([1, 2, 3, 4].map(() => context.newPage()));
  seconds = 4;
  await Promise.all(tabs.map((tab) => tab.goto("/")));
  await Promise.all(tabs.map((tab) => loaded(tab, "home")));
  assert.ok(server.spent.length >= 4, `${server.spent}`);
  // From now on tokens are short-lived, so what goes on in the tabs renews it again and again.
  await eventually(() => server.spent.length >= 8, "a renewal");
  assert.equal(server.reused, 0);
  assert.equal(new Set(server.spent).size, server.spent.length);
  for (const tab of tabs) assert.equal(await heading(tab, "Home").isVisible(), true);
});

scenario("a token that is refused is renewed once, and what was asked for is done", async (world) => {
  world.allow(/\/v1\/(posts|feed)/);
  const ann = handle("ann");
  const context = await world.context();
  const server = await withRefresh(context, ann, () => 900);
  const page = await context.newPage();
  await page.goto("/");
  await signIn(page, ann);
  let refused = 0;
  await page.route("**/v1/posts", (route) => {
    refused += 1;
    return refused > 1 ? route.continue() : route.fulfill({ status: 401, contentType: "application/problem+json", body: "{}" });
  });
  await page.getByLabel("Write a post").fill("said in spite of it");
  await page.getByRole("button", { name: "Post", exact: true }).click();
  await page.locator("#home-list").getByText("said in spite of it").waitFor();
  assert.deepEqual([refused, server.spent.length], [2, 1]);
});

scenario("a session that has ended says so, and one signs in again", async (world) => {
  world.allow(/\/v1\/(auth|feed|posts)/);
  const ann = handle("ann");
  const context = await world.context();
  const server = await withRefresh(context, ann, () => 900);
  const page = await context.newPage();
  await page.goto("/");
  await signIn(page, ann);
  server.spent.push("r1"); // as if somebody else had used it
  await page.route("**/v1/posts", (route) => route.fulfill({ status: 401, contentType: "application/problem+json", body: "{}" }));
  await page.getByLabel("Write a post").fill("too late");
  await page.getByRole("button", { name: "Post", exact: true }).click();
  await page.locator("#toasts").getByText("Your session has ended. Sign in again.").first().waitFor();
  await heading(page, "Sign in").waitFor();
  assert.equal(await page.evaluate(() => localStorage.getItem("tributary.signed-in")), null);
  await signIn(page, ann);
});

scenario("signing out ends the session in every tab", async (world) => {
  world.allow(/\/v1\/auth/);
  const ann = handle("ann");
  const context = await world.context();
  const server = await withRefresh(context, ann, () => 900);
  const page = await context.newPage();
  await page.goto("/");
  await signIn(page, ann);
  const other = await context.newPage();
  await other.goto("/");
  await loaded(other, "home");
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(other, "Sign in").waitFor();
  assert.deepEqual(server.loggedOut, ["r2"], "the newest token");
});

scenario("a server that is away ends no session", async (world) => {
  world.allow(/\/v1\/auth\/refresh$/);
  const ann = handle("ann");
  const context = await world.context();
  const server = await withRefresh(context, ann, () => 900);
  const page = await context.newPage();
  await page.goto("/");
  await signIn(page, ann);
  server.down = true;
  const tab = await context.newPage();
  await tab.goto("/");
  await tab.locator("#toasts").getByText("The server cannot be reached.").waitFor();
  server.down = false;
  await tab.getByRole("button", { name: "Try again" }).click();
  await loaded(tab, "home");
});

scenario("a provider signs one in, and its code does not stay in the address", async (world) => {
  const ann = handle("ann");
  const context = await world.context();
  await context.route("**/v1/auth/providers", (route) => route.fulfill({ json: { dev: false, providers: ["google", "github"] } }));
  await context.route("**/v1/auth/google/login", (route) =>
    route.fulfill({ status: 302, headers: { location: `${base}/signed-in?code=c%2B1&state=s` } }));
  let asked;
  await context.route("**/v1/auth/google/callback?*", async (route) => {
    asked = new URL(route.request().url()).search;
    await route.fulfill({ json: (await Person.signIn(ann)).tokens });
  });
  const page = await context.newPage();
  await page.goto("/#/popular");
  await page.getByRole("link", { name: "Sign in" }).click();
  await page.getByRole("button", { name: "Continue with Github" }).waitFor();
  assert.equal(await page.locator("#dev-login").isVisible(), false);
  await page.getByRole("button", { name: "Continue with Google" }).click();
  await page.locator("#account").getByText(`@${ann}`).waitFor();
  assert.equal(asked, "?code=c%2B1&state=s");
  assert.equal(page.url(), `${base}/#/`);
});

scenario("a provider's refusal is told, and a way back that nobody began does nothing", async (world) => {
  world.allow(/\/v1\/auth\/google\/callback/);
  const context = await world.context();
  await context.route("**/v1/auth/providers", (route) => route.fulfill({ json: { dev: false, providers: ["google"] } }));
  await context.route("**/v1/auth/google/login", (route) =>
    route.fulfill({ status: 302, headers: { location: `${base}/signed-in?error=access_denied&state=s` } }));
  await context.route("**/v1/auth/google/callback?*", (route) =>
    route.fulfill({ status: 403, contentType: "application/problem+json", body: JSON.stringify({ detail: "the provider let nobody in" }) }));
  const page = await context.newPage();
  await page.goto("/");
  await page.getByRole("button", { name: "Continue with Google" }).click();
  await page.getByText("Google did not sign you in. the provider let nobody in").waitFor();
  await page.goto("/signed-in?code=stolen&state=x");
  await page.getByText("This sign-in was not begun here.").waitFor();
  assert.equal(page.url(), `${base}/`);
});

scenario("the server's own refresh tokens carry a session into another tab, and out of it", async (world, t) => {
  const post = (where, body) => fetch(base + where, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  if ((await post("/v1/auth/refresh", {})).status === 404) return t.skip("this server has no refresh tokens");
  const ann = handle("ann");
  const page = await world.signedIn(ann);
  const kept = () => page.evaluate(async () => (await (await import("/kept.js")).read()).token);
  const before = await kept();
  const tab = await page.context().newPage();
  await tab.goto("/");
  await loaded(tab, "home");
  const now = await kept();
  assert.notEqual(now, before);
  await tab.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Sign in").waitFor();
  assert.equal((await eventually(async () => {
    const answer = await post("/v1/auth/refresh", { refresh_token: now });
    return answer.status === 401 && answer;
  }, "the end of the family")).status, 401);
});
