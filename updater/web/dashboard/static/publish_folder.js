// Which files were picked or dropped, by their path below the folder that was given. No rule of what they are is here.

export const MOST_FILES = 5000;

function add(found, path, file) {
  if (found.size >= MOST_FILES) throw new Error(`That is more than ${MOST_FILES} files: is it the folder with the installers?`);
  found.set(path, file);
}

// The files of an input; the name of a folder that was picked is no part of their paths.
export function pickedFiles(list) {
  const found = new Map();
  for (const file of list) {
    const path = file.webkitRelativePath;
    add(found, path ? path.slice(path.indexOf("/") + 1) : file.name, file);
  }
  return found;
}

// The files of a drop. Of one folder alone the name counts no more than that of a picked one.
export async function droppedFiles(transfer) {
  // All at once: after the first wait the items are gone.
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  const found = new Map();
  const alone = entries.length === 1 && entries[0].isDirectory;
  for (const entry of entries) await walk(entry, alone ? "" : entry.name, found);
  return found;
}

async function walk(entry, path, found) {
  if (entry.isFile) {
    add(found, path, await new Promise((resolve, reject) => entry.file(resolve, reject)));
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // It gives some at a time, and none at the end.
    const some = await new Promise((resolve, reject) => reader.readEntries(resolve, reject));
    if (!some.length) return;
    for (const each of some) await walk(each, path ? `${path}/${each.name}` : each.name, found);
  }
}

export function inBase64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(new Error(`${file.name} cannot be read`));
    reader.readAsDataURL(file);
  });
}
