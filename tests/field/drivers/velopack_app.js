/* An application with the Velopack SDK for Node.js: `node velopack_app.js JSON`; prints one line of JSON.
 *
 * In: {modules, url, folder, downgrade?}; `folder` is an installed application, as
 *     velopack_app.py makes it.
 * Out: {offered: {Version, ...}|null, downgrade, deltas: [name], files: {name: {sha256, size}}, error}.
 */
"use strict";
const crypto = require("crypto");
const fs = require("fs");
const path = require("path");

const asked = JSON.parse(process.argv[2]);
const { UpdateManager, setVelopackLogger } = require(require.resolve("velopack", { paths: [asked.modules] }));

async function main() {
    const out = { offered: null, downgrade: false, deltas: [], files: {}, log: [], error: null };
    const packages = path.join(asked.folder, "packages");
    try {
        setVelopackLogger((level, text) => out.log.push(`${level}: ${text}`));
        const locator = {
            RootAppDir: asked.folder,
            UpdateExePath: path.join(asked.folder, "UpdateNix"),
            PackagesDir: packages,
            ManifestPath: path.join(asked.folder, "current", "sq.version"),
            CurrentBinaryDir: path.join(asked.folder, "current"),
            IsPortable: true,
        };
        const options = {
            AllowVersionDowngrade: asked.downgrade === true,
            ExplicitChannel: null,
            MaximumDeltasBeforeFallback: 10,
        };
        const manager = new UpdateManager(asked.url, options, locator);
        const found = await manager.checkForUpdatesAsync();
        if (found) {
            out.offered = found.TargetFullRelease;
            out.downgrade = found.IsDowngrade;
            out.deltas = (found.DeltasToTarget || []).map((each) => each.FileName);
            await manager.downloadUpdateAsync(found);
        }
    } catch (error) {
        out.error = String(error.message || error);
    }
    for (const name of fs.readdirSync(packages).filter((each) => each.endsWith(".nupkg"))) {
        const content = fs.readFileSync(path.join(packages, name));
        out.files[name] = { sha256: crypto.createHash("sha256").update(content).digest("hex"), size: content.length };
    }
    process.stdout.write(JSON.stringify(out) + "\n", () => process.exit(0));
}

main();
