// Talk to the REST interface as the person who is signed in: ask with JSON, send a file in one piece or in several.

import { describe, sendInPieces } from "./publish_pieces.js";
import { Refused, exchange, parsed } from "./publish_exchange.js";

// What is larger goes on after a cut where it was.
const ONE_PIECE_BYTES = 16 << 20;
// What is said of such a file stands in a header, whose length is bounded.
const MOST_SAID = 24_000;

export async function ask(method, path, token, body) {
  let answer;
  try {
    const headers = { "X-CSRF-Token": token };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    answer = await fetch(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) });
  } catch {
    throw new Refused(0);
  }
  const content = parsed(await answer.text());
  if (!answer.ok) throw new Refused(answer.status, content);
  return content;
}

// Send one file, as the main file of builds or beside one: `build` says which. `onProgress` is told how many of its bytes are
// on their way. Gives what the server answers; rejects with Refused, or with an AbortError when `signal` ends it.
export async function send(file, build, onProgress, signal) {
  const said = describe(build);
  // The form goes by the end of the name for the kind of a main file.
  if ((file.size > ONE_PIECE_BYTES || build.isKindChosen) && said.length < MOST_SAID) {
    return sendInPieces(file, said, build.token, onProgress, signal);
  }
  const [method, path, body, type] = build.main ? asForm(file, build) : asBody(file, build);
  const headers = { "X-CSRF-Token": build.token, ...(type && { "Content-Type": type }) };
  const answer = await exchange(method, path, headers, body, signal, (done) => onProgress(Math.min(done, file.size)));
  if (!answer.content) throw new Refused(answer.status);
  return answer.content;
}

function given(fields) {
  return Object.entries(fields).filter(([, value]) => value);
}

// What is said of a build may be longer than an address, so it goes as a form.
function asForm(file, build) {
  const form = new FormData();
  const fields = { version: build.version, platform: build.platform, architecture: build.architectures[0], ...build.release };
  fields.also = build.architectures.slice(1).join(",");
  fields.metadata = build.metadata && JSON.stringify(build.metadata);
  for (const [name, value] of given({ ...fields, ...build.signatures, draft: "true" })) form.append(name, value);
  form.append("file", file, build.name);
  return ["POST", `${build.base}/upload`, form];
}

function asBody(file, build) {
  const [architecture, ...also] = build.architectures;
  const query = { kind: build.kind, delta_from: build.deltaFrom, also: also.join(","), ...build.signatures, draft: "true" };
  const parts = [build.version, build.platform, architecture, "files", build.name].map(encodeURIComponent);
  const path = `${build.base}/builds/${parts.join("/")}?${new URLSearchParams(given(query))}`;
  return ["PUT", path, file, "application/octet-stream"];
}
