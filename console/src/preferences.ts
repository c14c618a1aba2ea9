// What a person chose, kept by the browser.
import { effect, signal, type Signal } from "@preact/signals";

function persisted<T extends string>(name: string, choices: readonly T[], otherwise: T): Signal<T> {
    const key = `waybill.${name}`;
    let stored: string | null = null;
    try {
        stored = localStorage.getItem(key);
    } catch {
        // storage may be forbidden: what is chosen then holds for this page
    }
    const value = signal<T>(choices.includes(stored as T) ? (stored as T) : otherwise);
    let first = true;
    effect(() => {
        const now = value.value;
        if (first) {
            first = false;
            return;
        }
        try {
            localStorage.setItem(key, now);
        } catch {
            // as above
        }
    });
    return value;
}

export const LANGUAGES = ["en", "zh"] as const;
export const THEMES = ["auto", "light", "dark"] as const;
/** Seconds between two looks at a timeline, or live, or only when asked. */
export const REFRESHES = ["live", "5", "15", "60", "off"] as const;

const inChinese = (navigator.language || "").toLowerCase().startsWith("zh");
export const language = persisted("language", LANGUAGES, inChinese ? "zh" : "en");
export const theme = persisted("theme", THEMES, "auto");
export const refresh = persisted("refresh", REFRESHES, "live");
export const order = persisted("order", ["newest", "oldest"] as const, "newest");
export const times = persisted("times", ["absolute", "relative"] as const, "absolute");

effect(() => {
    document.documentElement.lang = language.value === "zh" ? "zh-CN" : "en";
});
effect(() => {
    document.documentElement.dataset.theme = theme.value;
});
