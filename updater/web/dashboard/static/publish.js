// The page that publishes: files become a plan, which the server makes; the plan goes into a draft; a click publishes it.

import { mark, unmark } from "./publish_fields.js";
import { droppedFiles, inBase64, pickedFiles } from "./publish_folder.js";
import { preview } from "./publish_preview.js";
import { Row, item } from "./publish_rows.js";
import { ask, send } from "./publish_send.js";

const AT_ONCE = 2;
const part = (id) => document.getElementById(id);
const form = part("publish");
const { application, token } = form.dataset;
const base = `/api/v1/updates/${application}`;
const page = `/admin/applications/${application}/`;

const files = new Map(); // path -> File
const rows = new Map(); // path -> Row
const contents = new WeakMap(); // File -> its bytes in base64
const excluded = new Set();
const taken = new Set();
const typed = new Set();
let problems = [];
let metadata = {};
let asked = 0;
let running = false;
let isPublishing = false;
let looking = Promise.resolve();
let settling = 0;

function notice(text, kind = "bad") {
  part("notice").className = `notice ${kind}`;
  part("notice").textContent = text;
}

// What is in the way of sending, as a sentence; empty when nothing is.
function obstacle() {
  if (!rows.size) return "Choose files first.";
  if (!form.version.value.trim()) return "Give the version.";
  if (problems.length) return "Some of the files stand in the way: see above.";
  for (const row of rows.values()) if (row.lacks) return `${row.name}: ${row.lacks}`;
  const mains = new Set([...rows.values()].flatMap((row) => row.mains.map((each) => `${row.platform}/${each}`)));
  const without = [...rows.values()].flatMap((row) => row.targets).find((target) => !mains.has(target));
  return without ? `Tick the main file of ${without}.` : "";
}

// The plan.

