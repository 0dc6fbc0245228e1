// The dashboard: asks how things stand, starts an update and follows it. Texts only ever become text nodes.

const MAX_LINES = 1000;
const MAX_ATTEMPTS = 90;
const MOST_COMMITS = 500;
const page = document.getElementById("dashboard");
const $ = (id) => document.getElementById(id);
const OUTCOMES = {
  running: "running",
  succeeded: "succeeded",
  unchanged: "failed; nothing was changed",
  restored: "failed; the version before is in place again",
  broken: "failed, and so did the way back: a person is needed",
};
const STEPS = { running: "running", completed: "done", failed: "failed", "timed-out": "timed out" };
let following = null;
let checking = false;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(text, bad = false) {
  $("notice").textContent = text;
  $("notice").classList.toggle("bad", bad);
}

// The buttons stay focusable: whoever works with a keyboard must not lose their place.
function busy(button, on) {
  button.setAttribute("aria-disabled", String(on));
}

async function ask(path, options = {}) {
  const headers = { Accept: "application/json", "X-CSRF-Token": page.dataset.token };
  if (options.method === "POST") headers["Content-Type"] = "application/json";
  const response = await fetch(path, { ...options, headers, credentials: "same-origin" });
  const body = await response.json().catch(() => ({}));
  if (!response.ok) {
    const error = new Error(body.error || `The server answered ${response.status}`);
    error.status = response.status;
    throw error;
  }
  return body;
}

function when(text) {
  return text ? new Date(text).toLocaleString() : "";
}

// Without anything incoming, to look is the first thing to do; updating then repeats the steps and the restart.
function showIncoming(count) {
  $("incoming").textContent = count < MOST_COMMITS ? String(count) : `${MOST_COMMITS} or more`;
  $("update").classList.toggle("quiet", count === 0);
  $("update").textContent = count === 0 ? "Run the steps again" : "Update now";
  $("check").classList.toggle("quiet", count > 0);
}

function showCommits(commits) {
  $("commits").replaceChildren(
    ...commits.map((commit) => {
      const item = element("li");
      item.append(
        element("span", "code", commit.hash.slice(0, 12)),
        element("span", "message", commit.message),
        element("time", "", when(commit.date)),
      );
      return item;
    }),
  );
  $("no-commits").hidden = commits.length > 0;
  if (!commits.length) $("no-commits").textContent = "None: this is the newest version.";
}

function showStep(phase, name, status, durationS) {
  const id = `${phase} ${name}`;
  let item = [...$("steps").children].find((each) => each.dataset.id === id);
  if (!item) {
    item = element("li");
    item.dataset.id = id;
    item.append(element("span", "name", phase === "back" ? `back: ${name}` : name), element("span", "state"));
    $("steps").append(item);
  }
  item.className = status;
  const took = status === "running" || !durationS ? "" : ` (${durationS.toFixed(1)} s)`;
  item.lastChild.textContent = (STEPS[status] || status) + took;
  $("no-steps").hidden = true;
}

function addLine(at, level, component, message) {
  const log = $("log");
  const atEnd = log.scrollTop + log.clientHeight >= log.scrollHeight - 8;
  const item = element("li", level);
  item.append(
    element("time", "", when(at)),
    element("span", "component", component || ""),
    element("span", "message", message),
  );
  log.append(item);
  while (log.children.length > MAX_LINES) log.firstChild.remove();
  if (atEnd) log.scrollTop = log.scrollHeight;
}

function showRun(run) {
  if (!run) {
    $("last").textContent = "none";
    return;
  }
  const ended = run.finished_at ? `, ${when(run.finished_at)}` : "";
  const why = [run.failed_step, run.error].filter(Boolean).join(": ");
  $("last").textContent = `${run.kind}, ${OUTCOMES[run.outcome] || run.outcome}${ended}${why ? `; ${why}` : ""}`;
  $("steps").replaceChildren();
  for (const step of run.steps) showStep("forward", step.name, step.status, step.duration_s);
  for (const step of run.recovery) showStep("back", step.name, step.status, step.duration_s);
}

async function load() {
  const state = await ask("/admin/live/state/");
  $("branch").textContent = state.branch;
  $("commit").textContent = state.commit.slice(0, 12);
  $("commit").title = state.commit;
  $("changes").textContent = state.local_changes ? "yes: an update will be refused" : "none";
  showIncoming(state.updates_available);
  showRun(state.last_run);
  $("log").replaceChildren();
  for (const line of state.log) addLine(line.at, line.level, line.component, line.message);
  $("log").scrollTop = $("log").scrollHeight;
  return state;
}

async function check(quietly) {
  if (checking) return;
  checking = true;
  busy($("check"), true);
  if (!quietly) say("Asking the remote…");
  try {
    const status = (await ask("/admin/status/")).git_status;
    $("commit").textContent = status.commit.slice(0, 12);
    $("commit").title = status.commit;
    $("changes").textContent = status.local_changes ? "yes: an update will be refused" : "none";
    showIncoming(status.remote_updates.length);
    showCommits(status.remote_updates);
    if (!quietly) say(status.updates_available ? "There is something new." : "This is the newest version.");
  } catch (error) {
    say(error.message, true);
  } finally {
    checking = false;
    busy($("check"), false);
  }
}

function onEvent(event) {
  if (event.kind === "log") addLine(event.at, event.level, event.component, event.message);
  if (event.kind === "step") {
    showStep(event.phase, event.name, event.status, event.duration_s);
    say(`${event.name}: ${STEPS[event.status] || event.status}`, event.status !== "running" && event.status !== "completed");
  }
  if (event.kind === "end") {
    const good = event.outcome === "succeeded";
    const why = good ? "" : `: ${[event.failed_step, event.error, event.advice].filter(Boolean).join(", ")}`;
    finish(`Update ${OUTCOMES[event.outcome] || event.outcome}${why}`, !good);
  }
}

function follow(run, after = 0, attempt = 0) {
  busy($("update"), true);
  let last = after;
  const source = new EventSource(`/admin/live/events/?run=${encodeURIComponent(run)}&after=${after}`);
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
    say("The server does not answer; it may be restarting…");
    if (source.readyState !== EventSource.CLOSED) return;
    // A proxy answered for the server: the browser gives up, we do not.
    following = null;
    if (attempt < MAX_ATTEMPTS) setTimeout(() => follow(run, last, attempt + 1), 1000);
    else finish("The connection was lost. Reload the page to see how it went.", true);
  });
}

async function finish(text, bad) {
  if (following) following.close();
  following = null;
  busy($("update"), false);
  say(text, bad);
  try {
    await load();
  } catch {
    return; // what was said stays
  }
  await check(true);
  say(text, bad);
}

async function update() {
  if (following || $("update").getAttribute("aria-disabled") === "true") return;
  busy($("update"), true);
  say("Starting…");
  try {
    const { run } = await ask("/admin/live/update/", { method: "POST", body: "{}" });
    $("steps").replaceChildren();
    follow(run);
  } catch (error) {
    busy($("update"), false);
    say(error.message, true);
  }
}

async function start() {
  $("check").addEventListener("click", () => check(false));
  $("update").addEventListener("click", update);
  try {
    const state = await load();
    if (state.running) follow(state.running);
    else await check(true);
  } catch (error) {
    say(error.message, true);
  }
}

if (page.dataset.managed === "yes") start();
