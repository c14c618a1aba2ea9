import { CONFIG, expect, test } from "./fixture";

test("an empty list says what to do first", async ({ page, waybill }) => {
    await page.goto(waybill.url);
    await expect(page.getByText("No model was imported yet.")).toBeVisible();
    await expect(page.getByText("waybill import DIR --server")).toBeVisible();
});

test("rows appear and change by themselves, and a failed one leads to the event that explains it", async ({
    page,
    waybill,
}) => {
    await page.goto(waybill.url);
    await expect(page.locator(".connection").getByText("live")).toBeVisible();
    await waybill.imported(waybill.package("good"));
    const good = page.getByRole("row", { name: /good/ });
    await expect(good.getByText("published")).toBeVisible();
    await waybill.imported(waybill.package("bad", { ...CONFIG, metrics: { f1: 7 } }));
    const bad = page.getByRole("row", { name: /bad/ });
    await expect(bad.getByText("failed")).toBeVisible();
    await bad.getByRole("link", { name: /f1 is 7/ }).click();
    await expect(page).toHaveURL(/\/events\/2$/);
});

test("the list is searched, filtered and sorted, and the address keeps it", async ({ page, waybill }) => {
    for (const name of ["alpha", "beta"]) await waybill.imported(waybill.package(name));
    await waybill.imported(waybill.package("gamma", { ...CONFIG, metrics: { f1: 7 } }));
    await page.goto(waybill.url);
    await page.getByPlaceholder(/Name/).fill("alp");
    await expect(page.getByRole("row", { name: /alpha/ })).toBeVisible();
    await expect(page.getByRole("row", { name: /beta/ })).toBeHidden();
    await page.reload();
    await expect(page.getByRole("row", { name: /alpha/ })).toBeVisible();
    await expect(page.getByRole("row", { name: /beta/ })).toBeHidden();
    await page.getByPlaceholder(/Name/).fill("");
    await page.getByLabel("Status").selectOption("failed");
    await expect(page.getByRole("row", { name: /gamma/ })).toBeVisible();
    await expect(page.getByRole("row", { name: /alpha/ })).toBeHidden();
    await page.getByLabel("Status").selectOption("");
    await page.getByLabel("Order").selectOption("model_name");
    await expect(page.getByRole("row").nth(1)).toContainText("alpha");
});
