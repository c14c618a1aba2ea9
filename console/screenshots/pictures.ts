// What docs/console.md shows. Each picture is of real imports of the examples, in both languages.
import { cpSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Page } from "@playwright/test";
import { ROOT, expect, test, type Waybill } from "../tests/fixture";

const OUT = join(ROOT, "docs/console");

function example(waybill: Waybill, name: string, as = name): string {
    const folder = join(waybill.directory, "packages", as);
    mkdirSync(folder, { recursive: true });
    cpSync(join(ROOT, "examples", name), folder, { recursive: true, verbatimSymlinks: true });
    return folder;
}

async function picture(page: Page, name: string, language: string): Promise<void> {
    await page.evaluate(() => window.scrollTo(0, 0));
    await page.screenshot({ path: join(OUT, `${name}.${language}.png`), animations: "disabled" });
}

for (const [language, locale] of [
    ["en", "en-US"],
    ["zh", "zh-CN"],
] as const)
    test.describe(language, () => {
        test.use({ locale, viewport: { width: 1280, height: 880 } });

        test("pictures", async ({ page, waybill }) => {
            test.slow();
            const digits = await waybill.imported(example(waybill, "digits"), { description: "handwritten digits" });
            await waybill.imported(example(waybill, "broken-layout"), { model_type: "Scikit_Learn" });
            await waybill.imported(example(waybill, "broken-link"));
            const broken = await waybill.imported(example(waybill, "broken-config"), { model_type: "Scikit_Learn" });
            for (const name of ["resnet50", "bert-base", "yolo"])
                await waybill.imported(example(waybill, "digits", name));

            const show = async (path: string) => {
                await page.goto(`${waybill.url}/#/default/${path}`);
                await page.waitForTimeout(800);
            };
            await show("models");
            await expect(page.getByRole("link", { name: "resnet50" })).toBeVisible();
            await picture(page, "list", language);
            await show(`models/${broken}/events`);
            await expect(page.locator(".answer .line.here")).toBeVisible();
            await picture(page, "failed", language);
            await show(`models/${digits}/events`);
            await expect(page.locator(".waterfall")).toBeVisible();
            await picture(page, "waterfall", language);
            await show(`models/${digits}/log/4`);
            await expect(page.locator(".log-line").first()).toBeVisible();
            await picture(page, "log", language);
            await show("overview");
            await picture(page, "overview", language);
            await show("import");
            await picture(page, "import", language);
        });
    });
