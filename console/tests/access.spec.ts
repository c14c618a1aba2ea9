// axe-core finds no serious violation on any page, in both themes; and every page fits 360 px.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "@playwright/test";
import { CONFIG, expect, test, type Waybill } from "./fixture";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

interface Violation {
    id: string;
    impact: string;
    nodes: { target: string[]; failureSummary: string }[];
}

/** Evaluated by the debugger: the page's own policy forbids a script that is not the server's. */
async function violations(page: Page): Promise<string[]> {
    const session = await page.context().newCDPSession(page);
    await session.send("Runtime.evaluate", { expression: AXE });
    const found = await session.send("Runtime.evaluate", {
        expression:
            "axe.run(document, { resultTypes: ['violations'] }).then((result) => JSON.stringify(result.violations))",
        awaitPromise: true,
        returnByValue: true,
    });
    await session.detach();
    const all: Violation[] = JSON.parse(found.result.value);
    return all
        .filter((violation) => ["serious", "critical"].includes(violation.impact))
        .flatMap((violation) =>
            violation.nodes.map((node) => `${violation.id}: ${node.target.join(" ")}: ${node.failureSummary}`),
        );
}

async function pages(waybill: Waybill): Promise<[string, string][]> {
    const good = await waybill.imported(
        waybill.package("good", { ...CONFIG, metrics: { f1: 0.9 }, apis: [{ url: "/" }] }),
    );
    const bad = await waybill.imported(waybill.package("bad", { ...CONFIG, metrics: { f1: 7 } }));
    const model = (id: string, tab: string) => `default/models/${id}/${tab}`;
    return [
        ["default/models", "good"],
        [model(bad, "events/2"), "Why it failed"],
        [model(good, "events"), "Model imported successfully."],
        [model(good, "overview"), "Basic information"],
        [model(good, "log"), "stored as"],
        [model(good, "dependencies"), "no dependencies"],
        [model(good, "api"), "curl"],
        [model(good, "versions"), "this one"],
        ["default/import", ""],
        ["default/overview", ""],
        ["default/catalog", ""],
        ["default/catalog/ConfigValueInvalid", ""],
        ["default/settings", ""],
        ["default/nowhere", "There is no such page."],
    ];
}

for (const theme of ["light", "dark"] as const)
    test(`no page has a serious fault for who uses it otherwise, ${theme}`, async ({ page, waybill }) => {
        test.slow();
        await page.emulateMedia({ colorScheme: theme });
        for (const [path, text] of await pages(waybill)) {
            await page.goto(`${waybill.url}/#/${path}`);
            if (text) await expect(page.locator("#main").getByText(text).first()).toBeVisible();
            else await expect(page.locator("#main h1").first()).toBeVisible();
            expect(await violations(page), path).toEqual([]);
        }
    });

test("every page fits a width of 360 pixels", async ({ page, waybill }) => {
    test.slow();
    await page.setViewportSize({ width: 360, height: 800 });
    for (const [path, text] of await pages(waybill)) {
        await page.goto(`${waybill.url}/#/${path}`);
        if (text) await expect(page.locator("#main").getByText(text).first()).toBeAttached();
        else await expect(page.locator("#main h1").first()).toBeVisible();
        expect(await page.evaluate(() => document.documentElement.scrollWidth), path).toBeLessThanOrEqual(360);
    }
});

test("the sign-in has no serious fault either", async ({ page, waybill }) => {
    waybill.run("token", "create", "--project", "default", "--user", "ann", "--role", "reader");
    await page.goto(waybill.url);
    await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
    expect(await violations(page)).toEqual([]);
});
