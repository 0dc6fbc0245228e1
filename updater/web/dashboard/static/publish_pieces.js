// Large files in pieces: an upload goes on after a cut, a reload or a restart of the server. Source: tus 1.0.0.

import { Refused, exchange } from "./publish_exchange.js";

const PIECE_BYTES = 8 << 20;
const MOST_TRIES = 10;
const BEGIN = "/api/v1/uploads";
// The upload that another piece of still holds, a server that is busy or starts again, no answer at all.
const PASSING = new Set([0, 408, 423, 429, 500, 502, 503, 504]);

// What is said of a build, as the header that begins an upload has it.
export function describe(build) {
  const [architecture, ...also] = build.architectures;
  const fields = { application_id: build.application, version: build.version, platform: build.platform, architecture };
  Object.assign(fields, { also: also.join(","), file_name: build.name, kind: build.kind, draft: "true", ...build.signatures });
  if (build.main) Object.assign(fields, build.release, { metadata: build.metadata && JSON.stringify(build.metadata) });
  else Object.assign(fields, { companion: "true", delta_from: build.deltaFrom });
  const pairs = Object.entries(fields).filter(([, value]) => value);
  return pairs.map(([name, value]) => `${name} ${inBase64(value)}`).join(",");
}

function inBase64(text) {
  return btoa(String.fromCodePoint(...new TextEncoder().encode(text)));
}

export async function sendInPieces(file, said, token, onProgress, signal) {
  const upload = new Upload(file, said, token, signal);
  let offset = await upload.find();
  for (let tries = 0; offset < file.size; ) {
    onProgress(offset);
    try {
      const next = await upload.append(offset, onProgress);
      tries = next > offset ? 0 : tries + 1;
      offset = next;
    } catch (error) {
      if (!PASSING.has(error.status) || (tries += 1) > MOST_TRIES) throw error;
      await pause(Math.min(30, 2 ** (tries - 1)), signal);
      offset = await upload.offset().catch((later) => {
        if (PASSING.has(later.status)) return offset;
        throw later;
      });
    }
  }
  onProgress(file.size);
  return upload.end();
}

function pause(seconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("cancelled", "AbortError"));
    });
  });
}

class Upload {
  constructor(file, said, token, signal) {
    Object.assign(this, { file, said, signal, url: "" });
    this.headers = { "Tus-Resumable": "1.0.0", "X-CSRF-Token": token };
    // A file is taken for the same by these, since nothing reads it twice.
    this.key = `updater upload ${said.slice(0, 400)} ${file.size} ${file.lastModified}`;
  }

  // Return where to go on: with the upload that was begun before, if the server still has it.
  async find() {
    const [said, url] = JSON.parse(localStorage.getItem(this.key) || "[]");
    if (said === this.said && url) {
      this.url = url;
      try {
        return await this.offset();
      } catch (error) {
        if (error.name === "AbortError") throw error;
      }
    }
    const headers = { ...this.headers, "Upload-Length": this.file.size, "Upload-Metadata": this.said };
    const answer = await exchange("POST", BEGIN, headers, null, this.signal);
    this.url = answer.header("Location");
    localStorage.setItem(this.key, JSON.stringify([this.said, this.url]));
    return 0;
  }

  async offset() {
    const answer = await exchange("HEAD", this.url, this.headers, null, this.signal);
    return Number(answer.header("Upload-Offset"));
  }

  async append(offset, onProgress) {
    const headers = { ...this.headers, "Upload-Offset": offset, "Content-Type": "application/offset+octet-stream" };
    const piece = this.file.slice(offset, offset + PIECE_BYTES);
    try {
      const told = (done) => onProgress(offset + Math.min(done, piece.size));
      const answer = await exchange("PATCH", this.url, headers, piece, this.signal, told);
      return Number(answer.header("Upload-Offset"));
    } catch (error) {
      if (!(error instanceof Refused) || PASSING.has(error.status)) throw error;
      // 409 is also said of a piece that begins elsewhere.
      const now = error.status === 409 ? await this.offset().catch(() => offset) : offset;
      if (now !== offset) return now;
      this.forget();
      throw error;
    }
  }

  // Return what the upload form would have answered.
  async end() {
    const { content } = await exchange("GET", this.url, this.headers, null, this.signal);
    this.forget();
    if (content?.result) return content.result;
    throw new Refused(content?.error?.status ?? 0, content?.error);
  }

  forget() {
    localStorage.removeItem(this.key);
  }
}
