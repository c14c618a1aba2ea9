// The folder that a person chose: its files with the paths that they have in the package.

export interface PackageFile {
    path: string;
    file: File;
}

export interface Folder {
    name: string;
    files: PackageFile[];
    bytes: number;
    /** There is no model/ in it: its files are sent as what is in model/, unless that is declined. */
    isModelDirectory: boolean;
    /** What was chosen holds one package, this folder: "" where it is the package itself. */
    inside: string;
}

/** As the server has it (docs/api.md, Uploads). */
export const MOST_FILES = 100_000;

export const CHILD = "model";

const WELL_FORMED = /[^A-Za-z0-9_\-\u4e00-\u9fff]+/g;

/** A valid model name that is as near to the text as can be. */
export function nameFrom(text: string): string {
    return text
        .replace(WELL_FORMED, "-")
        .replace(/^-+|-+$/g, "")
        .slice(0, 64);
}

/** A package that was chosen with a folder around it: there is one model/config.json, deeper down. */
function packageInside(files: PackageFile[]): string {
    if (files.some(({ path }) => path.startsWith(`${CHILD}/`) || path === "config.json")) return "";
    const ending = `/${CHILD}/config.json`;
    const found = files.filter(({ path }) => path.endsWith(ending));
    return found.length === 1 ? found[0]!.path.slice(0, -ending.length) : "";
}

export function folderOf(name: string, found: PackageFile[]): Folder {
    const inside = packageInside(found);
    const files = found
        .filter(({ path }) => !inside || path.startsWith(`${inside}/`))
        .map(({ path, file }) => ({ path: inside ? path.slice(inside.length + 1) : path, file }))
        .sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
    return {
        name: inside ? inside.split("/").pop()! : name,
        files,
        bytes: files.reduce((sum, { file }) => sum + file.size, 0),
        isModelDirectory: !files.some(({ path }) => path.startsWith(`${CHILD}/`)),
        inside,
    };
}

/** As it is sent: with model/ in front where what was chosen is the model directory. */
export function inChild(folder: Folder): Folder {
    const files = folder.files.map(({ path, file }) => ({ path: `${CHILD}/${path}`, file }));
    return { ...folder, files };
}

/** Of <input webkitdirectory>: "FOLDER/model/config.json" each. */
export function folderOfInput(list: FileList): Folder | null {
    const files = Array.from(list);
    const first = files[0];
    if (!first) return null;
    const name = first.webkitRelativePath.split("/")[0] ?? "";
    return folderOf(
        name,
        files.map((file) => ({ path: file.webkitRelativePath.slice(name.length + 1), file })),
    );
}

/** What was dropped; the entries must be taken before the handler returns. */
export function droppedEntries(data: DataTransfer): FileSystemEntry[] {
    return Array.from(data.items)
        .filter((item) => item.kind === "file")
        .map((item) => item.webkitGetAsEntry())
        .filter((entry): entry is FileSystemEntry => entry !== null);
}

/** A single folder is the package; of several things dropped together each is a part of it. */
export async function folderOfDrop(entries: FileSystemEntry[], seen: (files: number) => void): Promise<Folder> {
    const found: PackageFile[] = [];
    const only = entries.length === 1 && entries[0]!.isDirectory ? entries[0]! : null;
    for (const entry of only ? await children(only as FileSystemDirectoryEntry) : entries)
        await walk(entry, "", found, seen);
    const named = only ?? entries.find((entry) => entry.isDirectory) ?? entries[0];
    return folderOf(named?.name ?? "", found);
}

async function walk(
    entry: FileSystemEntry,
    prefix: string,
    found: PackageFile[],
    seen: (files: number) => void,
): Promise<void> {
    const path = prefix + entry.name;
    if (entry.isDirectory) {
        for (const child of await children(entry as FileSystemDirectoryEntry))
            await walk(child, `${path}/`, found, seen);
        return;
    }
    const file = await new Promise<File>((done, failed) => (entry as FileSystemFileEntry).file(done, failed));
    found.push({ path, file });
    if (found.length % 100 === 0) seen(found.length);
}

/** A reader gives some of them at a time, until there are no more. */
async function children(directory: FileSystemDirectoryEntry): Promise<FileSystemEntry[]> {
    const reader = directory.createReader();
    const all: FileSystemEntry[] = [];
    for (;;) {
        const some = await new Promise<FileSystemEntry[]>((done, failed) => reader.readEntries(done, failed));
        if (some.length === 0) return all;
        all.push(...some);
    }
}

/** What tells whether a file is as it was. */
export function stamp({ file }: PackageFile): string {
    return `${file.size}:${file.lastModified}`;
}

/** The same for the same names, sizes and times. crypto.subtle is not there over plain HTTP. */
export function fingerprint(files: PackageFile[]): string {
    const hashes = [0x9dc5811c, 0x1b873593, 0x85ebca6b, 0x27d4eb2f];
    for (const one of files) {
        const text = `${one.path}\0${stamp(one)}\n`;
        for (let i = 0; i < text.length; i++)
            for (let h = 0; h < hashes.length; h++)
                hashes[h] = Math.imul(hashes[h]! ^ (text.charCodeAt(i) + h), 0x01000193 + 2 * h) >>> 0;
    }
    return hashes.map((hash) => hash.toString(16).padStart(8, "0")).join("");
}
