// The Import page: a folder is sent, checked, mended and imported.
import type { Page } from "@playwright/test";
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { CONFIG, expect, test, type Waybill } from "./fixture";

const MIB = 1 << 20;

async function openImport(page: Page, waybill: Waybill): Promise<void> {
    await page.goto(`${waybill.url}#/default/import`);
    await expect(page.getByRole("heading", { name: "Import a model" })).toBeVisible();
}

async function choose(page: Page, folder: string): Promise<void> {
    await page.getByLabel("Folder to send").setInputFiles(folder);
    await expect(page.locator(".chosen")).toBeVisible();
}

const check = (page: Page) => page.getByRole("button", { name: "Check", exact: true }).click();
const importIt = (page: Page) => page.getByRole("button", { name: "Import", exact: true }).click();
const editor = (page: Page) => page.getByRole("textbox", { name: "config.json" });

/** The id of the model whose timeline the page shows. */
async function shownModel(page: Page): Promise<string> {
    await expect(page).toHaveURL(/\/models\/[0-9a-f-]+\/events/);
    return /models\/([0-9a-f-]+)/.exec(page.url())![1]!;
}

/** Bytes a second that the page may send; 0: as many as it can. */
async function limitUpload(page: Page, rate: number): Promise<void> {
    const session = await page.context().newCDPSession(page);
    await session.send("Network.enable");
    await session.send("Network.emulateNetworkConditions", {
        offline: false,
        latency: 0,
        downloadThroughput: -1,
        uploadThroughput: rate || -1,
    });
}

test("a folder is sent with its progress, goes on after the server was killed, and is imported", async ({
    page,
    waybill,
}) => {
    const folder = waybill.package("digits", CONFIG, {
        "model/weights.bin": randomBytes(24 * MIB),
        "model/empty": "",
        "README.md": "digits",
    });
    const begins: number[] = [];
    page.on("request", (request) => {
        if (request.method() === "PUT" && request.url().endsWith("weights.bin"))
            begins.push(Number(/bytes (\d+)/.exec(request.headers()["content-range"] ?? "")?.[1] ?? 0));
    });
    await openImport(page, waybill);
    await choose(page, folder);
    await expect(page.getByLabel("Name", { exact: true })).toHaveValue("digits");
    await expect(page.getByLabel("Version", { exact: true })).toHaveValue("0.0.1");
    await limitUpload(page, 4 * MIB);
    await importIt(page);
    const upload = page.getByRole("region", { name: "Upload" });
    await expect(upload.getByRole("progressbar")).toHaveAttribute("aria-label", /Upload: ([3-9]\d) %/, {
        timeout: 20_000,
    });
    await expect(upload).toContainText("/s");
    await expect(upload).toContainText("left");
    await waybill.stop("SIGKILL");
    await expect(upload).toContainText("The connection is broken");
    await waybill.start();
    await limitUpload(page, 0);
    const details = await waybill.settled(await shownModel(page));
    expect(details.model_status).toBe("published");
    expect(details.model_size).toBeGreaterThan(24 * MIB);
    expect(begins.length).toBeGreaterThan(1);
    expect(begins[begins.length - 1]).toBeGreaterThan(0);
});

test("an upload goes on after the page was left, which asks first", async ({ page, waybill }) => {
    const folder = waybill.package("large", CONFIG, {
        "model/a.bin": randomBytes(2 * MIB),
        "model/b.bin": randomBytes(16 * MIB),
    });
    const asked: string[] = [];
    page.on("dialog", (dialog) => (asked.push(dialog.type()), void dialog.accept()));
    await openImport(page, waybill);
    await choose(page, folder);
    await limitUpload(page, 3 * MIB);
    await check(page);
    await expect(page.getByRole("progressbar")).toHaveAttribute("aria-label", /Upload: ([4-9]\d) %/, {
        timeout: 20_000,
    });
    await page.reload();
    expect(asked).toEqual(["beforeunload"]);
    await expect(page.getByText(/An upload of large\/ has .* of 18.0 MiB/)).toBeVisible();
    await choose(page, folder);
    await check(page);
    await expect(page.getByText("were there already")).toBeVisible();
    await limitUpload(page, 0);
    await expect(page.getByRole("heading", { name: /nothing that would stop/ })).toBeVisible({ timeout: 30_000 });
    await importIt(page);
    expect((await waybill.settled(await shownModel(page))).model_status).toBe("published");
});

