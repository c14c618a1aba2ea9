// Server-sent events that go on: reconnected with the last place seen, so that nothing is missed or
// seen twice. Read with fetch, as EventSource tells neither a status nor the comments by which a silent
// connection is known to live. A tab in the background gives its connection back, as browsers have six
// for a server, and looks now and then instead.
import { signal, type Signal } from "@preact/signals";
import { ApiError, askRaw } from "./api";
import { SseReader } from "./sse";

export type LinkState = "connecting" | "live" | "waiting" | "off";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
/** Two comments of the server's, which come every 15 s, and some. */
const SILENT_MS = 40_000;
const HIDDEN_MS = 20_000;

export interface Link {
    state: Signal<LinkState>;
    close(): void;
}

export interface LinkOptions {
    /** The address of the stream from the last place that was taken on. */
    url: () => string;
    take: (name: string, data: string, id: string) => void;
    /** What a tab does every now and then while it is hidden, in place of the stream. */
    peek: () => void;
}

export function openLink(options: LinkOptions): Link {
    const state = signal<LinkState>("connecting");
    let abort = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let hidden: ReturnType<typeof setTimeout> | undefined;
    let peeking: ReturnType<typeof setInterval> | undefined;
    let wait = FIRST_WAIT_MS;

    const drop = () => {
        abort.abort();
        clearTimeout(timer);
    };
    const again = () => {
        drop();
        state.value = "waiting";
        timer = setTimeout(connect, wait);
        wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    };
    /** Whoever is silent for too long is taken for dead. */
    const alive = () => {
        clearTimeout(timer);
        timer = setTimeout(again, SILENT_MS);
        wait = FIRST_WAIT_MS;
        state.value = "live";
    };
    async function read(mine: AbortController): Promise<void> {
        const answer = await askRaw("GET", options.url(), { signal: mine.signal });
        const sse = new SseReader((name, data, id) => !mine.signal.aborted && options.take(name, data, id));
        const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
            if (mine.signal.aborted) return;
            alive();
            const part = await reader.read();
            if (part.done) return;
            sse.push(part.value);
        }
    }
    function connect(): void {
        drop();
        const mine = (abort = new AbortController());
        read(mine)
            .then(() => !mine.signal.aborted && again())
            .catch((error) => {
                if (mine.signal.aborted) return;
                const gone = error instanceof ApiError && [401, 403, 404].includes(error.status);
                if (gone) close();
                else again();
            });
    }
    const onVisibility = () => {
        clearTimeout(hidden);
        clearInterval(peeking);
        if (document.hidden)
            hidden = setTimeout(() => {
                drop();
                state.value = "off";
                peeking = setInterval(options.peek, HIDDEN_MS);
            }, HIDDEN_MS);
        else if (state.value === "off") {
            state.value = "connecting";
            connect();
        }
    };
    function close(): void {
        drop();
        clearTimeout(hidden);
        clearInterval(peeking);
        document.removeEventListener("visibilitychange", onVisibility);
        removeEventListener("online", connect);
        state.value = "off";
    }
    document.addEventListener("visibilitychange", onVisibility);
    addEventListener("online", connect);
    connect();
    return { state, close };
}
