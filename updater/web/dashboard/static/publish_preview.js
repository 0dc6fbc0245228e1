// Notes as they will look. The server's HTML holds none of the notes' own, and loads nothing.

import { ask } from "./publish_send.js";

// Show or hide the notes; `failed` is told why they cannot be shown.
export async function preview(button, place, text, path, token, failed) {
  const isOpen = button.getAttribute("aria-expanded") === "true";
  if (!isOpen) {
    try {
      const answer = await ask("POST", path, token, { release_notes: text });
      const parsed = new DOMParser().parseFromString(answer.html, "text/html");
      for (const link of parsed.links) Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
      place.replaceChildren(...parsed.body.childNodes);
      if (!place.childNodes.length) place.textContent = "There are no notes.";
    } catch (error) {
      return failed(error);
    }
  }
  button.setAttribute("aria-expanded", String(!isOpen));
  button.textContent = isOpen ? "Preview" : "Hide the preview";
  place.hidden = isOpen;
}