async function plan() {
  const told = [...files].map(([path, file]) => ({ path, size: file.size, content: contents.get(file) }));
  const wish = (name) => (typed.has(name) && form[name].value.trim()) || undefined;
  const exclude = [...excluded].map((path) => path.replace(/[*?[]/g, "[$&]"));
  return ask("POST", `${base}/plan`, token, { files: told, exclude, version: wish("version"), channel: wish("channel") });
}

function look() {
  looking = lookNow();
  return looking;
}

async function lookNow() {
  const mine = ++asked;
  part("planning").hidden = false;
  part("planning").textContent = `Looking at ${files.size} file${files.size === 1 ? "" : "s"}…`;
  try {
    let answer = await plan();
    if (answer.must_be_told.length) {
      for (const path of answer.must_be_told) contents.set(files.get(path), await inBase64(files.get(path)));
      answer = await plan();
    }
    if (mine === asked) take(answer);
    notice("");
  } catch (error) {
    if (mine === asked) refuse(error);
  } finally {
    if (mine === asked) part("planning").hidden = true;
  }
}

function take(answer) {
  unmark(form.version);
  for (const [name, value] of Object.entries({ version: answer.version, channel: answer.channel, release_notes: answer.release_notes })) {
    if (!typed.has(name)) form[name].value = value ?? "";
  }
  metadata = answer.metadata;
  const items = new Map(answer.files.map((item) => [item.path, item]));
  const open = answer.problems.filter((each) => each.path && (each.field === "platform" || each.field === "architecture"));
  const paths = [...items.keys(), ...open.map((each) => each.path), ...taken];
  for (const [path, row] of rows) if (!row.isLocked && !paths.includes(path)) rows.delete(path);
  for (const path of paths) {
    if (!files.has(path) || excluded.has(path)) continue;
    const known = rows.get(path);
    const row = known && (known.isLocked || known.file === files.get(path)) ? known : new Row(path, files.get(path), part("row"), act);
    if (!row.isLocked && !row.edited && items.has(path)) row.plan(items.get(path));
    rows.set(path, row);
  }
  problems = answer.problems.filter((each) => !open.includes(each));
  for (const each of problems) if (each.field === "version") mark(form.version, each.message);
  showProblems(answer.remarks);
  showLeftOut(answer.left_out.filter((each) => !rows.has(each.path)));
  part("rows").replaceChildren(...[...rows.values()].map((row) => row.element));
  show();
}

function showProblems(remarks) {
  const next = () => part("problems").querySelector("button");
  const lines = problems.map(({ message, path }) => item(message, path && `Leave out ${path}`, () => leave(path, next)));
  const list = document.createElement("ul");
  list.className = "rows plain";
  list.append(...lines, ...remarks.map((each) => item(each)));
  part("problems").hidden = !list.children.length;
  part("problems").className = `notice ${problems.length ? "warn" : "info"}`;
  part("problems").replaceChildren(list);
}

function showLeftOut(left) {
  const all = [...left, ...[...excluded].filter((path) => files.has(path)).map((path) => ({ path, why: "you left it out" }))];
  part("left-out").hidden = !all.length;
  part("left-out").querySelector("summary").textContent = `${all.length} file${all.length === 1 ? " is" : "s are"} left out`;
  const lines = all.slice(0, 200).map(({ path, why }) =>
    // Of files that were read the plan has what they say already.
    item(`${path}: ${why}`, !contents.has(files.get(path)) && "Take it", () => {
      if (!excluded.delete(path)) taken.add(path);
      look();
    }),
  );
  part("left-out").querySelector("ul").replaceChildren(...lines);
}

// Leave out a file. Whoever uses a keyboard keeps their place: at what is beside it then.
async function leave(path, beside) {
  excluded.add(path);
  await look();
  if (document.activeElement === document.body) (beside() || part("left-out").firstElementChild).focus();
}

async function add(give) {
  part("planning").hidden = false;
  part("planning").textContent = "Reading what is in it…";
  try {
    for (const [path, file] of await give()) {
      files.set(path, file);
      excluded.delete(path);
    }
    if (files.size) await look();
  } catch (error) {
    notice(error.message);
  } finally {
    part("planning").hidden = true;
  }
}

// Sending.

function act(row, what) {
  if (what === "cancel") row.abort?.abort();
  if (what === "retry") {
    row.set("waiting");
    run();
  }
  if (what === "leave") {
    const at = [...rows.keys()].indexOf(row.path);
    taken.delete(row.path);
    rows.delete(row.path);
    leave(row.path, () => [...rows.values()][at]?.buttons.leave);
  }
  if (what === "edited" && row.mains.length) {
    // A target has one main file.
    for (const other of rows.values()) {
      if (other !== row && !other.isLocked && other.platform === row.platform) {
        other.mains = other.mains.filter((each) => !row.mains.includes(each));
      }
    }
  }
  show();
}

const RELEASE = ["channel", "minimum_version", "release_notes"];

async function upload(row) {
  row.abort = new AbortController();
  row.set("sending");
  const version = form.version.value.trim();
  const release = Object.fromEntries(RELEASE.map((name) => [name, form[name].value.trim()]));
  if (form.required.checked) release.required = "true";
  const common = { application, base, token, version, release, signatures: row.signatures, metadata: metadata[row.platform] };
  Object.assign(common, { name: row.name, platform: row.platform, kind: row.kind, deltaFrom: row.deltaFrom });
  try {
    let answer;
    for (const each of row.uploads) {
      const build = { ...common, ...each, isKindChosen: each.main && row.isKindChosen };
      answer = await send(row.file, build, (done) => moved(row, done), row.abort.signal);
    }
    row.set("sent");
    row.digest = answer.checksum;
    row.show();
  } catch (error) {
    if (error.name === "AbortError") row.set("cancelled");
    else return refuse(error, row);
  } finally {
    show();
  }
  return true;
}

// Show why the server did not take something: at the row, and at the fields that it names. False: the rest would fail, too.
function refuse(error, row) {
  // `rollout.percent` is about the one input of the rollout.
  const errors = Object.fromEntries(Object.entries(error.errors || {}).map(([name, text]) => [name.split(".")[0], text]));
  if (row && error.status === 409) errors.version = error.message;
  const named = Object.keys(errors).filter((name) => form[name] && name !== "file" && !(row && ["platform", "architecture"].includes(name)));
  for (const name of named) mark(form[name], errors[name]);
  const rest = Object.entries(errors).filter(([name]) => !named.includes(name)).map(([name, text]) => `${name}: ${text}`);
  const missing = (error.missing || []).length ? ` Missing: ${error.missing.join(", ")}.` : "";
  const message = rest.join("; ") || (named.length && error.status === 422 ? "See the fields that are marked." : `${error.message}${missing}`);
  row?.set("failed", message);
  if (named.length) form[named[0]].focus();
  if (!row) notice(message);
  return !named.length;
}

async function run() {
  await looking;
  if (running) return;
  const stop = obstacle();
  if (stop) return notice(stop);
  notice("");
  for (const name of ["version", "rollout", ...RELEASE]) unmark(form[name]);
  running = true;
  show();
  const waiting = () => [...rows.values()].filter((row) => row.state === "waiting");
  let goesOn = true;
  if (![...rows.values()].some((row) => row.state === "sent" && row.mains.length)) {
    // The channel of a release is told by the upload that makes it, which only a main file can.
    const [first] = waiting().filter((row) => row.mains.length).sort((one, other) => one.file.size - other.file.size);
    if (first) goesOn = (await upload(first)) && first.state === "sent";
  }
  const work = async () => {
    for (let row = waiting()[0]; row && goesOn; row = waiting()[0]) goesOn = (await upload(row)) && goesOn;
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  running = false;
  if (isComplete()) await verify();
  show();
}

function isComplete() {
  return rows.size > 0 && [...rows.values()].every((row) => row.state === "sent");
}

// Hold what arrived to what feed files announce of it, and say what else the draft has.
async function verify() {
  try {
    const version = encodeURIComponent(form.version.value.trim());
    const answer = await ask("GET", `${base}/releases?version=${version}&limit=1000`, token);
    const stored = new Map();
    for (const each of answer.releases) for (const file of each.files) stored.set(`${each.platform}/${each.architecture}/${file.name}`, file);
    for (const row of rows.values()) {
      const file = stored.get(`${row.targets[0]}/${row.name}`);
      const other = row.checksums.find(({ kind, value }) => file?.[kind] && file[kind] !== value);
      row.wrong = other ? `It is not what ${other.said_by} says: its ${other.kind} is another one. Build both again.` : "";
      row.show();
      for (const target of row.targets) stored.delete(`${target}/${row.name}`);
    }
    const others = [...stored].filter(([, file]) => file.made_by !== "server").map(([name]) => name);
    if (others.length) notice(`Also in this draft, from before: ${others.join(", ")}.`, "warn");
  } catch (error) {
    refuse(error);
  }
}

async function publish() {
  if (isPublishing) return;
  if (part("publish-draft").ariaDisabled === "true") return settle(part("publish-draft"));
  isPublishing = true;
  show();
  unmark(form.rollout);
  const version = encodeURIComponent(form.version.value.trim());
  const require = [...rows.values()].flatMap((row) => row.targets.map((target) => `${target}/${row.name}`)).slice(0, 1000);
  const share = form.rollout.value.trim();
  try {
    const rollout = share ? Number(share) : undefined;
    await ask("POST", `${base}/releases/${version}/publish`, token, { require, rollout });
    location.assign(`${page}releases/${version}/?said=published`);
  } catch (error) {
    isPublishing = false;
    refuse(error);
    show();
  }
}

function show() {
  const all = [...rows.values()];
  const sent = all.filter((row) => row.state === "sent");
  const isReady = isComplete() && !running;
  const focused = document.activeElement;
  for (const row of all) row.show();
  part("plan").hidden = !all.length && part("left-out").hidden;
  form.version.readOnly = sent.length > 0 || running;
  part("send").hidden = isReady;
  part("send").setAttribute("aria-disabled", String(running));
  part("send").textContent = running ? "Uploading…" : sent.length ? "Upload the rest" : "Upload as a draft";
  part("cancel").hidden = !running;
  if (isReady && part("publish-draft").hidden) settle(part("publish-draft"));
  part("publish-draft").hidden = !isReady;
  part("publish-draft").disabled = isPublishing || all.some((row) => row.wrong);
  part("publish-draft").textContent = isPublishing ? "Publishing…" : `Publish ${form.version.value.trim()}`;
  part("keep").hidden = !sent.length || running;
  part("keep").href = `${page}releases/${encodeURIComponent(form.version.value.trim())}/?said=draft-kept`;
  part("overall").hidden = !running && !sent.length;
  part("overall-text").textContent = `${sent.length} of ${all.length} file${all.length === 1 ? " is" : "s are"} in the draft.`;
  const buttons = ["publish-draft", "send", "cancel"].map(part);
  if (buttons.includes(focused) && focused.hidden) buttons.find((each) => !each.hidden)?.focus();
  showOverall();
}

// A key that is still held, or the second half of a double click on what was here before, is no click on this.
function settle(button) {
  button.setAttribute("aria-disabled", "true");
  clearTimeout(settling);
  settling = setTimeout(() => button.removeAttribute("aria-disabled"), 700);
}

function moved(row, done) {
  row.progress(done);
  showOverall();
}

function showOverall() {
  const all = [...rows.values()];
  const total = all.reduce((sum, row) => sum + row.file.size, 0);
  const done = all.reduce((sum, row) => sum + (row.state === "sent" ? row.file.size : row.state === "sending" ? row.done : 0), 0);
  part("overall-bar").value = total ? done / total : 0;
}

// The page.

function begin() {
  const [file, folder, drop] = [part("file"), part("folder"), part("drop")];
  Object.assign(file, { multiple: true, required: false });
  document.querySelector("label[for=file]").textContent = "Files";
  for (const id of ["target", "plain-actions"]) part(id).remove();
  for (const id of ["drop-hint", "folder-field", "preview-button", "actions"]) part(id).hidden = false;
  for (const input of [file, folder]) {
    input.addEventListener("change", () => {
      const picked = [...input.files];
      input.value = ""; // so that the same choice counts again
      add(() => pickedFiles(picked));
    });
  }
  // Anywhere: what is dropped beside the box would take the place of the page.
  for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
    addEventListener(kind, (event) => {
      if (!event.dataTransfer.types.includes("Files")) return;
      event.preventDefault();
      drop.classList.toggle("over", kind === "dragenter" || kind === "dragover");
      if (kind === "drop") add(() => droppedFiles(event.dataTransfer));
    });
  }
  form.addEventListener("submit", (event) => event.preventDefault());
  // At once, and not when it is left: a plan that comes meanwhile must not write over it.
  form.addEventListener("input", ({ target }) => typed.add(target.name));
  form.addEventListener("change", ({ target }) => {
    if (!target.name || target.type === "file") return;
    unmark(target);
    if (target.name === "version" && files.size) look();
    else if (target.name !== "rollout") resend();
    show();
  });
  part("send").addEventListener("click", run);
  part("publish-draft").addEventListener("click", publish);
  part("preview-button").addEventListener("click", ({ currentTarget }) => {
    unmark(form.release_notes);
    preview(currentTarget, part("preview"), form.release_notes.value, `${base}/preview`, token, refuse);
  });
  part("cancel").addEventListener("click", () => {
    for (const row of rows.values()) {
      if (row.state === "waiting") row.set("cancelled");
      row.abort?.abort();
    }
  });
  addEventListener("beforeunload", (event) => {
    if (!running) return;
    event.preventDefault();
    event.returnValue = ""; // of older browsers
  });
  show();
}

// Builds hold what was said of the release when they were sent, so another word sends their main files anew.
function resend() {
  for (const row of rows.values()) if (row.state === "sent" && row.mains.length) row.set("waiting");
}

begin();
