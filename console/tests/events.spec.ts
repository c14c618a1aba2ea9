import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CONFIG, expect, test, type Waybill } from "./fixture";

const FAULTY = `{
  "model_algorithm": "digits",
  "model_type": "Custom",
  "metrics": {
    "f1": 97.5
  }
}
`;

async function seqsShown(page: import("@playwright/test").Page): Promise<number[]> {
    const rows = await page
        .locator("[data-row]")
        .evaluateAll((all) => all.map((row) => Number((row as HTMLElement).dataset.row)));
    return rows.sort((a, b) => a - b);
}

function upTo(last: number): number[] {
    return Array.from({ length: last }, (_, i) => i + 1);
}

test("list, name, Events: the way of the original", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("digits"));
    await page.goto(waybill.url);
    await page.getByRole("link", { name: "digits" }).click();
    await page.getByRole("link", { name: /^Events \d/ }).click();
    await expect(page.locator(".message", { hasText: "Model imported successfully." })).toBeVisible();
    await expect(page.locator(".message", { hasText: "Start model import." })).toBeVisible();
    const last = (await waybill.ask("GET", `/v1/default/models/${id}/events`)).json.last_seq;
    expect(await seqsShown(page)).toEqual(upTo(last));
});

test("a failed import is understood: cause, place, evidence, solution, FAQ, in both languages", async ({
    page,
    waybill,
}) => {
    const id = await waybill.imported(waybill.package("bad", FAULTY));
    await page.goto(`${waybill.url}/#/default/models/${id}`);
    const answer = page.getByRole("region", { name: "Why it failed" });
    await expect(answer.getByText("/metrics/f1 is 97.5. Expected a number from 0 to 1")).toBeVisible();
    await expect(answer.getByText("you can mend this yourself")).toBeVisible();
    await expect(answer.locator(".line.here")).toContainText('"f1": 97.5');
    await expect(answer.locator(".line.here .line-number").first()).toHaveText("5");
    const text = await answer.locator(".line.here").innerText();
    const [line, caret] = text.split("\n");
    expect(caret!.indexOf("^")).toBe(line!.indexOf("97.5"));
    await expect(answer.getByText(/In line 5 of model\/config.json/)).toBeVisible();
    await expect(answer.getByText("waybill retry bad:0.0.1")).toBeVisible();
    await page.getByRole("link", { name: "cause: #2" }).click();
    await expect(page).toHaveURL(/events\/2$/);
    await page.getByRole("button", { name: "中文" }).click();
    await expect(page.getByText("你可以自己修复")).toBeVisible();
    await expect(page.getByText(/应为 0 到 1 之间的数值/).first()).toBeVisible();
    await expect(page.getByText("请删除模型配置文件中的非法参数后重试。").first()).toBeVisible();
    expect(await page.evaluate(() => document.documentElement.lang)).toBe("zh-CN");
    await page.reload();
    await expect(page.getByText("你可以自己修复")).toBeVisible();
    await page.getByRole("link", { name: "FAQ: ConfigValueInvalid" }).click();
    await expect(page).toHaveURL(/catalog\/ConfigValueInvalid$/);
});

test("the answer needs one request and stands before the timeline has loaded", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("bad", FAULTY));
    let release = () => {};
    const held = new Promise<void>((done) => (release = done));
    await page.route(/\/models\/[^/]+\/events\?/, async (route) => {
        await held;
        await route.continue();
    });
    await page.goto(`${waybill.url}/#/default/models/${id}`);
    await expect(page.getByRole("region", { name: "Why it failed" }).locator(".line.here")).toContainText("97.5");
    expect(await page.locator("[data-row]").count()).toBe(0);
    release();
    await expect(page.locator("[data-row]").first()).toBeVisible();
});

test("events arrive by themselves while an import runs, and say why it waits", async ({ page, waybill }) => {
    waybill.run("maintenance", "on", "--message", "new disks");
    const id = await waybill.create(waybill.package("late"));
    await page.goto(`${waybill.url}/#/default/models/${id}`);
    await expect(page.getByRole("heading", { name: "Now" })).toBeVisible();
    await expect(page.getByText("new disks").first()).toBeVisible();
    await expect(page).toHaveTitle(/◌/);
    waybill.run("maintenance", "off");
    await expect(page.locator(".message", { hasText: "Model imported successfully." })).toBeVisible();
    await expect(page.getByText("published")).toBeVisible();
    await expect(page).toHaveTitle(/✓/);
    const last = (await waybill.settled(id)).last_event.seq;
    expect(await seqsShown(page)).toEqual(upTo(last));
});

