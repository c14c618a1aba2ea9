// Measures a timeline in the browser: node timeline.mjs ROUNDS NAME=URL…
// One line of JSON: {NAME: {open_ms: […], frames: […], dropped: […]}}, the pages taking turns.
import { chromium } from "@playwright/test";

const ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];
const STROKES = 4; // down and up again
const STROKE_PX = 2400;
const SPEED_PX = 2400; // a second

/** Notes when the first page of rows has been painted. */
function noteRows() {
    const look = () => {
        if (document.querySelectorAll("[data-row]").length < 100) return requestAnimationFrame(look);
        requestAnimationFrame(() => (window.rowsAt = performance.now()));
    };
    requestAnimationFrame(look);
}

async function trace(session, work) {
    const events = [];
    const onData = (data) => events.push(...data.value);
    session.on("Tracing.dataCollected", onData);
    await session.send("Tracing.start", {
        transferMode: "ReportEvents",
        traceConfig: { includedCategories: ["disabled-by-default-devtools.timeline.frame"] },
    });
    await work();
    const done = new Promise((resolve) => session.once("Tracing.tracingComplete", resolve));
    await session.send("Tracing.end");
    await done;
    session.off("Tracing.dataCollected", onData);
    return events;
}

async function measure(browser, url) {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
    await page.addInitScript(noteRows);
    await page.goto(url);
    const open = await page.waitForFunction(() => window.rowsAt).then((handle) => handle.jsonValue());
    await page.waitForTimeout(500);
    const session = await page.context().newCDPSession(page);
    const events = await trace(session, async () => {
        for (let i = 0; i < STROKES; i++)
            for (const yDistance of [-STROKE_PX, STROKE_PX])
                await session.send("Input.synthesizeScrollGesture", {
                    x: 640,
                    y: 700,
                    yDistance,
                    speed: SPEED_PX,
                    gestureSourceType: "mouse",
                });
    });
    await page.close();
    const reports = events
        .filter((event) => event.name === "PipelineReporter")
        .map((event) => event.args?.frame_reporter ?? event.args?.chrome_frame_reporter);
    const count = (state) => reports.filter((report) => report?.state?.startsWith(state)).length;
    const dropped = reports.filter((report) => report?.state === "STATE_DROPPED" && report.affects_smoothness).length;
    return { open, frames: count("STATE_PRESENTED"), dropped };
}

const [rounds, ...named] = process.argv.slice(2);
const pages = named.map((word) => [word.slice(0, word.indexOf("=")), word.slice(word.indexOf("=") + 1)]);
const figures = Object.fromEntries(pages.map(([name]) => [name, { open_ms: [], frames: [], dropped: [] }]));
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ARGUMENTS });
for (const [, url] of pages) await measure(browser, url); // warm
for (let round = 0; round < Number(rounds); round++)
    for (const [name, url] of round % 2 ? [...pages].reverse() : pages) {
        const { open, frames, dropped } = await measure(browser, url);
        figures[name].open_ms.push(open);
        figures[name].frames.push(frames);
        figures[name].dropped.push(dropped);
    }
await browser.close();
console.log(JSON.stringify(figures));
