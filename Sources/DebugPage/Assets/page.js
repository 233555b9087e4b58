// Keeps the page up to date while it is visible, and shows the result of a search in place.

const live = document.getElementById("live");
const form = document.getElementById("search");
const input = document.getElementById("reference");
const result = document.getElementById("result");

let source;

function say(text) {
  if (live.textContent !== text) live.textContent = text;
}

function listen() {
  if (source || document.hidden) return;
  source = new EventSource("events");
  source.addEventListener("page", (event) => {
    say("Live");
    live.classList.add("on");
    for (const [id, html] of Object.entries(JSON.parse(event.data))) {
      const place = document.getElementById(id);
      // A section with the focus stays, so that the keyboard keeps its place.
      if (place && !place.contains(document.activeElement)) place.innerHTML = html;
    }
  });
  source.addEventListener("error", () => {
    live.classList.remove("on");
    say("Disconnected, reconnecting");
    // After a response that is no stream the browser does not reconnect by itself.
    if (source?.readyState === EventSource.CLOSED) {
      source = undefined;
      setTimeout(listen, 5000);
    }
  });
}

function stop() {
  source?.close();
  source = undefined;
  live.classList.remove("on");
  say("Paused");
}

document.addEventListener("visibilitychange", () => (document.hidden ? stop() : listen()));
window.addEventListener("pagehide", stop);
window.addEventListener("pageshow", listen);

let latest = 0;

async function show(words, request) {
  const mine = ++latest;
  result.setAttribute("aria-busy", "true");
  const note = document.createElement("p");
  note.className = "empty";
  note.textContent = words;
  result.replaceChildren(note);
  let html;
  try {
    html = await (await fetch(request)).text();
  } catch {
    note.textContent = "The node does not respond. Check that it is running, then try again.";
  }
  if (mine !== latest) return;
  if (html !== undefined) result.innerHTML = html;
  result.removeAttribute("aria-busy");
}

function lookUp(reference) {
  const query = "?reference=" + encodeURIComponent(reference);
  history.replaceState(null, "", query);
  show("Looking up " + reference + " …", new Request("resolve" + query));
}

function pull(reference) {
  const body = new URLSearchParams({ reference, part: "result" });
  show("Pulling " + reference + " …", new Request("pull", { method: "POST", body }));
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const reference = input.value.trim();
  if (reference) (event.submitter?.formMethod === "post" ? pull : lookUp)(reference);
});

document.addEventListener("click", (event) => {
  const link = event.target.closest?.('a[href^="?reference="]');
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  input.value = new URL(link.href).searchParams.get("reference");
  lookUp(input.value);
  input.focus();
});
