// The chat: what is sent, what comes back while it comes, and what the server draws once it is there.

import { api, follow, make, notify, refresh, region } from "./console.js";

const exchanges = document.querySelector("#exchanges");
const composer = document.querySelector("#composer");
const message = composer?.elements.message;
const stop = document.querySelector("#stop");
const now = document.querySelector("#now");
const phrases = document.querySelector("#phrases").dataset;
const enough = 100; // pixels from the end within which the page follows the text

let busy = ""; // the run that is at work for us: its id, or "starting"
let unsent = {}; // what did not get through, and under which key: sent again, it is done once

// Sending

async function send(form) {
  const { message: text, key, ...given } = Object.fromEntries(new FormData(form));
  if (!text.trim() || busy) return;
  const body = { ...given, message: text, use_knowledge: "use_knowledge" in given };
  for (const field of ["conversation", "replaces", "csrf"]) if (!body[field] || field === "csrf") delete body[field];
  const same = JSON.stringify(body);
  if (unsent.same !== same) unsent = { same, key: crypto.randomUUID() };
  const replaced = body.replaces && document.getElementById(body.replaces);
  const shown = begin(text);
  if (replaced) replaced.hidden = true;
  if (form === composer) write("");
  work("starting");
  say(phrases.starting);
  try {
    await watch("/v1/runs", {
      method: "POST",
      body,
      headers: { "Idempotency-Key": unsent.key },
      resume: (response) => `/v1/runs/${(shown.id = response.headers.get("Mandate-Run"))}/events`,
      started: () => {
        unsent = {};
        replaced?.remove();
        leaveEditing();
      },
      at: () => (shown.isConnected ? shown : document.getElementById(shown.id)),
    });
  } catch (error) {
    if (shown.id && unsent.same !== same) return; // it goes on, and the next look at the page shows it
    if (!error.status) notify(phrases.unsent, "bad");
    shown.remove();
    if (replaced) replaced.hidden = false;
    if (!message.value) write(text);
    work("");
    say("");
    await catchUp();
    message.focus();
  }
}

function begin(text) {
  const shown = document.querySelector("#live").content.cloneNode(true).firstElementChild;
  shown.querySelector(".said .words").textContent = text;
  document.querySelector(".examples")?.remove();
  exchanges.append(shown);
  shown.scrollIntoView({ block: "start" });
  return shown;
}

// Following

/** Follow a run to its end, over every break. `at()` is where it is drawn. */
async function watch(path, { at, started, after, ...options }) {
  const state = { text: "", last: after, ended: false, drawing: Promise.resolve() };
  const onEvent = (event) => {
    state.last = event.id ?? state.last;
    tell(event, state, at, started);
  };
  const onState = (how) => say(phrases[how]);
  for (;;) {
    try {
      await follow(path, { ...options, after: state.last, onEvent, onState });
    } catch (error) {
      if (!at()?.id || error.status) throw error;
      await askToConnect();
    }
    await state.drawing;
    if (state.ended || !at()) return;
    [path, options] = [`/v1/runs/${at().id}/events`, {}];
    await new Promise((done) => setTimeout(done, 500));
  }
}

function tell({ type, data }, state, at, started) {
  const follows = innerHeight + scrollY > document.body.scrollHeight - enough;
  const drawn = at();
  if (type === "delta") state.text += data.text;
  else if (type === "snapshot" || type === "answer_given") state.text = data.text;
  else if (type === "decision_made") state.text = "";
  if (type === "run_opened") opened(data.conversation, started);
  if (type === "run_ended") state.ended = true;
  if (!drawn) return; // another tab has replaced it
  if (data.says && data.state !== "completed") doing(data, drawn);
  if (drawn.querySelector(".streamed")) drawn.querySelector(".streamed").textContent = state.text;
  if (type === "run_parked" && busy === drawn.id) work("");
  if (type === "run_resumed" && !busy) work(drawn.id);
  if (["run_parked", "approval_resolved", "run_ended"].includes(type)) {
    const { id } = drawn;
    state.drawing = state.drawing.then(() => draw(id)).then(() => settled(id));
  }
  if (follows) scrollTo(0, document.body.scrollHeight);
}

function doing({ phase, says, waiting_for: waiting }, drawn) {
  const until = waiting && new Date(waiting.until).toLocaleString(navigator.language, { dateStyle: "medium", timeStyle: "short" });
  say(until ? `${says} (${phrases.until} ${until})` : says);
  const steps = drawn.querySelector(".doing");
  if (steps && steps.lastElementChild?.textContent !== says) steps.append(make("li", { className: phase, textContent: says }));
}

function opened(conversation, started) {
  if (busy === "starting") work(exchanges.lastElementChild.id);
  if (!composer || !started) return;
  started();
  if (exchanges.dataset.conversation) return;
  exchanges.dataset.conversation = conversation;
  composer.elements.conversation.value = conversation;
  sessionStorage.removeItem("draft:");
  history.replaceState(null, "", `/conversations/${conversation}`);
}

/** Put the exchange as the server draws it in the place of ours. */
async function draw(id) {
  const address = document.getElementById(id).dataset.address ?? `/conversations/${exchanges.dataset.conversation}/exchanges/${id}`;
  await insist(() => refresh(`#${id}`, address)); // till then, what came with the stream stays
}