test("an upload is cancelled, kept, and removed", async ({ page, waybill }) => {
    await openImport(page, waybill);
    await choose(page, waybill.package("large", CONFIG, { "model/a.bin": randomBytes(8 * MIB) }));
    await limitUpload(page, MIB);
    await check(page);
    await expect(page.getByRole("progressbar")).toHaveAttribute("aria-label", /Upload: ([1-9]\d) %/, {
        timeout: 20_000,
    });
    await page.getByRole("button", { name: "Cancel" }).click();
    await expect(page.getByText("Stopped. What arrived is kept")).toBeVisible();
    const removed = page.waitForResponse((answer) => answer.request().method() === "DELETE");
    await page.getByRole("button", { name: "Remove what was sent" }).click();
    expect((await removed).status()).toBe(200);
    await expect(page.getByRole("progressbar")).toBeHidden();
});

const FAULTY = `{
  "model_algorithm": "digits",
  "model_type": "Custom",
  "metrics": { "f1": "0.9" },
  "surplus": true
}
`;

test("what the check finds stands at its line, is mended there, and imported", async ({ page, waybill }) => {
    await openImport(page, waybill);
    await choose(
        page,
        waybill.package("faulty", FAULTY, { "model/weights.bin": "weights", "model/Dockerfile": "FROM x\n" }),
    );
    await expect(editor(page)).toHaveValue(FAULTY);
    await check(page);
    await expect(page.getByRole("heading", { name: /would stop here: 1 finding/ })).toBeVisible();
    await expect(page.getByText("not used:")).toContainText("surplus");
    await expect(page.getByRole("region", { name: "Files" })).toContainText("model/Dockerfile has no effect here");
    await page.getByRole("button", { name: /^Line 4:.*f1 is "0.9"/ }).click();
    const selected = await editor(page).evaluate((area: HTMLTextAreaElement) =>
        area.value.slice(area.selectionStart, area.selectionEnd),
    );
    expect(selected).toBe('"0.9"');
    await page.getByRole("button", { name: "line 4, column 22" }).click();
    await page.keyboard.type("0.9");
    await expect(editor(page)).toHaveValue(FAULTY.replace('"0.9"', "0.9"));
    await expect(page.getByText("Found before the last change")).toBeVisible();
    await check(page);
    await expect(page.getByRole("heading", { name: /nothing that would stop/ })).toBeVisible();
    expect((await waybill.ask("GET", "/v1/default/models")).json.total_count).toBe(0);
    await importIt(page);
    const details = await waybill.settled(await shownModel(page));
    expect(details.model_status).toBe("published");
    expect(JSON.parse(details.config).metrics.f1).toBe(0.9);
});

test("the findings are in Chinese, too", async ({ page, waybill }) => {
    await openImport(page, waybill);
    await page.getByRole("button", { name: "中文" }).click();
    await page.getByLabel("要上传的文件夹").setInputFiles(waybill.package("faulty", FAULTY));
    await page.getByRole("button", { name: "检查", exact: true }).click();
    await expect(page.getByRole("heading", { name: "导入会在此停止:有 1 个问题需要修复。" })).toBeVisible();
    await expect(page.getByRole("button", { name: /^第 4 行:.*应为/ })).toBeVisible();
});

test("config.json is generated by the form, and a finding stands at its row", async ({ page, waybill }) => {
    await openImport(page, waybill);
    await choose(page, waybill.package("bare", null));
    await page.getByRole("button", { name: "Form" }).click();
    const section = page.getByRole("region", { name: "config.json" });
    await section.getByLabel("Algorithm").fill("digits");
    await section.getByLabel("Type").selectOption("Custom");
    await section.getByRole("button", { name: "Add a package" }).click();
    await section.getByLabel("Name of package 1").fill("scikit learn");
    await section.getByLabel("Version of package 1").fill("1.4");
    await check(page);
    await expect(section.locator(".dependency")).toContainText('"scikit learn"');
    await section.getByRole("button", { name: "Remove of package 1" }).click();
    await check(page);
    await expect(page.getByRole("heading", { name: /nothing that would stop/ })).toBeVisible();
    await importIt(page);
    const details = await waybill.settled(await shownModel(page));
    expect(details.model_status).toBe("published");
    expect(JSON.parse(details.config)).toEqual({ model_algorithm: "digits", model_type: "Custom" });
});

