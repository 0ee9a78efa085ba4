// A run, or an approval of one, while it goes on: the page is drawn anew as events come, without losing one's place.

import { follow, refresh } from "./console.js";

const region = () => document.querySelector("#live");

/** Draw a region anew; what was opened stays open, and whoever was in it stays where they were. */
async function redraw(selector) {
  const open = [...document.querySelectorAll(`${selector} details[id][open]`)].map((element) => element.id);
  const inside = document.querySelector(selector)?.contains(document.activeElement);
  const at = inside && (document.activeElement.id || document.activeElement.getAttribute("href"));
  await refresh(selector);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (!inside) return;
  const same = at && (document.getElementById(at) ?? document.querySelector(`${selector} a[href="${CSS.escape(at)}"]`));
  (same || document.querySelector(selector)).focus({ preventScroll: true });
}

let soon;
function later() {
  clearTimeout(soon);
  soon = setTimeout(() => redraw("#live"), 300);
}

async function followRun({ run, after }) {
  const now = document.querySelector("#now");
  let last = after;
  while (region().dataset.run) {
    await follow(`/v1/runs/${run}/events`, {
      after: last,
      onEvent({ id, data }) {
        if (id === undefined) return; // a piece of text, no event of the log
        last = id;
        if (now && data.says) now.textContent = data.says;
        later();
      },
    });
    await redraw("#live");
    await new Promise((done) => setTimeout(done, 1000));
  }
}

document.addEventListener("submit", async (event) => {
  if (!event.target.matches("[data-verify]")) return;
  event.preventDefault();
  await redraw("#chain");
  const chain = document.querySelector("#chain");
  chain.setAttribute("role", "status");
  chain.querySelector("[data-verify] button").focus();
});

// A permalink to an event opens it.
function openTarget() {
  const target = location.hash && document.getElementById(location.hash.slice(1));
  target?.querySelector?.("details")?.setAttribute("open", "");
}
addEventListener("hashchange", openTarget);
openTarget();

// Whoever sent a form with something wrong begins at the first field that is.
document.querySelector(".wrong :is(input, textarea)")?.focus();

if (region()?.dataset.run) followRun(region().dataset);
