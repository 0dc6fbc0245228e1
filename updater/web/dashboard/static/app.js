// On every page: times in the reader's zone, and buttons that copy. Texts only ever become text nodes.

for (const time of document.querySelectorAll("time[datetime]")) {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) continue;
  time.title = time.textContent;
  time.textContent = at.toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
}

// Only secure pages have a clipboard; elsewhere the text is selected and copied as a person would.
async function copy(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "unseen";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("not copied");
}

const spoken = document.createElement("p");
spoken.className = "unseen";
spoken.setAttribute("aria-live", "polite");
document.body.append(spoken);

for (const button of document.querySelectorAll("button[data-copy]")) {
  const label = button.textContent;
  button.hidden = false;
  button.addEventListener("click", async () => {
    let said = "Copied";
    try {
      await copy(button.dataset.copy);
    } catch {
      said = "Not copied";
    }
    button.textContent = spoken.textContent = said;
    setTimeout(() => {
      button.textContent = label;
      spoken.textContent = "";
    }, 1500);
  });
}

// What a form did is said once: reading the page again, or giving its address to somebody, does not say it again.
const address = new URL(location.href);
if (address.searchParams.has("said")) {
  address.searchParams.delete("said");
  history.replaceState(history.state, "", address);
}
