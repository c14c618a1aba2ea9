// End-to-end tests: Debian's Chromium, the real program, real imports.
import { defineConfig } from "@playwright/test";

export default defineConfig({
    testDir: "tests",
    timeout: 60_000,
    expect: { timeout: 10_000 },
    fullyParallel: true,
    workers: 2,
    reporter: [["list"], ["json", { outputFile: process.env.WAYBILL_CONSOLE_REPORT ?? "test-results/report.json" }]],
    outputDir: "test-results",
    use: {
        browserName: "chromium",
        locale: "en-US",
        timezoneId: "Asia/Shanghai",
        viewport: { width: 1280, height: 900 },
        trace: "retain-on-failure",
        launchOptions: {
            executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
            args: [
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        },
    },
});
