// Bundles the console: node build.mjs OUT VERSION [DEPFILE]
// OUT gets index.html, console.js, console.css and favicon.svg, each beside its gzipped form. A bundle
// that is over its budget is an error: it is what a person waits for.
import { build } from "esbuild";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";

const BUDGET = 120_000; // bytes, gzipped, all files together
const here = dirname(fileURLToPath(import.meta.url));
const [out, version, depfile] = process.argv.slice(2);
if (!out || !version) {
    console.error("usage: node build.mjs OUT VERSION [DEPFILE]");
    process.exit(2);
}

const result = await build({
    absWorkingDir: here,
    entryPoints: { console: "src/main.tsx" },
    bundle: true,
    minify: true,
    format: "iife",
    target: ["es2021"],
    jsx: "automatic",
    jsxImportSource: "preact",
    legalComments: "eof",
    metafile: true,
    write: false,
    outdir: "out",
    logLevel: "warning",
});

const files = new Map(result.outputFiles.map((file) => [file.path.split("/").pop(), file.contents]));
const page = await readFile(join(here, "index.html"), "utf8");
files.set("index.html", Buffer.from(page.replaceAll("@VERSION@", version)));
files.set("favicon.svg", await readFile(join(here, "favicon.svg")));

await mkdir(out, { recursive: true });
let total = 0;
for (const [name, contents] of files) {
    const packed = gzipSync(contents, { level: 9 });
    total += packed.length;
    await writeFile(join(out, name), contents);
    await writeFile(join(out, name + ".gz"), packed);
}
if (total > BUDGET) {
    console.error(`console: ${total} bytes gzipped, the budget is ${BUDGET}`);
    process.exit(1);
}
console.log(`console: ${total} bytes gzipped`);

if (depfile) {
    const inputs = Object.keys(result.metafile.inputs).concat("index.html", "favicon.svg", "build.mjs");
    const paths = inputs.map((input) => relative(process.cwd(), resolve(here, input)).replaceAll(" ", "\\ "));
    await writeFile(depfile, `${join(out, "index.html")}: ${paths.join(" ")}\n`);
}
