// The page: who looks at it, what they write, and what is asked again and again.

import { el, find, number, toast } from "./dom.js";
import { change, kept, repeat, signIn } from "./api.js";
import * as timeline from "./timeline.js";
import * as people from "./people.js";
import * as operator from "./operator.js";

const YOU = "you";
const TEXT_CHARS = 2000;

async function lookAs(handle) {
  const viewer = find("viewer");
  viewer.value = handle;
  try {
    const user = await signIn(handle);
    const [cast] = await Promise.all([people.open(user), timeline.open(user)]);
    await operator.open(cast);
  } catch (problem) {
    toast(problem.status === 404 ? "Signing in by handle is switched off on this server." : problem.message);
    find("end").replaceChildren(el("button", { class: "secondary", type: "button", text: "Sign in again", onclick: () => lookAs(handle) }));
  }
}

function startCompose() {
  const [form, text, left, send] = ["compose", "compose-text", "compose-left", "compose-send"].map(find);
  let sending = false;
  const paint = () => {
    const chars = [...text.value].length; // the API counts Unicode scalar values, as this does
    left.textContent = chars ? `${number(TEXT_CHARS - chars)} left` : "";
    left.classList.toggle("over", chars > TEXT_CHARS);
    send.disabled = sending || chars > TEXT_CHARS || text.value.trim() === "";
  };
  text.addEventListener("input", paint);
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (send.disabled) return;
    sending = true;
    paint();
    try {
      await change("POST", "/v1/posts", { text: text.value });
      text.value = "";
      await timeline.poll();
      await timeline.reveal();
    } catch (problem) {
      toast(problem.message);
    }
    sending = false;
    paint();
  });
  paint();
}

function startTabs() {
  const tabs = [...document.querySelectorAll("[data-go]")];
  for (const tab of tabs) {
    tab.addEventListener("click", () => {
      document.body.dataset.view = tab.dataset.go;
      for (const other of tabs) other.removeAttribute("aria-current");
      tab.setAttribute("aria-current", "true");
      scrollTo({ top: 0 });
    });
  }
}

const viewer = find("viewer");
viewer.append(...[YOU, ...people.CAST].map((handle) => el("option", { value: handle, text: `@${handle}` })));
viewer.addEventListener("change", () => lookAs(viewer.value));
timeline.start(people.profile);
people.start();
operator.start();
startCompose();
startTabs();
repeat(2000, timeline.poll);
repeat(2000, operator.pollStatus);
repeat(400, operator.pollAuthors);
const last = kept();
lookAs(people.CAST.includes(last) ? last : YOU);