test("with auto refresh off nothing comes until it is asked for", async ({ page, waybill }) => {
    waybill.run("maintenance", "on", "--message", "new disks");
    const id = await waybill.create(waybill.package("late"));
    await page.goto(`${waybill.url}/#/default/models/${id}`);
    await expect(page.locator("[data-row]")).toHaveCount(1);
    await page.getByLabel("Auto refresh").selectOption("off");
    await expect(page.getByText("not live")).toBeVisible();
    waybill.run("maintenance", "off");
    const last = (await waybill.settled(id)).last_event.seq;
    await expect(page.getByText(/updated [2-9] s ago/)).toBeVisible();
    expect(await seqsShown(page)).toEqual([1]);
    await page.getByRole("button", { name: "Refresh", exact: true }).click();
    await expect(page.locator(".message", { hasText: "Model imported successfully." })).toBeVisible();
    expect(await seqsShown(page)).toEqual(upTo(last));
    await page.reload();
    await expect(page.getByLabel("Auto refresh")).toHaveValue("off");
});

test("filters and a link to an event survive a reload", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("bad", FAULTY));
    await page.goto(`${waybill.url}/#/default/models/${id}/events`);
    await expect(page.locator("[data-row]")).toHaveCount(3);
    await page.keyboard.press("e");
    await expect(page.locator("[data-row]")).toHaveCount(2);
    await expect(page).toHaveURL(/type=problems/);
    await page.getByLabel("Stage").selectOption("check");
    await expect(page.locator("[data-row]")).toHaveCount(1);
    await page.reload();
    await expect(page.locator("[data-row]")).toHaveCount(1);
    await page.getByPlaceholder(/Text/).fill("nowhere");
    await expect(page.getByText("No event fits the filter.")).toBeVisible();
    await page.goto(`${waybill.url}/#/default/models/${id}/events/1`);
    await expect(page.locator("#event-1.here")).toBeVisible();
    await page.reload();
    await expect(page.getByRole("region", { name: "Event #1" })).toBeVisible();
});

test("keys move, open and search", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("digits"));
    await page.goto(`${waybill.url}/#/default/models/${id}/events`);
    await expect(page.locator("[data-row]").first()).toBeVisible();
    await page.keyboard.press("j");
    await page.keyboard.press("j");
    const row = page.locator("[data-row]").nth(1);
    await expect(row).toBeFocused();
    await page.keyboard.press("Enter");
    await expect(row).toHaveAttribute("aria-expanded", "true");
    await page.keyboard.press("/");
    await expect(page.getByPlaceholder(/Text/)).toBeFocused();
    await page.keyboard.type("?");
    await expect(page.getByRole("dialog")).toBeHidden();
    await page.locator("h1").first().focus();
    await page.locator("#main").focus();
    await page.keyboard.press("?");
    await expect(page.getByRole("dialog", { name: "Keys" })).toBeVisible();
    await page.keyboard.press("Escape");
    await expect(page.getByRole("dialog")).toBeHidden();
});

test("mended in the page and retried: the next attempt works, the former one folds", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("bad", FAULTY));
    await page.goto(`${waybill.url}/#/default/models/${id}`);
    await page.getByRole("button", { name: "Fix and retry" }).click();
    const editor = page.getByLabel(/config.json · line 5/);
    await editor.fill(FAULTY.replace("97.5", "0.975"));
    await page.getByRole("button", { name: "Retry", exact: true }).click();
    await expect(page.locator(".message", { hasText: "Model imported successfully." })).toBeVisible();
    await expect(page.getByRole("button", { name: /attempt 1/ })).toHaveAttribute("aria-expanded", "false");
    await expect(page.getByRole("button", { name: /attempt 1/ })).toContainText("f1 is 97.5");
    await page.getByRole("button", { name: /attempt 1/ }).click();
    await expect(page.locator("#event-2")).toBeVisible();
});

