// What a tab in the background tells by its title and icon.
import { effect, signal } from "@preact/signals";

export type TabState = "idle" | "running" | "failed" | "done";

const MARKS: Record<TabState, string> = { idle: "", running: "◌ ", failed: "✗ ", done: "✓ " };
const DOTS: Record<TabState, string> = { idle: "", running: "#e0a100", failed: "#d1242f", done: "#1a7f37" };

export const tabState = signal<TabState>("idle");
export const tabTitle = signal("");

function icon(dot: string): string {
    const circle = dot ? `<circle cx="25" cy="25" r="7" fill="${dot}" stroke="#fff" stroke-width="2"/>` : "";
    const svg =
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#2f5bd7"/>' +
        '<path d="M7 9l4 14 5-11 5 11 4-14" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round"/>' +
        `${circle}</svg>`;
    return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

export const favicon = signal(icon(""));

effect(() => {
    const title = tabTitle.value ? `${tabTitle.value} · Waybill` : "Waybill";
    document.title = MARKS[tabState.value] + title;
    const link = document.getElementById("favicon") as HTMLLinkElement | null;
    if (link) link.href = icon(DOTS[tabState.value]);
});

/** Both for as long as a page is shown. */
export function setTab(title: string, state: TabState = "idle"): void {
    tabTitle.value = title;
    tabState.value = state;
}