/** Do what a lost connection may prevent, for about a minute; what the server refuses is not tried again. */
async function insist(work) {
  for (let wait = 500; wait < 60000; wait *= 2) {
    try {
      return await work();
    } catch (error) {
      if (error.status) return undefined;
      await new Promise((done) => setTimeout(done, wait));
    }
  }
  return undefined;
}

/** Show in the list and in the title what has come of it. */
async function settled(id) {
  if (busy === id && !document.getElementById(id)?.matches('[data-live="running"]')) work("");
  if (!composer) return;
  if (!busy) now.replaceChildren();
  await insist(() => refresh("#thread-header"));
  for (let tries = 0; tries < 5; tries++) {
    await insist(() => refresh("#lines"));
    if (document.querySelector("#lines [aria-current]")) break; // the list is a view, a moment behind what has happened
    await new Promise((done) => setTimeout(done, 200));
  }
  document.title = document.querySelector("#thread-header h1").textContent + document.title.slice(document.title.lastIndexOf(" · "));
}

/** Show what another tab has added meanwhile. */
async function catchUp() {
  if (busy || !exchanges.dataset.conversation) return;
  const found = await region("#exchanges", location.pathname).catch(() => null);
  const ids = (element) => [...element.children].map((child) => child.id).join();
  if (!found || busy || ids(found) === ids(exchanges)) return;
  const known = new Set([...exchanges.querySelectorAll("[data-live]")].map((child) => child.id));
  exchanges.replaceChildren(...found.children);
  followLive((child) => !known.has(child.id));
}

function followLive(wanted = () => true) {
  for (const { id, dataset } of [...exchanges.querySelectorAll("[data-live]")].filter(wanted).slice(-3)) {
    if (dataset.live === "running" && composer) work(id);
    watch(`/v1/runs/${id}/events`, { after: dataset.events, at: () => document.getElementById(id) }).catch(() => work(""));
  }
}

// What is said, and what can be pressed

let telling;

/** Show what happens now; and say it, but not each of several things within a second. */
function say(text) {
  if (!now) return;
  now.textContent = text;
  clearTimeout(telling);
  telling = setTimeout(() => (document.querySelector("#told").textContent = text), 900);
}

function askToConnect() {
  say(phrases.gone);
  const button = make("button", { type: "button", textContent: phrases.again });
  now.append(" ", button);
  now.removeAttribute("aria-hidden");
  return new Promise((done) => {
    button.addEventListener("click", done, { once: true });
    addEventListener("online", done, { once: true });
  }).then(() => now.setAttribute("aria-hidden", "true"));
}

function work(run) {
  busy = run;
  if (!composer) return;
  stop.hidden = !run;
  stop.disabled = run === "starting";
  document.querySelector("#send").hidden = Boolean(run);
}

function write(text) {
  message.value = text;
  keep();
}

function keep() {
  const name = `draft:${composer.elements.conversation.value}`;
  if (composer.elements.replaces) return grow();
  if (message.value) sessionStorage.setItem(name, message.value);
  else sessionStorage.removeItem(name);
  grow();
}

function grow() {
  message.style.height = "auto";
  message.style.height = `${message.scrollHeight + 2}px`;
}

function leaveEditing() {
  composer.elements.replaces?.remove();
  composer.querySelector(".changing")?.remove();
  if (location.search) history.replaceState(null, "", location.pathname);
}

async function flag(form) {
  const { kind, reason } = Object.fromEntries(new FormData(form));
  const { id } = form.closest(".exchange");
  await api("POST", `/v1/runs/${id}/flags`, { kind, reason });
  await draw(id);
  document.getElementById(id)?.focus({ preventScroll: true });
  notify(phrases.flagged, "good");
}

async function search(form) {
  const found = await region("#found", form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
  const lines = document.querySelector("#lines");
  if (found) lines.replaceChildren(...found.childNodes);
  lines.focus({ preventScroll: true });
}

async function openSource(link) {
  const dialog = document.querySelector("#source");
  const passage = await region("#passage", link.href);
  if (!passage) return;
  dialog.querySelector(".inside").replaceChildren(passage);
  dialog.showModal();
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  const how = form.matches(".ask") ? send : form.matches(".flags") ? flag : form.matches("#search, .further") ? search : undefined;
  if (!how) return;
  event.preventDefault();
  how(form).catch(() => {}); // a refusal was shown
});

document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest(selector);
  const source = on(".exchange .citation");
  if (source && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    openSource(source).catch(() => {});
  }
});

document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && catchUp());

if (composer) {
  message.addEventListener("input", keep);
  message.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.shiftKey || event.isComposing || matchMedia("(pointer: coarse)").matches) return;
    event.preventDefault();
    composer.requestSubmit();
  });
  stop.addEventListener("click", () => {
    say(phrases.stopping);
    api("POST", `/v1/runs/${busy}/cancel`).catch(() => {});
  });
  message.value ||= sessionStorage.getItem(`draft:${composer.elements.conversation.value}`) ?? "";
  grow();
}
if (exchanges.dataset.conversation && !location.hash) exchanges.lastElementChild?.scrollIntoView({ block: "start" });
followLive();