test("an image reference that may not be read is refused at its field; one that may is imported", async ({
    page,
    waybill,
}) => {
    await openImport(page, waybill);
    await page.getByRole("button", { name: "Image", exact: true }).click();
    const image = page.getByLabel(/Image reference/);
    await image.fill("registry.example.com/team/resnet:v5");
    await image.blur();
    await expect(page.getByLabel("Name", { exact: true })).toHaveValue("resnet");
    await image.fill("oci:/nowhere/resnet:v5");
    await check(page);
    await expect(page.getByRole("region", { name: "Source" }).locator(".field-note")).toContainText(
        "may not be imported from",
    );
    await expect(image).toHaveAttribute("aria-invalid", "true");
    await image.fill(`oci:${join(waybill.directory, "base")}:latest`);
    await importIt(page);
    expect((await waybill.settled(await shownModel(page))).model_type).toBe("Image");
});

test("the server's refusals stand by their fields", async ({ page, waybill }) => {
    await openImport(page, waybill);
    await page.getByRole("button", { name: "Path or address" }).click();
    await page.getByLabel(/Where the package lies/).fill(`file://${waybill.package("digits")}`);
    await page.getByLabel("Name", { exact: true }).fill("not valid!");
    await page.getByLabel("Version", { exact: true }).fill("1");
    await page.getByLabel("Type", { exact: true }).selectOption("Custom");
    await page.getByLabel("Description", { exact: true }).fill("a < b");
    await importIt(page);
    const model = page.getByRole("region", { name: "Model" });
    await expect(model.locator(".field-note")).toHaveCount(3);
    await expect(model.locator(".field", { hasText: "Version" }).locator(".field-note")).toContainText(
        "expected N.N.N",
    );
    await page.getByLabel("Name", { exact: true }).fill("digits");
    await page.getByLabel("Version", { exact: true }).fill("2.0.0");
    await page.getByLabel("Description", { exact: true }).fill("a");
    await importIt(page);
    expect((await waybill.settled(await shownModel(page))).model_version).toBe("2.0.0");
});

test("a fault of the config.json that is sent is told at its line by the import, too", async ({ page, waybill }) => {
    await openImport(page, waybill);
    await page.getByRole("button", { name: "Path or address" }).click();
    const path = page.getByLabel(/Where the package lies/);
    await path.fill(`file://${waybill.package("digits")}`);
    await path.blur();
    await editor(page).fill('{\n  "model_algorithm": 5,\n  "model_type": "Custom"\n}\n');
    await importIt(page);
    await expect(page.getByRole("button", { name: /^Line 2:.*model_algorithm is 5/ })).toBeVisible();
    await editor(page).fill("");
    await check(page);
    await expect(page.getByRole("heading", { name: /nothing that would stop/ })).toBeVisible();
    await importIt(page);
    expect((await waybill.settled(await shownModel(page))).model_type).toBe("Custom");
});

test("the form of an image has its health check, and keeps what it does not know", async ({ page, waybill }) => {
    await openImport(page, waybill);
    await editor(page).fill('{ "model_algorithm": "a", "model_type": "Image", "apis": [{ "url": "/" }] }');
    await page.getByRole("button", { name: "Form" }).click();
    await page.getByLabel("Image", { exact: true }).fill("registry.example.com/a:1");
    await page.getByRole("checkbox", { name: "Health check" }).check();
    await page.getByLabel("Every (s)").fill("10");
    await page.getByRole("button", { name: "Text", exact: true }).click();
    expect(JSON.parse(await editor(page).inputValue())).toEqual({
        model_algorithm: "a",
        model_type: "Image",
        apis: [{ url: "/" }],
        swr_location: "registry.example.com/a:1",
        health: { check_method: "HTTP", protocol: "http", url: "/health", period_seconds: 10 },
    });
});

