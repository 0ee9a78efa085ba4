// The inbox follows what is asked and decided. It never moves what somebody reads: new lines come when they say so.

import { api, follow, refresh } from "./console.js";

const button = document.querySelector("#news");
const fresh = new Map(); // what the list does not show yet: its line by its id

function tell() {
  button.textContent = button.dataset.text.replace("{count}", fresh.size);
  button.hidden = fresh.size === 0;
}

async function show() {
  await refresh("#inbox");
  for (const line of [...fresh.values()]) changed(line); // what the list shows now is old
  tell();
  await refresh("#menu");
}

/** Take notice of a line of the list as it is now. */
function changed(line) {
  const { approval, verdict, approved, escalated } = line;
  const view = document.querySelector("#inbox").dataset.live;
  const waits = verdict === "pending";
  const belongs = view === "all" || waits === (view === "pending");
  const listed = document.getElementById(approval);
  if (listed ? listed.dataset.now !== `${verdict} ${approved} ${Number(escalated)}` : belongs) fresh.set(approval, line);
  else fresh.delete(approval);
}

/** Whatever happened before the stream began, or while it was broken, was not told. */
async function catchUp() {
  const { items } = await api("GET", "/v1/approvals?state=all&limit=20");
  for (const item of items) changed(item);
}

async function hear({ type, data }) {
  if (type === "ready") await catchUp();
  else if (type === "approval") changed(data);
  else return;
  if (fresh.size && !document.querySelector("#inbox > .items")) await show(); // nothing there that could move
  else tell();
}

button.addEventListener("click", async () => {
  await show();
  document.querySelector("#inbox").focus();
});

for (;;) {
  await follow("/v1/approvals/events", { onEvent: hear });
  await new Promise((done) => setTimeout(done, 1000));
}