test("the server is killed and restarted: the page goes on, no event is lost or doubled", async ({ page, waybill }) => {
    waybill.run("maintenance", "on", "--message", "new disks");
    const id = await waybill.create(waybill.package("late"));
    await page.goto(`${waybill.url}/#/default/models/${id}`);
    await expect(page.locator(".connection").getByText("live")).toBeVisible();
    await waybill.stop("SIGKILL");
    await expect(page.getByText("not connected; trying again")).toBeVisible();
    waybill.run("maintenance", "off");
    await waybill.start();
    const last = (await waybill.settled(id)).last_event.seq;
    await expect(page.locator(".message", { hasText: "Model imported successfully." })).toBeVisible();
    await expect(page.locator(".connection").getByText("live")).toBeVisible();
    expect(await seqsShown(page)).toEqual(upTo(last));
});

test("what comes from outside is text, whatever it holds", async ({ page, waybill }) => {
    const evil = '<img src=x onerror="document.title=1"><b id=evil>\u001b[31mred\u001b[0m';
    const id = await waybill.imported(waybill.package("bad", { ...CONFIG, model_type: evil, [evil]: 1 }));
    await page.goto(`${waybill.url}/#/default/models/${id}`);
    await expect(page.locator(".answer .is")).toContainText("<img src=x");
    expect(await page.locator("#evil, img[src=x]").count()).toBe(0);
    await expect(page).toHaveTitle(/✗ bad/);
    await page.goto(waybill.url);
    await expect(page.getByRole("row", { name: /bad/ })).toContainText("<img src=x");
    expect(await page.locator("#evil, img[src=x]").count()).toBe(0);
});

test("all events are downloaded as JSON and as CSV", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("bad", FAULTY));
    await page.goto(`${waybill.url}/#/default/models/${id}/events`);
    const taken = async (name: string) => {
        const [file] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name }).click()]);
        return readFileSync((await file.path())!, "utf8");
    };
    const events = (await waybill.ask("GET", `/v1/default/models/${id}/events`)).json.events;
    expect(JSON.parse(await taken("All as JSON"))).toEqual(events);
    const csv = (await taken("All as CSV")).trim().split("\r\n");
    expect(csv.length).toBe(events.length + 1);
    expect(csv[2]).toContain("ConfigValueInvalid");
    expect(csv[2]).toContain("model/config.json:5:11");
});

async function runLog(waybill: Waybill, id: string, lines: string[]): Promise<void> {
    const script = `import sqlite3, sys, json
lines = json.load(open(sys.argv[2]))
db = sqlite3.connect(sys.argv[1], timeout=20)
columns = [row[1] for row in db.execute("PRAGMA table_info(build_log)")]
last = db.execute("SELECT max(line) FROM build_log WHERE model_id = ?", (sys.argv[3],)).fetchone()[0] or 0
row = dict(zip(columns, db.execute("SELECT * FROM build_log WHERE model_id = ? LIMIT 1", (sys.argv[3],)).fetchone()))
for number, text in enumerate(lines, last + 1):
    row.update(line=number, text=text)
    db.execute("INSERT INTO build_log (%s) VALUES (%s)" % (", ".join(columns), ", ".join("?" * len(columns))), [row[name] for name in columns])
db.commit()`;
    const file = join(waybill.directory, "lines.json");
    writeFileSync(file, JSON.stringify(lines));
    const { spawnSync } = await import("node:child_process");
    const done = spawnSync(
        "/usr/bin/python3",
        ["-c", script, join(waybill.directory, "data", "waybill.db"), file, id],
        { encoding: "utf8" },
    );
    expect(done.status, done.stderr).toBe(0);
}

test("a log of 100,000 lines opens at a line, is searched, and shows colours as colours", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("digits"));
    const lines = Array.from({ length: 100_000 }, (_, i) => `line ${i} of the log`);
    lines[70_000] = "\u001b[31mERROR\u001b[0m <b>No matching distribution</b> found for nothing";
    await runLog(waybill, id, lines);
    const total = (await (await fetch(`${waybill.url}/v1/default/models/${id}/log`)).text()).trim().split("\n").length;
    await page.goto(`${waybill.url}/#/default/models/${id}/log`);
    await expect(page.getByText(`${total.toLocaleString("en")} lines`)).toBeVisible();
    expect(await page.locator(".log-line").count()).toBeLessThan(200);
    await page.getByPlaceholder(/Search/).fill("no matching");
    await page.getByPlaceholder(/Search/).press("Enter");
    const found = page.locator(".log-line.here");
    await expect(found).toContainText("ERROR <b>No matching distribution</b>");
    await expect(found.locator(".fg-1")).toHaveText("ERROR");
    await page.reload();
    await expect(page.locator(".log-line.here")).toBeVisible();
    await expect(page.locator(".log-line.here")).toContainText("ERROR");
});
