// Words in both languages, side by side where they are used, and numbers as people read them.
// What reads the language re-renders when it changes: no page is loaded anew.
import { language } from "./preferences";

export function t(english: string, chinese: string): string {
    return language.value === "zh" ? chinese : english;
}

/** Of a pair of texts that the API sent, the one of the language; the other where that is missing. */
export function ofPair<T>(english: T | null | undefined, chinese: T | null | undefined): T | undefined {
    const [first, second] = language.value === "zh" ? [chinese, english] : [english, chinese];
    return first ?? second ?? undefined;
}

/** "1 file", "3 files". */
export function plural(count: number, one: string, many: string): string {
    return `${count.toLocaleString("en")} ${count === 1 ? one : many}`;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

export function bytes(count: number): string {
    let unit = 0;
    let value = count;
    while (value >= 1024 && unit < UNITS.length - 1) {
        value /= 1024;
        unit++;
    }
    const digits = unit === 0 || value >= 100 ? 0 : 1;
    return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

export function duration(ms: number): string {
    if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
    if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
    const seconds = Math.round(ms / 1000);
    const pad = (value: number) => String(value).padStart(2, "0");
    if (seconds < 3600) return `${Math.floor(seconds / 60)}:${pad(seconds % 60)}`;
    return `${Math.floor(seconds / 3600)}:${pad(Math.floor(seconds / 60) % 60)}:${pad(seconds % 60)}`;
}

/** An estimate must not jump: coarse, and in words. */
export function about(ms: number): string {
    const seconds = ms / 1000;
    if (seconds < 10) return t("a few seconds", "几秒");
    if (seconds < 90) {
        const tens = Math.round(seconds / 10) * 10;
        return t(`about ${tens} s`, `约 ${tens} 秒`);
    }
    const minutes = Math.round(seconds / 60);
    if (minutes < 90) return t(`about ${minutes} min`, `约 ${minutes} 分钟`);
    const hours = Math.round(minutes / 60);
    return t(`about ${hours} h`, `约 ${hours} 小时`);
}

export function ago(ms: number): string {
    const seconds = Math.max(0, Math.floor(ms / 1000));
    if (seconds < 60) return t(`${seconds} s ago`, `${seconds} 秒前`);
    const minutes = Math.floor(seconds / 60);
    if (minutes < 60) return t(`${minutes} min ago`, `${minutes} 分钟前`);
    const hours = Math.floor(minutes / 60);
    if (hours < 48) return t(`${hours} h ago`, `${hours} 小时前`);
    const days = Math.floor(hours / 24);
    return t(`${days} days ago`, `${days} 天前`);
}

const pad = (value: number, width = 2) => String(value).padStart(width, "0");

export function clock(time: number): string {
    const date = new Date(time);
    return `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
}

export function day(time: number): string {
    const date = new Date(time);
    return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
}

export function dateAndTime(time: number): string {
    return `${day(time)} ${clock(time)}`;
}

/** "+08:00": what the times on the page are in. */
export function offset(time = Date.now()): string {
    const minutes = -new Date(time).getTimezoneOffset();
    const sign = minutes < 0 ? "-" : "+";
    return `${sign}${pad(Math.floor(Math.abs(minutes) / 60))}:${pad(Math.abs(minutes) % 60)}`;
}
