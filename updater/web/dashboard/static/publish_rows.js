// The table of files: one row a file, what it is for and how far it is sent. Texts only ever become text nodes.

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"];

export function size(bytes) {
  let unit = 0;
  while (bytes >= 1024 && unit < UNITS.length - 1) {
    bytes /= 1024;
    unit += 1;
  }
  return `${unit && bytes < 100 ? bytes.toFixed(1) : Math.round(bytes)} ${UNITS[unit]}`;
}

export function duration(seconds) {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}

// A line of a list, with a button for it where it has a label.
export function item(text, label, act) {
  const line = document.createElement("li");
  line.append(document.createElement("span"));
  line.firstChild.textContent = text;
  if (label) {
    const button = document.createElement("button");
    Object.assign(button, { type: "button", className: "quiet small", textContent: label });
    button.addEventListener("click", act);
    line.append(button);
  }
  return line;
}

const WORDS = { waiting: "", sending: "Sending", sent: "In the draft", failed: "Not sent", cancelled: "Cancelled" };

export class Row {
  // `on` is called with this row and what happened: edited, cancel, retry, leave.
  constructor(path, file, template, on) {
    this.path = path;
    this.file = file;
    this.name = file.name.normalize("NFC");
    Object.assign(this, { signatures: {}, deltaFrom: null, checksums: [], edited: false, isKindChosen: false });
    Object.assign(this, { state: "waiting", wrong: "", done: 0, digest: "", mains: [], abort: null, samples: [] });
    this.element = template.content.firstElementChild.cloneNode(true);
    const find = (selector) => this.element.querySelector(selector);
    this.fields = Object.fromEntries(["platform", "architecture", "kind", "main"].map((name) => [name, find(`[data-field=${name}]`)]));
    this.buttons = Object.fromEntries(["cancel", "retry", "leave"].map((name) => [name, find(`[data-do=${name}]`)]));
    this.parts = { state: find(".state"), bar: find("progress"), wrong: find(".wrong") };
    find(".name").textContent = this.name;
    find(".path").textContent = `${path === this.name ? "" : `${path}, `}${size(file.size)}`;
    this.parts.bar.setAttribute("aria-label", `How much of ${this.name} is sent`);
    for (const [name, field] of Object.entries(this.fields)) {
      field.setAttribute("aria-label", `${{ main: "Main file" }[name] || field.getAttribute("aria-label")} of ${this.name}`);
      field.addEventListener("change", () => {
        this.edited = true;
        if (name === "kind") this.isKindChosen = true;
        else this.mains = this.fields.main.checked ? this.architectures : [];
        on(this, "edited");
      });
    }
    for (const [name, button] of Object.entries(this.buttons)) {
      button.setAttribute("aria-label", `${button.textContent}: ${this.name}`);
      button.addEventListener("click", () => on(this, name));
    }
  }

  // Take what the plan says of this file.
  plan(item) {
    const words = (targets) => targets.map((each) => each.architecture);
    this.fields.platform.value = item.targets[0]?.platform ?? "";
    this.#choose(words(item.targets).join(","));
    this.fields.kind.value = item.kind;
    this.mains = words(item.primary_of);
    Object.assign(this, { signatures: item.signatures, deltaFrom: item.delta_from, checksums: item.checksums });
  }

  #choose(architectures) {
    const { architecture } = this.fields;
    if (architectures && ![...architecture.options].some((each) => each.value === architectures)) {
      architecture.append(new Option(architectures.replaceAll(",", " + "), architectures));
    }
    architecture.value = architectures;
  }

  get platform() {
    return this.fields.platform.value;
  }

  get architectures() {
    return this.fields.architecture.value.split(",").filter(Boolean);
  }

  get kind() {
    return this.fields.kind.value; // empty: the server goes by the name
  }

  get isLocked() {
    return this.state === "sending" || this.state === "sent";
  }

  get targets() {
    return this.architectures.map((each) => `${this.platform}/${each}`);
  }

  // The uploads that it takes: as the main file of some targets, and beside that of others.
  get uploads() {
    const rest = this.architectures.filter((each) => !this.mains.includes(each));
    return [
      { main: true, architectures: this.mains },
      { main: false, architectures: rest },
    ].filter((each) => each.architectures.length);
  }

  // What is wrong with what it is for; empty when it can be sent.
  get lacks() {
    if (!this.platform) return "Choose its platform, or leave it out.";
    return this.architectures.length ? "" : "Choose its architecture, or leave it out.";
  }

  set(state, wrong = "") {
    Object.assign(this, { state, wrong });
    if (state !== "sent") Object.assign(this, { digest: "", done: 0, samples: [] });
    this.show();
  }

  progress(done, now = performance.now()) {
    this.done = done;
    this.samples.push([now, done]);
    while (this.samples.length > 2 && now - this.samples[0][0] > 4000) this.samples.shift();
    this.show();
  }

  get bytesPerSecond() {
    const [first, last] = [this.samples[0], this.samples.at(-1)];
    return first && last[0] > first[0] ? ((last[1] - first[1]) * 1000) / (last[0] - first[0]) : 0;
  }

  show() {
    const { fields, buttons, parts } = this;
    for (const field of Object.values(fields)) field.disabled = this.isLocked;
    fields.main.checked = this.mains.length > 0;
    buttons.cancel.hidden = this.state !== "sending";
    buttons.retry.hidden = this.state !== "failed" && this.state !== "cancelled";
    buttons.leave.hidden = this.isLocked;
    parts.bar.hidden = this.state !== "sending";
    parts.bar.value = this.file.size ? this.done / this.file.size : 0;
    parts.state.textContent = this.state === "sending" ? this.#told() : WORDS[this.state];
    if (this.state === "waiting" && Object.keys(this.signatures).length) parts.state.textContent = "Signed";
    if (this.digest) parts.state.append(`, SHA-256 ${this.digest.slice(0, 16)}…`);
    parts.state.title = this.digest;
    parts.wrong.textContent = this.wrong || (this.state === "waiting" ? this.lacks : "");
  }

  #told() {
    if (this.done >= this.file.size) return "Sent; the server stores it";
    const speed = this.bytesPerSecond;
    const left = speed ? `, ${size(speed)}/s, ${duration((this.file.size - this.done) / speed)} left` : "";
    return `${size(this.done)} of ${size(this.file.size)}${left}`;
  }
}
