// What every page of the console can do. Pages with more have a module of their own that imports from this one.

const policy = window.trustedTypes?.createPolicy("mandate", { createHTML: (html) => html });

/** Call our API. Resolves to the body (undefined where there is none); a refusal is shown as a notice and thrown. */
export async function api(method, path, body, { signal, headers = {} } = {}) {
  const response = await ask(method, path, body, { signal, headers: { Accept: "application/json", ...headers } });
  return response.status === 204 ? undefined : response.json();
}

/** Fetch one region of a page of ours, such as region("#inbox", "/approvals"); null if the page has none. */
export async function region(selector, address, { method = "GET", body } = {}) {
  const response = await ask(method, address, body, { headers: { Accept: "text/html" } });
  const html = await response.text();
  const page = new DOMParser().parseFromString(policy ? policy.createHTML(html) : html, "text/html");
  const found = page.querySelector(selector);
  return found && document.adoptNode(found);
}

/** Put a region of a page in the place of ours, such as refresh("#inbox"). Whoever was in it stays in it. */
export async function refresh(selector, address = location.href) {
  const found = await region(selector, address);
  const old = document.querySelector(selector);
  const focused = old?.contains(document.activeElement);
  if (found) old?.replaceWith(found);
  if (found && focused) found.focus();
  tellTimes();
  return found !== null;
}

/**
 * Follow server-sent events, and go on after a break from the last one. Resolves when the stream has ended.
 * onEvent gets {type, id, data}; onState is told "lost" and "back". Give `method` and `body` to start what is followed,
 * with an Idempotency-Key so that it can be sent again; it then goes on at `resume(response)`.
 */
export async function follow(path, { onEvent, onState, signal, after, method = "GET", body, headers = {}, resume } = {}) {
  let last = after;
  for (let failures = 0; ; ) {
    try {
      const known = last === undefined ? {} : { "Last-Event-ID": String(last) };
      const response = await ask(method, path, body, { signal, headers: { Accept: "text/event-stream", ...headers, ...known } });
      if (failures) onState?.("back");
      if (resume) [path, method, body, headers, resume] = [resume(response), "GET", undefined, {}];
      for await (const event of events(response.body)) {
        failures = 0;
        if (event.id !== undefined) last = event.id;
        onEvent(event);
        if (event.type === "run_ended") return;
      }
      return;
    } catch (error) {
      const repeatable = method === "GET" || "Idempotency-Key" in headers;
      if (signal?.aborted || error instanceof Refused || !repeatable || ++failures > 8) throw error;
      onState?.("lost");
      await new Promise((done) => {
        setTimeout(done, Math.min(500 * 2 ** failures, 10000));
        addEventListener("online", done, { once: true });
      });
    }
  }
}

/** A problem document of the API. */
export class Refused extends Error {
  constructor(status, problem) {
    super(problem.detail ?? "");
    this.status = status;
    this.code = problem.code ?? "";
    this.problem = problem;
  }
}

/** Show a message above the page; tone is info, good, warn or bad. */
export function notify(text, tone = "info") {
  const notice = make("div", { className: `notice ${tone}` });
  const close = make("button", { className: "quiet square", type: "button", ariaLabel: "Close" });
  close.append(icon("close"));
  close.addEventListener("click", () => notice.remove());
  notice.append(icon(tone === "info" ? "info" : tone === "good" ? "check" : "alert"), make("div", { textContent: text }), close);
  const notices = document.querySelector("#notices");
  notices.append(notice);
  while (notices.children.length > 3) notices.firstChild.remove();
  if (tone === "good" || tone === "info") setTimeout(() => notice.remove(), 8000);
  return notice;
}

/** Make an element with properties, such as make("p", {textContent: text}). Never a way to put in HTML. */
export function make(name, properties = {}, ...children) {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
}

/** One of the symbols of templates/icons.html. */
export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${name}`);
  svg.append(use);
  return svg;
}

/** Remember something in a cookie that the server reads when it draws the next page. */
export function remember(name, value) {
  document.cookie = `${name}=${value}; Path=/; Max-Age=31536000; SameSite=Lax${location.protocol === "https:" ? "; Secure" : ""}`;
}

async function ask(method, path, body, { signal, headers }) {
  const sent = { ...headers };
  if (method !== "GET") sent["Mandate-CSRF"] = document.querySelector('meta[name="csrf"]')?.content ?? "";
  let data = body;
  if (body !== undefined && !(body instanceof Blob || body instanceof URLSearchParams) && typeof body !== "string") {
    data = JSON.stringify(body);
    sent["Content-Type"] ??= "application/json";
  }
  const response = await fetch(path, { method, body: data, headers: sent, signal, redirect: "follow", credentials: "same-origin" });
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({ detail: response.statusText }));
  if (response.status === 401) location.reload(); // the page itself then leads to the sign-in, and back
  else notify(problem.detail ?? response.statusText, "bad");
  throw new Refused(response.status, problem);
}

async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const event = parse(block);
      if (event) yield event;
    }
  }
}

function parse(block) {
  const fields = { event: "message", data: [] };
  for (const line of block.split("\n")) {
    const [, name, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (name === "data") fields.data.push(value);
    else if (name) fields[name] = value;
  }
  if (!fields.data.length) return undefined; // a comment that fills silence
  return { type: fields.event, id: fields.id, data: JSON.parse(fields.data.join("\n")) };
}

const STEPS = [["year", 31536000], ["month", 2592000], ["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

function tellTimes() {
  const words = new Intl.RelativeTimeFormat(navigator.language, { numeric: "auto" });
  for (const element of document.querySelectorAll("time[data-ago]")) {
    const seconds = (new Date(element.dateTime) - Date.now()) / 1000;
    const [unit, length] = STEPS.find(([, size]) => Math.abs(seconds) >= size) ?? STEPS.at(-1);
    element.textContent = words.format(Math.round(seconds / length), unit);
  }
}

function switchTheme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  document.querySelector('meta[name="color-scheme"]').content = root.dataset.theme;
  remember("mandate-theme", root.dataset.theme);
}

async function copy(button) {
  const near = button.dataset.copiesNear; // a selector within the article that the button stands in
  await navigator.clipboard.writeText(near ? button.closest("article").querySelector(near).innerText : button.dataset.copies);
  button.replaceChildren(icon("check"));
  setTimeout(() => button.replaceChildren(icon("copy")), 1500);
}

document.addEventListener("click", (event) => {
  const on = (selector) => event.target.closest(selector);
  const opener = on("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
  if (on("[data-closes]")) on("dialog")?.close();
  if (on("[data-theme-toggle]")) switchTheme();
  if (on("[data-copies], [data-copies-near]")) copy(on("[data-copies], [data-copies-near]"));
});

document.documentElement.classList.add("scripted");
remember("mandate-zone", Intl.DateTimeFormat().resolvedOptions().timeZone);
tellTimes();
setInterval(tellTimes, 30000);
