// A deployment's page: follows a run by server-sent events, through a restart of the server, and asks the remote once.
// Texts only ever become text nodes; what the server rendered anew is put in the place of what was there.

const MAX_LINES = 1000;
const MAX_ATTEMPTS = 90;
const PARTS = ["head", "standing", "commits", "progress", "history"];
const $ = (id) => document.getElementById(id);
const OUTCOMES = {
  succeeded: "succeeded",
  unchanged: "failed; nothing was changed",
  restored: "failed; the version before is in place again",
  broken: "failed, and so did the way back: a person is needed",
};
const STEPS = { running: "running", completed: "done", failed: "failed", "timed-out": "timed out" };
let following = null;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(text, kind = "") {
  $("notice").textContent = text;
  $("notice").className = `notice ${kind}`;
}

function when(at, seconds) {
  return new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: seconds ? "medium" : "short" });
}

function showTimes(root, selector) {
  for (const time of root.querySelectorAll(selector)) {
    if (Number.isNaN(Date.parse(time.dateTime))) continue;
    time.textContent = when(time.dateTime, time.dataset.seconds !== undefined);
  }
}

function showStep(phase, name, status, durationS) {
  const label = phase === "back" ? `back: ${name}` : name;
  let item = [...$("steps").children].find((each) => each.firstChild.textContent === label);
  if (!item) {
    item = element("li");
    item.append(element("span", "name", label), element("span", "state"));
    $("steps").append(item);
  }
  item.className = status;
  const took = status === "running" || !durationS ? "" : ` (${durationS.toFixed(1)} s)`;
  item.lastChild.textContent = (STEPS[status] || status) + took;
  $("no-steps")?.remove();
}

function addLine(at, level, component, message) {
  const log = $("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  const item = element("li", level);
  const time = element("time", "", when(at, true));
  time.dateTime = at;
  item.append(time, element("span", "component", component || ""), element("span", "message", message));
  log.append(item);
  while (log.children.length > MAX_LINES) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

// Takes the parts of the page as the server renders them now. Whoever works with a keyboard keeps their place.
async function refresh() {
  const response = await fetch(location.pathname, { credentials: "same-origin", redirect: "error" });
  if (!response.ok) throw new Error(`The server answered ${response.status}`);
  const fresh = new DOMParser().parseFromString(await response.text(), "text/html");
  const focused = document.activeElement?.id;
  for (const id of PARTS) {
    const part = fresh.getElementById(id);
    if (!part) continue;
    $(id).replaceWith(document.importNode(part, true));
    showTimes($(id), "time[datetime]");
    for (const button of $(id).querySelectorAll("button[data-copy]")) button.remove();
  }
  if (focused && document.activeElement === document.body) $(focused)?.focus();
}

function onEvent(event) {
  if (event.kind === "log") addLine(event.at, event.level, event.component, event.message);
  if (event.kind === "step") {
    showStep(event.phase, event.name, event.status, event.duration_s);
    const good = event.status === "running" || event.status === "completed";
    say(`${event.name}: ${STEPS[event.status] || event.status}`, good ? "" : "bad");
  }
  if (event.kind === "end") {
    const good = event.outcome === "succeeded";
    const why = good ? "" : `: ${[event.failed_step, event.error, event.advice].filter(Boolean).join(", ")}`;
    finish(`The run ${OUTCOMES[event.outcome] || event.outcome}${why}`, good ? "good" : "bad");
  }
}

function follow(run, after = 0, attempt = 0) {
  const { deployment } = $("head").dataset;
  let last = after;
  const address = `/api/v1/deployments/${encodeURIComponent(deployment)}/runs/${encodeURIComponent(run)}/events`;
  const source = new EventSource(`${address}?after=${after}`);
  following = source;
  source.addEventListener("open", () => {
    if (attempt) say("Connected again.");
    attempt = 0;
  });
  source.addEventListener("message", (message) => {
    last = Number(message.lastEventId);
    onEvent(JSON.parse(message.data));
  });
  source.addEventListener("error", () => {
    if (following !== source) return;
    say("The server does not answer; it may be restarting…", "warn");
    if (source.readyState !== EventSource.CLOSED) return;
    // A proxy answered for the server: the browser gives up, we do not.
    following = null;
    if (attempt < MAX_ATTEMPTS) setTimeout(() => follow(run, last, attempt + 1), 1000);
    else say("The connection was lost. Reload the page to see how it went.", "bad");
  });
}

async function finish(text, kind) {
  // "It is on its way" is over.
  document.querySelector("main > .notice.good:not(#notice)")?.remove();
  following.close();
  following = null;
  say(text, kind);
  // The run has told its end; an instant later its process is gone, and what can be taken back is known.
  for (let attempt = 0, settled = 0; attempt < 20 && settled < 2; attempt += 1) {
    try {
      await refresh();
      settled += $("head").dataset.running ? 0 : 1;
    } catch {
      // It may be restarting.
    }
    await new Promise((resolve) => setTimeout(resolve, 700));
  }
}

// What the page shows is what the last check found. Another one is quick, and nobody has to ask for it.
async function check() {
  const { deployment, incoming } = $("head").dataset;
  try {
    const response = await fetch(`/api/v1/deployments/${encodeURIComponent(deployment)}/check`, {
      method: "POST",
      headers: { Accept: "application/json" },
      credentials: "same-origin",
    });
    const body = await response.json();
    if (!response.ok) throw new Error(body.message || `The server answered ${response.status}`);
    if (body.commits.length !== Number(incoming)) await refresh();
    if (body.diverged) say("The checkout has left the remote's history: an update will be refused.", "warn");
  } catch (error) {
    say(error.message, "bad");
  }
}

showTimes(document, "time[data-seconds]");
if ($("head")) {
  $("log").scrollTop = $("log").scrollHeight;
  if ($("head").dataset.running) {
    $("log").replaceChildren();
    $("steps").replaceChildren();
    follow($("head").dataset.running);
  } else if ($("head").dataset.usable === "yes") {
    check();
  }
}
