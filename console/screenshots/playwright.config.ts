// Pictures for docs/console.md, of a real run: scripts/screenshots.
import { defineConfig } from "@playwright/test";
import tests from "../playwright.config";

export default defineConfig({
    ...tests,
    testDir: ".",
    testMatch: "pictures.ts",
    workers: 1,
    reporter: "line",
    outputDir: "../test-results/screenshots",
});
