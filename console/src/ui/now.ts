// The time that pages show "… ago" from: one clock for all of them.
import { signal } from "@preact/signals";

export const now = signal(Date.now());
setInterval(() => {
    if (!document.hidden) now.value = Date.now();
}, 1000);
document.addEventListener("visibilitychange", () => {
    now.value = Date.now();
});
