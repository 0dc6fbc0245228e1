// One request that tells how much of its body is on its way, and why a server refuses.

// Why the server did not take something: `errors` has a text for each field. Status 0: no answer came.
export class Refused extends Error {
  constructor(status, answer) {
    super(answer?.message || (status ? `The server answered with status ${status}.` : "The connection broke, or the file changed."));
    this.status = status;
    this.errors = answer?.errors || {};
    this.missing = answer?.details?.missing || [];
  }
}

export function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

// Gives status, content and header(name) of an answer that is no refusal. Rejects with Refused, or an AbortError.
export function exchange(method, path, headers, body, signal, onProgress = () => {}) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open(method, path);
    for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => onProgress(event.loaded);
    request.onload = () => {
      const content = parsed(request.responseText);
      if (request.status < 200 || request.status >= 300) reject(new Refused(request.status, content));
      else resolve({ status: request.status, content, header: (name) => request.getResponseHeader(name) });
    };
    request.onerror = () => reject(new Refused(0));
    request.onabort = () => reject(new DOMException("cancelled", "AbortError"));
    if (signal.aborted) return request.onabort();
    signal.addEventListener("abort", () => request.abort());
    request.send(body ?? null);
  });
}
