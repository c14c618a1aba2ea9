// Data that a page asks for: what it is, whether it is there, what failed.
import { signal, type Signal } from "@preact/signals";
import { useEffect, useMemo } from "preact/hooks";

export interface Loaded<T> {
    data: Signal<T | undefined>;
    error: Signal<unknown>;
    /** When the data came, ms since 1970. */
    at: Signal<number>;
    busy: Signal<boolean>;
    again: () => Promise<void>;
}

/** Asks once for each set of `keys`, and again when told to. An answer that comes too late is dropped;
 * data that is there stays there while it is asked for anew, and when that fails. */
export function useLoad<T>(ask: (signal: AbortSignal) => Promise<T>, keys: unknown[]): Loaded<T> {
    const loaded = useMemo<Loaded<T> & { stop: () => void }>(() => {
        const data = signal<T | undefined>(undefined);
        const error = signal<unknown>(null);
        const at = signal(0);
        const busy = signal(false);
        let abort = new AbortController();
        const again = async () => {
            abort.abort();
            const mine = (abort = new AbortController());
            busy.value = true;
            try {
                const answer = await ask(mine.signal);
                if (mine.signal.aborted) return;
                data.value = answer;
                error.value = null;
                at.value = Date.now();
            } catch (failed) {
                if (mine.signal.aborted) return;
                error.value = failed;
            }
            busy.value = false;
        };
        return { data, error, at, busy, again, stop: () => abort.abort() };
    }, keys);
    useEffect(() => {
        void loaded.again();
        return loaded.stop;
    }, [loaded]);
    return loaded;
}
