/* electron-updater without Electron: `node electron.js JSON`; prints one line of JSON.
 *
 * In: {modules, kind: "AppImage"|"Nsis"|"Mac", feed: {provider options}, version, cache, old?, channel?, headers?,
 *      stagingId?, arch?, system?, allowDowngrade?}. `cache` is the folder that the updater keeps between runs; the
 *      installed file `old` is put where the updater of that kind looks for it.
 * Out: {available, offered: {version, notes, ...}, file: {name, sha256, size}|null, log: [text], error: text|null}.
 */
"use strict";
const crypto = require("crypto");
const events = require("events");
const fs = require("fs");
const http = require("http");
const Module = require("module");
const path = require("path");

const asked = JSON.parse(process.argv[2]);
const nativeUpdater = new events.EventEmitter();
const loadModule = Module._load;
Module._load = (name, ...rest) => (name === "electron" ? { autoUpdater: nativeUpdater } : loadModule(name, ...rest));
const library = (name) => require(require.resolve(name, { paths: [asked.modules] }));
const { HttpExecutor, configureRequestUrl, configureRequestOptions } = library("builder-util-runtime");

/** Node's http instead of Electron's net. Source: electron-builder, NodeHttpExecutor and TestNodeHttpExecutor. */
class NodeExecutor extends HttpExecutor {
    createRequest(options, callback) {
        return http.request(options, callback);
    }
    download(url, destination, options) {
        return options.cancellationToken.createPromise((resolve, reject, onCancel) => {
            const request = { headers: options.headers || undefined };
            configureRequestUrl(url, request);
            configureRequestOptions(request);
            const callback = (error) => (error == null ? resolve(destination) : reject(error));
            this.doDownload(request, { destination, options, onCancel, callback, responseHandler: null }, 0);
        });
    }
}

/** What Squirrel.Mac does with the local server of MacUpdater: it asks for the address of the zip and fetches it. */
function actAsSquirrelMac(out) {
    let feed = null;
    nativeUpdater.setFeedURL = (given) => (feed = given);
    nativeUpdater.checkForUpdates = async () => {
        const { url } = await (await fetch(feed.url, { headers: feed.headers })).json();
        const zip = Buffer.from(await (await fetch(url)).arrayBuffer());
        out.native = { size: zip.length, sha256: crypto.createHash("sha256").update(zip).digest("hex") };
        nativeUpdater.emit("update-downloaded");
    };
}

function makeUpdater(out) {
    const data = path.join(asked.cache, "data");
    const app = {
        version: asked.version,
        name: "field",
        isPackaged: true,
        appUpdateConfigPath: path.join(data, "app-update.yml"),
        userDataPath: data,
        baseCachePath: asked.cache,
        whenReady: () => Promise.resolve(),
        relaunch() {},
        quit() {},
        onQuit() {},
    };
    fs.mkdirSync(path.join(asked.cache, "field"), { recursive: true });
    fs.mkdirSync(data, { recursive: true });
    fs.writeFileSync(app.appUpdateConfigPath, JSON.stringify({ ...asked.feed, updaterCacheDirName: "field" }));
    if (asked.stagingId) fs.writeFileSync(path.join(data, ".updaterId"), asked.stagingId);
    const places = { Nsis: "installer.exe", Mac: "update.zip" };
    if (asked.old && places[asked.kind]) fs.copyFileSync(asked.old, path.join(asked.cache, "field", places[asked.kind]));
    if (asked.kind === "AppImage") process.env.APPIMAGE = asked.old || "/absent";
    const name = `${asked.kind}Updater`;
    const found = require.resolve("electron-updater", { paths: [asked.modules] });
    require(found); // older versions import each other in a circle that begins here
    const updater = new (require(path.join(path.dirname(found), `${name}.js`))[name])(null, app);
    updater.httpExecutor = new NodeExecutor();
    const platform = { AppImage: "linux", Nsis: "win32", Mac: "darwin" }[asked.kind];
    const options = updater.createProviderRuntimeOptions;
    updater.createProviderRuntimeOptions = () => ({ ...options.call(updater), platform });
    if (asked.system) require("os").release = () => asked.system;
    if (asked.arch) Object.defineProperty(process, "arch", { value: asked.arch });
    const say = (level) => (text) => out.log.push(`${level}: ${text}`);
    updater.logger = { info: say("info"), warn: say("warn"), error: say("error"), debug: say("debug") };
    updater.autoDownload = false;
    updater.disableWebInstaller = true;
    if (asked.headers) updater.requestHeaders = asked.headers;
    if (asked.channel) updater.channel = asked.channel;
    updater.allowDowngrade = asked.allowDowngrade === true;
    return updater;
}

async function main() {
    const out = { available: false, offered: null, file: null, log: [], error: null };
    actAsSquirrelMac(out);
    try {
        const updater = makeUpdater(out);
        updater.on("update-available", () => (out.available = true));
        const result = await updater.checkForUpdates();
        out.offered = result.updateInfo;
        if (out.available) {
            const [file] = await updater.downloadUpdate();
            const content = fs.readFileSync(file);
            const sha256 = crypto.createHash("sha256").update(content).digest("hex");
            out.file = { name: path.basename(file), size: content.length, sha256, path: file };
            if (updater.server) updater.server.close();
        }
    } catch (error) {
        out.error = `${error.code || ""} ${error.message || error}`.trim();
    }
    process.stdout.write(JSON.stringify(out) + "\n", () => process.exit(0));
}

main();
