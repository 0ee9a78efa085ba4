// Bringing files: dropped or chosen, one after the other, each with its progress; and a document that is being indexed.
import { api, follow, icon, make, refresh } from "./console.js";

const MOST = 10_000_000;
const say = (text, values) => text.replace(/\{(\w+)\}/g, (_, name) => values[name]);

for (const form of document.querySelectorAll("[data-uploads]")) uploads(form);
const followed = document.querySelector("[data-follows]");
if (followed) whenIndexed(followed);

function uploads(form) {
  const texts = JSON.parse(form.dataset.texts);
  const drop = form.querySelector(".drop");
  const waiting = [];
  let busy = false;
  let done = 0;
  let total = 0;

  async function work() {
    if (busy) return;
    busy = true;
    while (waiting.length) done += await bring(...waiting.shift(), texts);
    busy = false;
    form.querySelector("[data-said]").textContent = say(texts.all, { done, total });
    await refresh("#documents");
  }

  function take(files) {
    for (const file of files) {
      total += 1;
      const line = make("li", {}, icon("file"), make("strong", { textContent: file.name }));
      line.append(make("progress", { max: 1, value: 0, ariaLabel: file.name }), make("span", { className: "under" }));
      form.querySelector(".uploads").append(line);
      waiting.push([file, form.elements.collection.value, line]);
    }
    work();
  }

  form.elements.file.addEventListener("change", (event) => {
    take([...event.target.files]);
    event.target.value = "";
  });
  for (const type of ["dragenter", "dragover", "dragleave", "drop"]) {
    drop.addEventListener(type, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", type === "dragenter" || type === "dragover");
      if (type === "drop") take([...event.dataTransfer.files]);
    });
  }
}

/** Bring one file and follow it until it can be found; resolves to 1, or to 0 if it did not work. */
async function bring(file, collection, line, texts) {
  const progress = line.querySelector("progress");
  const told = line.querySelector(".under");
  const end = (name, text) => {
    progress.remove();
    line.className = name;
    line.querySelector(".icon").replaceWith(icon(name === "good" ? "check" : "alert"));
    told.textContent = text;
  };
  try {
    if (file.size > MOST) throw new Error(texts.large);
    const answer = await send(file, collection, (sent) => {
      progress.value = sent;
      told.textContent = sent < 1 ? say(texts.sending, { percent: Math.round(100 * sent) }) : texts.reading;
      if (sent === 1) progress.removeAttribute("value");
    }, texts);
    const made = await indexed(answer, progress, told, texts);
    const name = line.querySelector("strong");
    name.replaceChildren(make("a", { href: `/knowledge/documents/${answer.document}`, textContent: file.name }));
    if (made.progress.state !== "completed") throw new Error(say(texts.failed, { code: made.progress.code }));
    end("good", say(texts.done, { total: made.passages }));
    return 1;
  } catch (error) {
    end("bad", error.message);
    return 0;
  }
}

async function indexed(answer, progress, told, texts) {
  const total = answer.passages;
  const show = (done) => {
    progress.max = total || 1;
    progress.value = done;
    told.textContent = say(texts.indexing, { done, total });
  };
  show(0);
  await follow(`/v1/runs/${answer.run}/events`, {
    onEvent: ({ type, data }) => type === "passages_indexed" && show(data.done),
  });
  return api("GET", `/v1/documents/${answer.document}`);
}

/** Send a file; fetch cannot say how far it is. Told to slow down, it waits and tries again. */
function send(file, collection, onProgress, texts, tries = 5) {
  const body = new FormData();
  body.append("collection", collection);
  body.append("file", file);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open("POST", "/v1/documents");
    request.setRequestHeader("Accept", "application/json");
    request.setRequestHeader("Prefer", "respond-async");
    request.setRequestHeader("Mandate-CSRF", document.querySelector('meta[name="csrf"]').content);
    request.responseType = "json";
    request.upload.onprogress = (event) => onProgress(event.total ? event.loaded / event.total : 1);
    request.onerror = () => reject(new Error(texts.broken));
    request.onload = () => {
      if (request.status < 300) resolve(request.response);
      else if (request.status === 401) location.reload();
      else if (request.status === 429 && tries) {
        const pause = 1000 * Math.min(Number(request.getResponseHeader("Retry-After")) || 1, 30);
        setTimeout(() => send(file, collection, onProgress, texts, tries - 1).then(resolve, reject), pause);
      } else reject(new Error(request.response?.detail ?? texts.broken));
    };
    request.send(body);
  });
}

async function whenIndexed(region) {
  const bar = region.querySelector("progress");
  await follow(region.dataset.follows, {
    onEvent: ({ type, data }) => type === "passages_indexed" && (bar.value = data.done),
  });
  location.reload();
}
