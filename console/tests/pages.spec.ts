import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { Page } from "@playwright/test";
import { CONFIG, expect, test, type Waybill } from "./fixture";

const BAD = { ...CONFIG, metrics: { f1: 7 } };
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

async function open(page: Page, waybill: Waybill, hash: string): Promise<void> {
    await page.goto(`${waybill.url}/#/default/${hash}`);
}

test.describe("the catalogue", () => {
    test("an event is found by words of either language, and its address holds over a reload", async ({
        page,
        waybill,
    }) => {
        await open(page, waybill, "catalog");
        const { count } = (await waybill.ask("GET", "/v1/event-catalog")).json;
        await expect(page.getByText(`${count} events`)).toBeVisible();
        await page.getByPlaceholder(/Number or words/).fill("health check");
        await page.getByRole("link", { name: /health check url of custom image/ }).click();
        await expect(page).toHaveURL(/#\/default\/catalog\/HealthCheckUrlInvalid\?q=health/);
        const entry = page.getByRole("article", { name: "HealthCheckUrlInvalid" });
        await expect(entry).toContainText("Change the health check URL of the custom image");
        await expect(entry.getByText("you can mend this yourself")).toBeVisible();
        await expect(entry.locator(".snippet")).toContainText('    "url": "/healthz"');
        await expect(entry.locator(".snippet")).toContainText("^^^^^^^^^^");
        await page.reload();
        await expect(entry).toBeVisible();
        await page.getByRole("button", { name: "中文" }).click();
        await expect(entry).toContainText("自定义镜像健康检查接口必须是");
        await expect(entry.getByText("你可以自己修复")).toBeVisible();
        await page.getByPlaceholder(/编号或关键词/).fill("磁盘");
        await expect(page.getByRole("link", { name: /ImageBuildSystemError/ })).toBeVisible();
        await expect(page.getByRole("link", { name: /HealthCheckUrlInvalid/ })).toBeHidden();
    });

    test("it is filtered by type and stage, and says when nothing fits", async ({ page, waybill }) => {
        await open(page, waybill, "catalog?type=hint");
        await expect(page.getByRole("link", { name: /ModelFileAmbiguous/ })).toBeVisible();
        await expect(page.getByRole("link", { name: /ImportStarted/ })).toBeHidden();
        await page.getByLabel("Stage").selectOption("share");
        await expect(page.getByText("No event fits.")).toBeVisible();
        await page.getByRole("button", { name: "Show all" }).click();
        await expect(page.getByRole("link", { name: /ImportStarted/ })).toBeVisible();
        await open(page, waybill, "catalog/Nonsense");
        await expect(page.getByText("There is no event Nonsense.")).toBeVisible();
    });

    test("an entry tells how often it happened here, and leads to the models", async ({ page, waybill }) => {
        const id = await waybill.imported(waybill.package("bad", BAD));
        await open(page, waybill, "catalog/ConfigValueInvalid?kind=value");
        await page.getByRole("link", { name: "1 time here in the last 7 days, in 1 model" }).click();
        await page.getByRole("link", { name: /f1 is 7/ }).click();
        await expect(page).toHaveURL(new RegExp(`#/default/models/${id}/events/2$`));
    });
});

test.describe("the overview", () => {
    test("an empty one says so", async ({ page, waybill }) => {
        await open(page, waybill, "overview");
        await expect(page.getByText("No import ended in the last 30 days.")).toBeVisible();
        await page.getByRole("link", { name: "7 days" }).click();
        await expect(page.getByText("No import ended in the last 7 days.")).toBeVisible();
    });

    test("every picture leads to the models behind it", async ({ page, waybill }) => {
        const good = await waybill.imported(waybill.package("good"));
        const bad = await waybill.imported(waybill.package("bad", BAD));
        const today = new Date().toISOString().slice(0, 10);
        await open(page, waybill, "overview");

        const day = page.getByRole("link", { name: `${today}: 1 imported, 1 failed` });
        await day.focus();
        await page.keyboard.press("Enter");
        await expect(page.getByRole("heading", { name: `Imports that failed on ${today}` })).toBeVisible();
        await expect(page.getByRole("link", { name: "bad 0.0.1" })).toHaveAttribute("href", `#/default/models/${bad}`);
        await page.getByRole("link", { name: "✓ imported" }).click();
        await expect(page.getByRole("link", { name: "good 0.0.1" })).toHaveAttribute(
            "href",
            `#/default/models/${good}`,
        );
        await page.reload();
        await expect(page.getByRole("link", { name: "good 0.0.1" })).toBeVisible();

        await page.getByRole("link", { name: "← Overview" }).click();
        await page.getByRole("link", { name: "ConfigValueInvalid", exact: true }).click();
        await expect(page.getByText("1 event of 1 model, the newest first")).toBeVisible();
        await expect(page.getByRole("link", { name: /f1 is 7/ })).toHaveAttribute(
            "href",
            `#/default/models/${bad}/events/2`,
        );

        await page.getByRole("link", { name: "← Overview" }).click();
        await expect(page.getByRole("img", { name: /^copy: half took at most/ })).toBeVisible();
        await page.getByRole("link", { name: "copy", exact: true }).click();
        await expect(page.getByRole("link", { name: "good 0.0.1" })).toBeVisible();
        await expect(page.getByRole("link", { name: "bad 0.0.1" })).toBeHidden();
    });

    test("the day's numbers stand in a table, too", async ({ page, waybill }) => {
        await waybill.imported(waybill.package("good"));
        await open(page, waybill, "overview");
        await page.getByText("As a table").click();
        await expect(page.getByRole("row", { name: /1 import of/ })).toContainText("10");
    });
});

async function firstToken(page: Page, waybill: Waybill): Promise<string> {
    await open(page, waybill, "settings/tokens");
    await page.getByLabel("User").fill("root");
    await page.getByRole("button", { name: "Create, and close the open access" }).click();
    const made = page.getByRole("status", { name: "The new token" });
    await expect(made).toContainText("The token of root");
    return made.locator("code").innerText();
}

test.describe("the settings", () => {
    test("the first token closes the open server, and its maker stays signed in", async ({ page, waybill }) => {
        const token = await firstToken(page, waybill);
        expect(token).toMatch(/^wb_[\w-]{43}$/);
        expect((await waybill.ask("GET", "/v1/whoami")).status).toBe(401);
        await expect(page.getByRole("form", { name: "New token" })).toBeVisible();
        await page.getByRole("button", { name: "I have copied it" }).click();
        await expect(page.getByText(token)).toBeHidden();
        await page.getByRole("button", { name: "Sign out" }).click();
        await page.getByRole("textbox", { name: "Token" }).fill(token);
        await page.getByRole("button", { name: "Sign in" }).click();
        await expect(page.getByRole("row", { name: /root/ })).toContainText("every project");
    });

    test("a token is made, signs in, and is worth nothing once it is revoked", async ({ page, waybill, browser }) => {
        await firstToken(page, waybill);
        const form = page.getByRole("form", { name: "New token" });
        await form.getByLabel("User").fill("li wei");
        await form.getByRole("button", { name: "Create" }).click();
        await expect(form.getByRole("alert")).toContainText("user li wei: expected 1 to 64");
        await form.getByLabel("User").fill("li.wei");
        await form.getByLabel("Role").selectOption("writer");
        await form.getByLabel("Expires").selectOption("30d");
        await form.getByRole("button", { name: "Create" }).click();
        const made = page.getByRole("status", { name: "The new token" });
        await expect(made).toContainText("The token of li.wei");
        const token = await made.locator("code").innerText();

        const context = await browser.newContext({ locale: "en-US" });
        const other = await context.newPage();
        await other.goto(`${waybill.url}/#/default/settings/tokens`);
        await other.getByRole("textbox", { name: "Token" }).fill(token);
        await other.getByRole("button", { name: "Sign in" }).click();
        await expect(other.getByText("Settings are for administrators.")).toBeVisible();
        await expect(other.getByRole("link", { name: "Settings" })).toBeHidden();

        await page.getByRole("button", { name: /^Revoke t-\w+ of li.wei/ }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Revoke" }).click();
        await expect(page.getByRole("row", { name: /li.wei/ })).toContainText("revoked");
        await other.getByRole("link", { name: "To the models" }).click();
        await expect(other.getByRole("button", { name: "Sign in" })).toBeVisible();
        await context.close();
    });

    test("a link signs in once", async ({ page, waybill, browser }) => {
        await firstToken(page, waybill);
        await page.getByRole("link", { name: "Sign-in links" }).click();
        await page.getByLabel("User").fill("ann");
        await page.getByLabel("Role").selectOption("reader");
        await page.getByRole("button", { name: "Make a link" }).click();
        const address = await page.getByRole("region", { name: "The link" }).locator("code").innerText();
        const context = await browser.newContext({ locale: "en-US" });
        const other = await context.newPage();
        await other.goto(address);
        await expect(other.getByText("default · ann")).toBeVisible();
        await context.close();
        await page.getByRole("link", { name: "Projects and members" }).click();
        await expect(page.getByRole("table", { name: "Operators: every project" })).toContainText("root");
    });

    test("maintenance is switched on and off, and imports wait meanwhile", async ({ page, waybill }) => {
        await open(page, waybill, "settings/maintenance");
        await page.getByLabel("Message").fill("new disks");
        await page.getByLabel("Until").selectOption("2h");
        await page.getByRole("button", { name: "Switch it on" }).click();
        await expect(page.getByText("Maintenance is on: imports that would start wait.")).toBeVisible();
        expect((await waybill.ask("GET", "/v1/maintenance")).json).toMatchObject({ on: true, message: "new disks" });
        const id = await waybill.create(waybill.package("waits"));
        await expect(page.getByText("1 import", { exact: true })).toBeVisible();
        await page.getByRole("button", { name: "Switch it off" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Switch it off" }).click();
        await expect(page.getByText("Maintenance is off: imports start as they come.")).toBeVisible();
        expect((await waybill.settled(id)).model_status).toBe("published");
    });

    test("a credential is saved, never shown, and removed", async ({ page, waybill }) => {
        await open(page, waybill, "settings/credentials");
        await page.getByLabel("Host").fill("registry.example.com");
        await page.getByLabel("User").fill("ci");
        await page.getByLabel("Password or token").fill("hidden-secret");
        await page.getByRole("button", { name: "Save" }).click();
        await expect(page.getByRole("row", { name: /registry.example.com/ })).toContainText("ci");
        await page.reload();
        await expect(page.getByRole("row", { name: /registry.example.com/ })).toBeVisible();
        expect(await page.content()).not.toContain("hidden-secret");
        await page.getByRole("button", { name: "Remove registry.example.com" }).click();
        await page.getByRole("dialog").getByRole("button", { name: "Remove" }).click();
        await expect(page.getByText("Project default has no credentials.")).toBeVisible();
    });

    test("workers, space and the audit list show what there is", async ({ page, waybill }) => {
        await waybill.imported(waybill.package("good"));
        await open(page, waybill, "settings/workers");
        await expect(page.getByText("✓ free").first()).toBeVisible();
        await page.getByRole("link", { name: "Space" }).click();
        await expect(page.getByRole("progressbar", { name: / free$/ })).toBeVisible();
        await expect(page.getByRole("row", { name: /good 0.0.1/ })).toContainText("KiB");
        await page.getByRole("link", { name: "Audit" }).click();
        await expect(page.getByRole("row", { name: /model\.create/ })).toContainText("good:0.0.1");
        await page.getByPlaceholder("Who").fill("nobody");
        await page.keyboard.press("Enter");
        await expect(page.getByText("Nothing of that was done.")).toBeVisible();
    });
});

test("a project's storage is a bar of its limit, and a full one says so", async ({ page, waybill }) => {
    await waybill.stop();
    await waybill.start("limits.project_storage_gib=0.000018");
    await waybill.imported(waybill.package("good"));
    await open(page, waybill, "settings/space");
    const row = page.getByRole("row", { name: /^default/ });
    await expect(row).toContainText(/of 1\d\.\d KiB/);
    await expect(row).toContainText("no new imports");
});

for (const theme of ["light", "dark"])
    test(`no page is wider than 360 px, and axe finds nothing serious: ${theme}`, async ({ page, waybill }) => {
        await waybill.imported(waybill.package("good"));
        await waybill.imported(waybill.package("bad", BAD));
        await page.addInitScript((chosen) => localStorage.setItem("waybill.theme", chosen), theme);
        await page.setViewportSize({ width: 360, height: 800 });
        const settings = ["tokens", "links", "members", "credentials", "workers", "space", "maintenance", "audit"].map(
            (part) => `settings/${part}`,
        );
        for (const hash of [
            "catalog",
            "catalog/ConfigValueInvalid",
            "overview",
            "overview?reason=ConfigValueInvalid",
            ...settings,
        ]) {
            await open(page, waybill, hash);
            await page.waitForLoadState("networkidle");
            await expect(page.getByText("Loading…")).toBeHidden();
            expect(await page.evaluate(() => document.documentElement.scrollWidth), hash).toBeLessThanOrEqual(360);
            expect(await seriousFaults(page), hash).toEqual([]);
        }
        await page.setViewportSize({ width: 1280, height: 800 });
        for (const hash of [
            "catalog/ConfigValueInvalid",
            "overview",
            "overview?reason=ConfigValueInvalid",
            "settings/space",
        ]) {
            await open(page, waybill, hash);
            await page.waitForLoadState("networkidle");
            expect(await seriousFaults(page), hash).toEqual([]);
        }
    });

/** What axe-core finds, run outside of the page's policy. */
async function seriousFaults(page: Page): Promise<string[]> {
    await page.evaluate(AXE);
    return page.evaluate(async () => {
        const { violations } = await (window as any).axe.run();
        return violations
            .filter((fault: any) => ["serious", "critical"].includes(fault.impact))
            .flatMap((fault: any) =>
                fault.nodes.map((node: any) => `${fault.id}: ${node.target} ${node.failureSummary}`),
            );
    });
}
