/* tus-js-client: `node tus_app.js JSON`; prints one line of JSON.
 *
 * In: {modules, endpoint, key, file, chunk: bytes|null, withCreation, metadata, retries}.
 * Out: {url, error: text|null, status: of the answer that ended it, or null}.
 */
"use strict";
const fs = require("fs");

const asked = JSON.parse(process.argv[2]);
const tus = require(require.resolve("tus-js-client", { paths: [asked.modules] }));

function tell(url, error) {
    const answer = error && error.originalResponse;
    console.log(JSON.stringify({ url, error: error ? error.message : null, status: answer ? answer.getStatus() : null }));
}

const upload = new tus.Upload(fs.readFileSync(asked.file), {
    endpoint: asked.endpoint,
    chunkSize: asked.chunk || Infinity,
    uploadDataDuringCreation: Boolean(asked.withCreation),
    metadata: asked.metadata,
    headers: { Authorization: `Bearer ${asked.key}` },
    retryDelays: Array(asked.retries).fill(20),
    onError: (error) => tell(upload.url, error),
    onSuccess: () => tell(upload.url, null),
});
upload.start();
