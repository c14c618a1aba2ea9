import { CONFIG, expect, test } from "./fixture";

test("a description is edited, and what breaks its rule is refused in words", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("digits"));
    await page.goto(`${waybill.url}/#/default/models/${id}/overview`);
    await page.getByRole("button", { name: "Edit the description" }).click();
    await page.getByLabel("Description").fill("a < b");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByRole("alert")).toContainText("description");
    await page.getByLabel("Description").fill("reads digits");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("reads digits")).toBeVisible();
    await page.getByRole("link", { name: /^Events \d/ }).click();
    await expect(page.locator("[data-row]").first()).toContainText(/description/i);
});

test("saving dependencies says whether that rebuilds", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("digits"));
    await page.goto(`${waybill.url}/#/default/models/${id}/dependencies`);
    await expect(page.getByText("The model has no dependencies.")).toBeVisible();
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("nothing is rebuilt")).toBeVisible();
    await page.getByRole("button", { name: "Edit" }).click();
    await page.getByRole("button", { name: "Add a package" }).click();
    await page.getByLabel("Package").fill("numpy");
    await page.getByLabel("Version").fill("1.24.2");
    await page.getByRole("button", { name: "Save" }).click();
    await expect(page.getByText("The image is rebuilt with them.")).toBeVisible();
    const details = await waybill.settled(id);
    expect(details.attempt).toBe(2);
    expect(details.dependencies).toEqual([
        { installer: "pip", packages: [{ package_name: "numpy", package_version: "1.24.2", restraint: "EXACT" }] },
    ]);
});

test("versions are listed and compared", async ({ page, waybill }) => {
    await waybill.imported(waybill.package("digits"));
    const changed = waybill.package(
        "digits2",
        { ...CONFIG, model_algorithm: "other" },
        { "model/weights.bin": "other weights" },
    );
    const id = await waybill.imported(changed, { model_name: "digits", model_version: "0.0.2" });
    await page.goto(`${waybill.url}/#/default/models/${id}/versions`);
    await expect(page.getByRole("row", { name: /0\.0\.1/ })).toBeVisible();
    await page.getByRole("button", { name: "with this one" }).click();
    await expect(page.locator(".difference")).toContainText("model/weights.bin");
    await expect(page.locator(".difference .plus")).toContainText("other");
});

test("an import is cancelled and a model deleted, each after a question", async ({ page, waybill }) => {
    waybill.run("maintenance", "on", "--message", "new disks");
    const id = await waybill.create(waybill.package("late"));
    await page.goto(`${waybill.url}/#/default/models/${id}`);
    await page.getByRole("button", { name: "Cancel", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Cancel the import" }).click();
    await expect(page.getByText(/cancelled by/).first()).toBeVisible();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Back" }).click();
    await page.getByRole("button", { name: "Delete", exact: true }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Delete" }).click();
    await expect(page.getByText("No model was imported yet.")).toBeVisible();
    await page.goto(`${waybill.url}/#/default/models/${id}`);
    await expect(page.getByText("There is no such model.")).toBeVisible();
});

test("the API tab shows how the model is asked", async ({ page, waybill }) => {
    const apis = [
        {
            url: "/",
            method: "POST",
            request: {
                "Content-type": "application/json",
                data: { type: "object", properties: { x: { type: "number" } } },
            },
        },
    ];
    const id = await waybill.imported(waybill.package("digits", { ...CONFIG, apis }));
    await page.goto(`${waybill.url}/#/default/models/${id}/api`);
    await expect(page.getByText(`curl --json '{"x":0}' http://localhost:8080/`)).toBeVisible();
});
