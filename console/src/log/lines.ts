// The lines of a build log: read once, and followed while the import runs, behind the last line that is
// here, whatever breaks.
import { signal } from "@preact/signals";
import { ApiError, askRaw, projectPath, withQuery } from "../api";

const AGAIN_MS = 1000;

export class LogLines {
    readonly lines: string[] = [];
    /** How many there are; changes once for each piece that arrives. */
    readonly count = signal(0);
    readonly loaded = signal(false);
    readonly following = signal(false);
    readonly error = signal<unknown>(null);
    private readonly abort = new AbortController();
    private rest = "";

    constructor(
        private readonly project: string,
        private readonly id: string,
        private readonly attempt: number,
    ) {}

    private async read(follow: boolean): Promise<void> {
        const path = withQuery(projectPath(this.project, "models", this.id, "log"), {
            attempt: this.attempt,
            after: this.lines.length,
            follow: follow ? 1 : null,
        });
        this.rest = "";
        const answer = await askRaw("GET", path, { signal: this.abort.signal });
        const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
        for (;;) {
            const part = await reader.read();
            if (part.done) break;
            this.push(part.value);
        }
        this.loaded.value = true;
    }

    private push(text: string): void {
        const lines = (this.rest + text).split("\n");
        this.rest = lines.pop()!;
        for (const line of lines) this.lines.push(line);
        this.count.value = this.lines.length;
        this.loaded.value = true;
    }

    /** Ends with the import. */
    async load(follow: boolean): Promise<void> {
        this.following.value = follow;
        while (!this.abort.signal.aborted) {
            try {
                await this.read(follow);
                this.error.value = null;
                break;
            } catch (failed) {
                if (this.abort.signal.aborted) return;
                this.error.value = failed;
                if (failed instanceof ApiError && failed.status >= 400 && failed.status < 500) break;
                await new Promise((done) => setTimeout(done, AGAIN_MS));
            }
        }
        this.following.value = false;
    }

    stop(): void {
        this.abort.abort();
    }
}
