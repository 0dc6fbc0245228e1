// What does not fit, beside the input that it is about, as the server renders it.

export function mark(input, text) {
  const id = `${input.name}-wrong`;
  let wrong = document.getElementById(id);
  if (!wrong) {
    wrong = document.createElement("span");
    Object.assign(wrong, { id, className: "wrong" });
    input.closest(".field").append(wrong);
  }
  wrong.textContent = text;
  const described = (input.getAttribute("aria-describedby") || "").split(" ").filter((each) => each && each !== id);
  input.setAttribute("aria-describedby", [...described, id].join(" "));
  input.setAttribute("aria-invalid", "true");
}

export function unmark(input) {
  document.getElementById(`${input.name}-wrong`)?.remove();
  input.removeAttribute("aria-invalid");
}