test("hostile file names are text, and what the server refuses can be left out", async ({ page, waybill }) => {
    const folder = waybill.package("hostile", CONFIG, { "model/weights.bin": "weights" });
    writeFileSync(join(folder, "model", "<img src=x onerror=alert(1)>.bin"), "x");
    writeFileSync(join(folder, "model", "100% #a?b&c=d ü.bin"), "x");
    writeFileSync(join(folder, "model", "two\nlines.bin"), "x");
    mkdirSync(join(folder, "model", "deep"));
    writeFileSync(join(folder, "model", "deep", "文件.bin"), "x");
    page.on("dialog", () => expect("a dialog").toBe("none"));
    await openImport(page, waybill);
    await choose(page, folder);
    await check(page);
    const upload = page.getByRole("region", { name: "Upload" });
    await expect(upload.locator(".note")).toHaveCount(1);
    await expect(upload.locator(".note")).toContainText("control character");
    await upload.getByRole("button", { name: "leave them out and check" }).click();
    await expect(page.getByRole("heading", { name: /nothing that would stop/ })).toBeVisible();
    const files = page.getByRole("region", { name: "Files" });
    for (const name of ["<img src=x onerror=alert(1)>.bin", "100% #a?b&c=d ü.bin", "deep/文件.bin"])
        await expect(files).toContainText(name);
    expect(await page.locator("img[src=x]").count()).toBe(0);
    await importIt(page);
    expect((await waybill.settled(await shownModel(page))).model_status).toBe("published");
});

test("the model folder itself is sent as model/, unless that is declined", async ({ page, waybill }) => {
    await openImport(page, waybill);
    await choose(page, join(waybill.package("digits"), "model"));
    await expect(editor(page)).toHaveValue(/digits/);
    const asModel = page.getByRole("checkbox", { name: /looks like the model folder itself/ });
    await expect(asModel).toBeChecked();
    await asModel.uncheck();
    await check(page);
    await expect(page.getByRole("region", { name: "Check" })).toContainText(
        "You seem to have given the model folder itself",
    );
    await asModel.check();
    await check(page);
    await expect(page.getByRole("heading", { name: /nothing that would stop/ })).toBeVisible();
});

test("a version that is there is not taken, and a failed one is retried", async ({ page, waybill }) => {
    await waybill.imported(waybill.package("digits"));
    const failed = await waybill.imported(waybill.package("digits-bad", FAULTY), {
        model_name: "digits",
        model_version: "0.0.2",
    });
    await openImport(page, waybill);
    await choose(page, waybill.package("digits"));
    const version = page.getByLabel("Version", { exact: true });
    await expect(version).toHaveValue("0.0.3");
    await version.fill("0.0.1");
    await expect(page.getByText("is there already and stays as it is")).toBeVisible();
    await expect(page.getByRole("button", { name: "Import", exact: true })).toBeDisabled();
    await version.fill("0.0.3");
    await page.getByRole("button", { name: "Retry 0.0.2 instead" }).click();
    await page.getByRole("button", { name: "Import again" }).click();
    expect(await shownModel(page)).toBe(failed);
    const details = await waybill.settled(failed);
    expect(details.model_status).toBe("published");
    expect(details.attempt).toBe(2);
});

/** Drops what lies at the paths, as a person does with a file manager. */
async function drop(page: Page, ...files: string[]): Promise<void> {
    await page.locator(".drop").scrollIntoViewIfNeeded();
    const box = (await page.locator(".drop").boundingBox())!;
    const session = await page.context().newCDPSession(page);
    for (const type of ["dragEnter", "dragOver", "drop"] as const)
        await session.send("Input.dispatchDragEvent", {
            type,
            x: box.x + 20,
            y: box.y + 20,
            data: { items: [], files, dragOperationsMask: 1 },
        });
}

