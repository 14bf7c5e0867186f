// Signing in and out, and sessions that go on.

import assert from "node:assert/strict";
import { Person, base, brief, eventually, handle, loaded, scenario, signIn, texts, withBrowser } from "./harness.mjs";

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
  const ann = handle("ann");
  const context = await world.context();
  // Streams that end at once are asked for again and again; and such as stay would take all connections of a browser.
  await context.route("**/v1/feed/live", (route) => route.fulfill({ contentType: "text/event-stream", body: "retry: 1000\n\n" }));
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

scenario("a session that has ended says so, and one signs in again to what one had written", async (world) => {
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
  const text = page.getByLabel("Write a post");
  assert.equal(await text.inputValue(), "too late");
  assert.equal(await page.getByRole("button", { name: "Post", exact: true }).isEnabled(), true);
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Sign in").waitFor();
  assert.equal(await text.inputValue(), "", "who signs out leaves nothing");
});

scenario("a server that is away ends no session, and one is offered to try again for as long as it takes", async (world) => {
  world.allow(/\/v1\//);
  const ann = handle("ann");
  const context = await world.context();
  const server = await withRefresh(context, ann, () => 900);
  const page = await context.newPage();
  await page.goto("/");
  await signIn(page, ann);
  server.down = true;
  const tab = await context.newPage();
  await tab.clock.install();
  await tab.goto("/");
  const told = tab.locator("#toasts").getByText("The server cannot be reached.");
  await told.waitFor();
  await tab.clock.fastForward(60_000);
  assert.equal(await told.isVisible(), true);
  server.down = false;
  await tab.getByRole("button", { name: "Try again" }).click();
  await loaded(tab, "home");
  const other = await context.newPage();
  await other.route("**/v1/**", (route) => route.abort());
  await other.goto("/");
  await other.locator("#toasts button").waitFor();
  assert.equal(await other.locator("#offline").textContent(), "The server cannot be reached.", "and nothing is tried by itself");
  await other.unroute("**/v1/**");
  await other.evaluate(() => dispatchEvent(new Event("online")));
  await loaded(other, "home");
  assert.equal(await other.locator("#toasts button").count(), 0, "there is nothing to try again");
});

scenario("a server that is away in the middle of a session ends none", async (world) => {
  world.allow(/\/v1\/(auth\/refresh|posts)$/);
  const ann = handle("ann");
  const context = await world.context();
  const server = await withRefresh(context, ann, () => 900);
  const page = await context.newPage();
  await page.goto("/");
  await signIn(page, ann);
  await page.route("**/v1/posts", (route) =>
    server.spent.length ? route.continue() : route.fulfill({ status: 401, contentType: "application/problem+json", body: "{}" }));
  server.down = true;
  await page.getByLabel("Write a post").fill("in the end");
  const send = page.getByRole("button", { name: "Post", exact: true });
  await send.click();
  await page.locator("#toasts").getByText("The server cannot be reached.").waitFor();
  assert.equal(await heading(page, "Home").isVisible(), true);
  server.down = false;
  await send.click();
  await page.locator("#home-list").getByText("in the end").waitFor();
  assert.deepEqual([server.spent, server.reused], [["r1"], 0]);
});

scenario("a renewal that comes too soon is repeated, for nothing was spent", async (world) => {
  world.allow(/\/v1\/auth\/refresh$/);
  const page = await world.signedIn(handle("ann"));
  let asked = 0;
  await page.context().route("**/v1/auth/refresh", (route) => {
    asked += 1;
    const limited = { status: 429, headers: { "retry-after": "1" }, contentType: "application/problem+json", body: JSON.stringify({ detail: "too often" }) };
    return asked === 1 ? route.fulfill(limited) : route.continue();
  });
  const tab = await page.context().newPage();
  await tab.goto("/");
  await loaded(tab, "home");
  assert.equal(asked, 2);
});

scenario("a server that never answers is told after a while", async (world) => {
  const page = await world.signedIn(handle("ann"));
  await page.context().route("**/v1/auth/refresh", () => {}); // which is never answered
  await page.context().addInitScript(() => {
    const limit = AbortSignal.timeout.bind(AbortSignal);
    AbortSignal.timeout = (ms) => limit(ms / 10);
  });
  const tab = await page.context().newPage();
  await tab.goto("/");
  await tab.locator("#toasts").getByText("The server cannot be reached.").waitFor();
  await page.context().unrouteAll();
  await tab.getByRole("button", { name: "Try again" }).click();
  await loaded(tab, "home");
});

scenario("a spent token does not stay where its successor could not be kept, and one failed look ends nothing", async (world) => {
  world.allow(/\/v1\/(auth\/refresh|posts)$/);
  const ann = handle("ann");
  const context = await world.context();
  const server = await withRefresh(context, ann, () => 900);
  const page = await context.newPage();
  await page.goto("/");
  await signIn(page, ann);
  // A post is refused, so the token is renewed, while the row fails as it does where the disk is full or broken.
  let refused = true;
  await page.route("**/v1/posts", (route) =>
    refused ? route.fulfill({ status: 401, contentType: "application/problem+json", body: "{}" }) : route.continue());
  const failing = (name) => page.evaluate((name) => {
    const act = IDBObjectStore.prototype[name];
    IDBObjectStore.prototype[name] = function (...given) {
      IDBObjectStore.prototype[name] = act;
      const asked = act.apply(this, given);
      this.transaction.abort();
      return asked;
    };
  }, name);
  const kept = () => page.evaluate(async () => (await (await import("/kept.js")).read())?.token);
  const send = page.getByRole("button", { name: "Post", exact: true });
  await page.getByLabel("Write a post").fill("said in the end");
  await failing("get");
  await send.click();
  await page.locator("#toasts").getByText("This browser could not read the session that it keeps.").waitFor();
  assert.equal(await heading(page, "Home").isVisible(), true);
  assert.deepEqual([await kept(), server.spent], ["r1", []]);
  await failing("put");
  await page.route("**/v1/auth/refresh", (route) => ((refused = false), route.fallback()));
  await send.click();
  await page.locator("#home-list").getByText("said in the end").waitFor();
  assert.deepEqual(server.spent, ["r1"]);
  assert.equal(await kept(), undefined);
});

scenario("where the browser forbids to keep anything, one signs in for as long as the page is there", async (world) => {
  const context = await world.context();
  await context.addInitScript(() => {
    const forbidden = { get() { throw new DOMException("forbidden", "SecurityError"); } };
    for (const name of ["localStorage", "sessionStorage", "indexedDB"]) Object.defineProperty(window, name, forbidden);
    if (isSecureContext) LockManager.prototype.request = async () => { throw new DOMException("forbidden", "SecurityError"); };
  });
  const page = await context.newPage();
  await page.goto("/");
  await signIn(page, handle("ann"));
  await page.getByLabel("Write a post").fill("kept nowhere");
  await page.keyboard.press("Control+Enter");
  await page.locator("#home-list").getByText("kept nowhere").waitFor();
  await page.locator("#show-help").click();
  await page.getByLabel("Single keys act").uncheck();
  await page.keyboard.press("Escape");
  await page.keyboard.press("?");
  assert.equal(await page.getByRole("dialog").isVisible(), false, "single keys are off");
  await page.getByRole("button", { name: "Sign out" }).click();
  await heading(page, "Sign in").waitFor();
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

scenario("the server's own refresh tokens carry a session into another tab, and out of it", async (world) => {
  const post = (where, body) => fetch(base + where, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
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

scenario("a token that expires while the stream is open is renewed, and nothing is lost", async (world) => {
  const author = await Person.signIn(handle("ben"), false, brief);
  const ann = handle("ann");
  await (await Person.signIn(ann, false, brief)).follow(author);
  const page = await world.signedIn(ann, { baseURL: brief });
  const used = new Set();
  page.on("request", (request) => request.url().endsWith("/v1/feed/live") && used.add(request.headers().authorization));
  await eventually(() => used.size >= 2, "a stream with another token");
  await (await Person.signIn(author.handle, false, brief)).post("after the renewal");
  await page.getByRole("button", { name: "1 new post" }).click();
  assert.deepEqual(await texts(page), ["after the renewal"]);
  assert.equal(await page.locator("#toasts").textContent(), "");
});
