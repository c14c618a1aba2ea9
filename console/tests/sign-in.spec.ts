import { expect, test } from "./fixture";

function tokenOf(text: string): string {
    return /wb_\S+/.exec(text)![0];
}

test("a token signs in and out, and what a role may not is not offered", async ({ page, waybill }) => {
    await waybill.imported(waybill.package("digits"));
    const made = waybill.run("token", "create", "--project", "default", "--user", "ann", "--role", "reader");
    await page.goto(waybill.url);
    await page.getByRole("textbox", { name: "Token" }).fill("wb_nonsense");
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("alert")).toContainText("the token is none");
    await page.getByRole("textbox", { name: "Token" }).fill(tokenOf(made.stdout));
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("link", { name: "digits" })).toBeVisible();
    await expect(page.getByRole("link", { name: "Import a model" })).toBeHidden();
    await expect(page.getByRole("link", { name: "Settings" })).toBeHidden();
    const [cookie] = await page.context().cookies();
    expect(cookie).toMatchObject({ httpOnly: true, sameSite: "Strict" });
    expect(await page.evaluate(() => JSON.stringify({ ...localStorage, ...sessionStorage }))).not.toContain("wb_");
    await page.reload();
    await expect(page.getByRole("link", { name: "digits" })).toBeVisible();
    await page.getByRole("button", { name: "Sign out" }).click();
    await expect(page.getByRole("textbox", { name: "Token" })).toBeVisible();
});

test("a link signs in once, and the address survives a sign-in", async ({ page, waybill }) => {
    const id = await waybill.imported(waybill.package("digits"));
    const made = waybill.run("token", "create", "--project", "default", "--user", "ann", "--role", "writer");
    const link = waybill.run("token", "link", "--project", "default", "--user", "ben", "--role", "writer");
    const code = /sign-in\?code=\S+/.exec(link.stdout)![0];
    await page.goto(`${waybill.url}/${code}`);
    await expect(page.getByText("default · ben")).toBeVisible();
    await page.getByRole("button", { name: "Sign out" }).click();
    await page.goto(`${waybill.url}/#/default/models/${id}/overview`);
    await page.getByRole("textbox", { name: "Token" }).fill(tokenOf(made.stdout));
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("heading", { name: "Basic information" })).toBeVisible();
    expect((await waybill.ask("GET", `/${code}`)).status).toBe(401);
});

test("a session that ends while a page is open leads to the sign-in", async ({ page, waybill }) => {
    await waybill.imported(waybill.package("digits"));
    const made = JSON.parse(
        waybill.run("token", "create", "--project", "default", "--user", "ann", "--role", "writer", "--json").stdout,
    );
    await page.goto(waybill.url);
    await page.getByRole("textbox", { name: "Token" }).fill(made.token);
    await page.getByRole("button", { name: "Sign in" }).click();
    await expect(page.getByRole("link", { name: "digits" })).toBeVisible();
    waybill.run("token", "revoke", made.token_id ?? made.id);
    await page.getByRole("button", { name: "Refresh" }).click();
    await expect(page.getByRole("textbox", { name: "Token" })).toBeVisible();
});

test("the page of an older version offers to reload", async ({ page, waybill }) => {
    await page.goto(waybill.url);
    await expect(page.getByText("No model was imported yet.")).toBeVisible();
    await page.route("**/v1/**", async (route) => {
        const answer = await route.fetch();
        await route.fulfill({ response: answer, headers: { ...answer.headers(), "x-waybill-version": "9.9.9" } });
    });
    await page.getByRole("button", { name: "Refresh" }).click();
    await expect(page.getByText("The server is now version 9.9.9")).toBeVisible();
    await expect(page.getByRole("button", { name: "Reload" })).toBeVisible();
});

test("a proxy in front names the user, and nothing asks for a token", async ({ browser, waybill }) => {
    await waybill.imported(waybill.package("digits"));
    await waybill.stop();
    await waybill.start("server.user_header=X-Forwarded-User", "server.trusted_proxy=127.0.0.1");
    const context = await browser.newContext({ extraHTTPHeaders: { "X-Forwarded-User": "dora@example.org" } });
    const page = await context.newPage();
    await page.goto(waybill.url);
    await expect(page.getByText("default · dora@example.org")).toBeVisible();
    await expect(page.getByRole("link", { name: "digits" })).toBeVisible();
    await context.close();
});