test("a folder is dropped, and again when a file of it has changed: only that one is sent", async ({
    page,
    waybill,
}) => {
    const folder = waybill.package("dropped", FAULTY, {
        "model/weights.bin": "weights",
        "model/deep/er/notes.txt": "notes",
    });
    const sent: string[] = [];
    page.on(
        "request",
        (request) =>
            request.method() === "PUT" &&
            sent.push(new URL(request.url()).pathname.replace(/.*\/uploads\/[^/]+\//, "")),
    );
    await openImport(page, waybill);
    await drop(page, folder);
    await expect(page.locator(".chosen")).toContainText("dropped/ · 3 files");
    await check(page);
    await expect(page.getByRole("heading", { name: /would stop here/ })).toBeVisible();
    expect(sent.sort()).toEqual(["model/config.json", "model/deep/er/notes.txt", "model/weights.bin"]);
    sent.length = 0;
    writeFileSync(join(folder, "model/config.json"), JSON.stringify(CONFIG));
    await drop(page, folder);
    await expect(editor(page)).toHaveValue(JSON.stringify(CONFIG));
    await check(page);
    await expect(page.getByRole("heading", { name: /nothing that would stop/ })).toBeVisible();
    expect(sent).toEqual(["model/config.json"]);
});

test("a folder around the package is looked through, and a name is made valid", async ({ page, waybill }) => {
    waybill.package("around/my model (v2)");
    writeFileSync(join(waybill.directory, "packages/around/other.txt"), "other");
    await openImport(page, waybill);
    await choose(page, join(waybill.directory, "packages/around"));
    await expect(page.locator(".chosen")).toContainText("my model (v2)/ · 2 files");
    await expect(page.getByLabel("Name", { exact: true })).toHaveValue("my-model-v2");
});

test("limits of the server are told: too large, no room, too many uploads", async ({ page, waybill }) => {
    await waybill.stop();
    await waybill.start("upload.limit_gib=0.001");
    const folder = waybill.package("big", CONFIG, { "model/weights.bin": randomBytes(2 * MIB) });
    await openImport(page, waybill);
    await choose(page, folder);
    await check(page);
    const upload = page.getByRole("region", { name: "Upload" });
    await expect(upload.getByRole("alert")).toContainText("larger than the server takes");
    await waybill.stop();
    await waybill.start("upload.min_free_gib=1000000");
    await check(page);
    await expect(upload.getByRole("alert")).toContainText("disk has no room");
    await waybill.stop();
    await waybill.start("upload.max_open=1");
    await page.getByRole("button", { name: "Start over" }).click();
    await choose(page, waybill.package("other"));
    await check(page);
    await expect(upload.getByRole("alert")).toContainText("upload.max_open");
});

test("axe finds no serious violation, in both themes", async ({ page, waybill }) => {
    const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
    await openImport(page, waybill);
    await choose(
        page,
        waybill.package("faulty", FAULTY, { "model/weights.bin": "weights", "model/Dockerfile": "FROM x\n" }),
    );
    await check(page);
    await expect(page.getByRole("heading", { name: /would stop here/ })).toBeVisible();
    await page.evaluate(axe);
    for (const theme of ["light", "dark"])
        for (const view of ["Form", "Text"]) {
            await page.getByLabel("Colours").selectOption(theme);
            await page.getByRole("button", { name: view, exact: true }).click();
            const found = await page.evaluate(async () =>
                (await (window as any).axe.run()).violations.filter((one: any) =>
                    ["serious", "critical"].includes(one.impact),
                ),
            );
            expect(found.map((one: any) => `${one.id}: ${one.nodes[0].html}`)).toEqual([]);
        }
});

test("whoever signed in imports as that user; a reader is told why not", async ({ page, waybill }) => {
    const token = (role: string) =>
        /wb_\S+/.exec(
            waybill.run("token", "create", "--project", "default", "--user", `ann-${role}`, "--role", role).stdout,
        )![0];
    const folder = waybill.package("digits");
    for (const role of ["reader", "writer"]) {
        const secret = token(role);
        await page.context().clearCookies();
        await page.goto("about:blank");
        await page.goto(`${waybill.url}#/default/import`);
        await page.locator("input").first().fill(secret);
        await page.keyboard.press("Enter");
        if (role === "reader") await expect(page.getByText("the role writer is needed")).toBeVisible();
    }
    await choose(page, folder);
    await importIt(page);
    await shownModel(page);
    await page.goto(`${waybill.url}#/default/models`);
    await expect(page.getByRole("row", { name: /digits/ })).toContainText("ann-writer");
});

test("the files may stay beside the image, which the overview says", async ({ page, waybill }) => {
    await openImport(page, waybill);
    await choose(page, waybill.package("digits"));
    await page.getByLabel("Model files").selectOption("beside the image, fetched at start");
    await importIt(page);
    const id = await shownModel(page);
    expect((await waybill.settled(id)).load_mode).toBe("dynamic");
    await page.getByRole("navigation", { name: "digits" }).getByRole("link", { name: "Overview" }).click();
    await expect(page.getByText("beside the image, fetched at start")).toBeVisible();
});
