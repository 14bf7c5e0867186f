// What a person does on the page; run in it by the test.
const until = async (look) => {
  for (;;) {
    const found = look();
    if (found) return found;
    await new Promise((again) => setTimeout(again, 20));
  }
};
const find = (selector, within = document) => until(() => within.querySelector(selector));
const fill = (field, text) => {
  Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value").set.call(field, text);
  field.dispatchEvent(new Event("input", { bubbles: true }));
};
const tried = async (id) => {
  const operation = await find(`#operations-${id}`);
  (await find(".opblock-summary-control", operation)).click();
  (await find(".try-out__btn", operation)).click();
  (await find(".execute", operation)).click();
  const row = await find(".live-responses-table tr.response", operation);
  const status = row.querySelector(".response-col_status").textContent.trim().slice(0, 3);
  const body = row.querySelector(".response-col_description").textContent;
  return { status, body };
};
const shown = async (token) => {
  const refused = await tried("relations-listMutes");
  (await find(".auth-wrapper .authorize")).click();
  fill(await find(".auth-container input"), token);
  (await find(".auth-btn-wrapper .authorize")).click();
  (await find(".auth-btn-wrapper .btn-done")).click();
  const operations = document.querySelectorAll(".opblock").length;
  return { refused, me: await tried("users-getMe"), post: await tried("posts-publishPost"), operations };
};
