// What a screen reader says of what changes by itself, one short sentence at a time.
import { signal } from "@preact/signals";

const said = signal("");

export function announce(text: string): void {
    said.value = said.value === text ? `${text} ` : text; // the same again is said again
}

export function LiveRegion() {
    return (
        <div class="offscreen" role="status" aria-live="polite">
            {said.value}
        </div>
    );
}
