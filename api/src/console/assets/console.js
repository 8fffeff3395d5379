// What pages do better with a script; without it, all of them still work.
"use strict";

// Regions with `data-live` (milliseconds) are taken from a fresh copy of the page and swapped in.
// `data-say` inside one is told to screen readers when its words change.
function followLiveRegions() {
  const regions = () => [...document.querySelectorAll("[data-live]")].filter((region) => region.id);
  const status = document.getElementById("live-status");
  if (regions().length === 0) return;
  let failures = 0;

  async function tick() {
    if (!document.hidden) {
      try {
        const response = await fetch(location.href, { headers: { "X-Requested-With": "live" } });
        // The session has ended: the page itself leads to where it goes on.
        if (response.redirected) return location.reload();
        if (!response.ok) throw new Error(String(response.status));
        const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
        regions().forEach((region) => swap(region, fresh.getElementById(region.id)));
        failures = 0;
      } catch {
        failures += 1;
      }
      document.documentElement.toggleAttribute("data-stale", failures > 1);
    }
    const every = Math.min(...regions().map((region) => Number(region.dataset.live) || 5000), 60000);
    setTimeout(tick, every * Math.min(1 + failures, 10));
  }

  function swap(region, fresh) {
    if (!fresh) return;
    const focused = document.activeElement;
    const isBusy = region.contains(focused) && focused.matches("input, select, textarea");
    if (isBusy || region.querySelector("details[open] form")) return;
    const words = fresh.querySelector("[data-say]")?.textContent ?? "";
    if (status && words && status.textContent !== words) status.textContent = words;
    const id = region.contains(focused) ? focused.id : "";
    // What somebody has begun to type stays.
    const typed = [...region.querySelectorAll("input[id], select[id]")].map(({ id, value }) => [id, value]);
    region.innerHTML = fresh.innerHTML;
    for (const [id, value] of typed) {
      const field = document.getElementById(id);
      if (field && field.value !== value) field.value = value;
    }
    region.dataset.live = fresh.dataset.live ?? region.dataset.live;
    if (id) document.getElementById(id)?.focus();
  }

  setTimeout(tick, Math.min(...regions().map((region) => Number(region.dataset.live) || 5000)));
}

// A form with `data-submit` is sent when its slider or choice has come to rest.
function sendWhenChanged() {
  document.addEventListener("change", (event) => {
    const form = event.target.closest("form[data-submit]");
    if (form) form.requestSubmit();
  });
  document.addEventListener("input", (event) => {
    const output = event.target.dataset?.shows && document.getElementById(event.target.dataset.shows);
    if (output) output.textContent = event.target.value;
  });
}

// What can't be undone is asked about.
function askFirst() {
  document.addEventListener("submit", (event) => {
    const question = event.submitter?.dataset.ask ?? event.target.dataset.ask;
    if (question && !window.confirm(question)) event.preventDefault();
  });
}

function copyOnClick() {
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copies]");
    if (!button) return;
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copies).textContent);
    button.textContent = "Copied";
  });
}

// A link in a mail has its token behind "#", which no server sees: it goes into the form, not into the history.
function takeTokenFromLink() {
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (!token) return;
  for (const part of document.querySelectorAll("[data-from-link]")) {
    part.querySelector("input").value = token;
    part.hidden = true;
  }
  history.replaceState(null, "", location.pathname + location.search);
}

followLiveRegions();
takeTokenFromLink();
sendWhenChanged();
askFirst();
copyOnClick();
