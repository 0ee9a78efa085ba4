// The inbox follows what is asked and decided. It never moves what somebody reads: new lines come when they say so.

import { follow, refresh } from "./console.js";

const button = document.querySelector("#news");
const fresh = new Set();
let known = false;

function tell() {
  button.textContent = button.dataset.text.replace("{count}", fresh.size);
  button.hidden = fresh.size === 0;
}

async function show() {
  fresh.clear();
  tell();
  await refresh("#inbox");
  await refresh("#menu");
}

function changed({ type, data }) {
  if (type === "ready") {
    if (known) show(); // the connection broke: what came meanwhile was not told
    known = true;
  } else if (type === "approval") {
    const view = document.querySelector("#inbox").dataset.live;
    const waits = data.verdict === "pending";
    const belongs = view === "all" || waits === (view === "pending");
    const listed = document.getElementById(data.approval) !== null;
    fresh[(listed ? !waits : belongs) ? "add" : "delete"](data.approval);
    if (fresh.size && !document.querySelector("#inbox > .items")) show(); // nothing there that could move
    else tell();
  }
}

button.addEventListener("click", async () => {
  await show();
  document.querySelector("#inbox").focus();
});

for (;;) {
  await follow("/v1/approvals/events", { onEvent: changed });
  await new Promise((done) => setTimeout(done, 1000));
}
