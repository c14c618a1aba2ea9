// Sends the files of a folder to an upload of the server (docs/api.md, Uploads): a few at once, from
// where each broke off, until all are there or somebody stops it.
import { signal } from "@preact/signals";
import { ApiError, ask, askRaw, projectPath } from "../api";
import { t } from "../text";
import { fingerprint, stamp, type Folder, type PackageFile } from "./package";
import { PutError, putPart } from "./put";
import { forgetFolder, remember, remembered } from "./remembered";

export type TransferState = "ready" | "sending" | "broken" | "stopped" | "failed" | "done";

export interface Refused {
    path: string;
    message: string;
}

interface UploadAnswer {
    upload_id: string;
    in_use: boolean;
    files?: { path: string; size: number | null; bytes_received: number; complete: boolean }[];
}

const AT_ONCE = 3;
const PART_BYTES = 32 << 20;
/** After a break a small part: an answer such as 413, given before the body was read, is seen then. */
const PROBE_BYTES = 256 << 10;
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 8000;
const RATE_MS = 10_000;
const SHOWN_MS = 200;
/** How often a file is tried that another request is writing, or that the server could not take. */
const TRIES = 8;
const AGAIN = [0, 408, 425, 429, 502, 503, 504];

class Stopped extends Error {}

export class Transfer {
    readonly state = signal<TransferState>("ready");
    readonly done = signal(0);
    readonly filesDone = signal(0);
    readonly current = signal<string[]>([]);
    /** Bytes a second of the last ten seconds; 0: not known yet. */
    readonly rate = signal(0);
    /** When it is tried again, ms since 1970. */
    readonly retryAt = signal(0);
    readonly refused = signal<Refused[]>([]);
    readonly error = signal<unknown>(null);
    /** Bytes that were there when it began. */
    readonly resumed = signal(0);
    readonly total: number;
    id = "";

    private readonly print: string;
    private readonly sent = new Map<string, number>();
    private readonly active = new Set<string>();
    private readonly left = new Set<string>();
    private bytes = 0;
    private finished = 0;
    private samples: { at: number; bytes: number }[] = [];
    private shownAt = 0;
    private wait = FIRST_WAIT_MS;
    private abort = new AbortController();
    private running: Promise<string> | null = null;

    /** former: an upload of this page that is brought up to date, if what it has is in the folder still. */
    constructor(
        readonly project: string,
        readonly folder: Folder,
        private readonly former: Transfer | null = null,
    ) {
        this.print = fingerprint(folder.files);
        this.total = folder.bytes;
    }

    /** The upload's id once all is there. Called again it goes on; what was refused is tried again. */
    run(): Promise<string> {
        this.running ??= this.start().finally(() => (this.running = null));
        return this.running;
    }

    stop(): void {
        this.abort.abort();
        this.state.value = "stopped";
    }

    /** Stays behind: what the server will not take. */
    leaveOut(): void {
        for (const { path } of this.refused.value) this.left.add(path);
        this.refused.value = [];
    }

    /** Removes what was sent. */
    async discard(): Promise<void> {
        this.stop();
        forgetFolder(this.project, this.print);
        const { id } = this;
        this.id = "";
        if (id) await ask("DELETE", projectPath(this.project, "uploads", id)).catch(() => undefined);
    }

    private async start(): Promise<string> {
        this.abort = new AbortController();
        this.state.value = "sending";
        this.error.value = null;
        this.refused.value = [];
        try {
            await this.sendAll().catch((error) => {
                // The upload is gone, as after a successful import: a new one, once.
                if (!(error instanceof ApiError) || error.status !== 404) throw error;
                this.lose();
                return this.sendAll();
            });
            this.state.value = "done";
            return this.id;
        } catch (error) {
            this.state.value = error instanceof Stopped || this.abort.signal.aborted ? "stopped" : "failed";
            this.abort.abort();
            if (this.state.value === "failed") this.error.value = error;
            throw error;
        } finally {
            this.show(true);
        }
    }

    private lose(): void {
        forgetFolder(this.project, this.print);
        this.id = "";
    }

    private async sendAll(): Promise<void> {
        const there = await this.persist(() => this.find());
        this.reset(there);
        const queue = this.folder.files.filter((one) => !this.left.has(one.path) && !there.get(one.path)?.complete);
        const workers = Array.from({ length: AT_ONCE }, async () => {
            for (let next = queue.shift(); next; next = queue.shift())
                await this.sendFile(next, there.get(next.path)?.offset ?? 0);
        });
        await Promise.all(workers);
        const { length } = this.refused.value;
        if (length)
            throw new Error(t(`The server does not take ${length} of the files.`, `有 ${length} 个文件被服务器拒绝。`));
    }

    /** The upload to go on with, or a new one, and what it has of each file. */
    private async find(): Promise<Map<string, { offset: number; complete: boolean }>> {
        const known = this.id || remembered(this.project, this.print)?.id || this.reusable();
        if (known) {
            const there = await this.look(known);
            if (there) return there;
        }
        this.take(await this.make());
        return new Map();
    }

    private async make(): Promise<string> {
        try {
            const made = await ask<UploadAnswer>("POST", projectPath(this.project, "uploads"), {
                body: {},
                signal: this.abort.signal,
            });
            return made.upload_id;
        } catch (error) {
            if (!(error instanceof ApiError) || error.status !== 409) throw error;
            const lead = t(
                "The project has as many unfinished uploads as it may have: ",
                "项目中未完成的上传已达上限:",
            );
            throw new ApiError(error.status, error.code, lead + error.message);
        }
    }

    private async look(id: string): Promise<Map<string, { offset: number; complete: boolean }> | null> {
        const upload = await ask<UploadAnswer>("GET", projectPath(this.project, "uploads", id), {
            signal: this.abort.signal,
        }).catch((error) => {
            if (error instanceof ApiError && error.status === 404) return null;
            throw error;
        });
        if (!upload || upload.in_use) {
            this.lose();
            return null;
        }
        const stale = this.changedSince(id);
        const there = new Map<string, { offset: number; complete: boolean }>();
        for (const { path, bytes_received, complete } of upload.files ?? [])
            if (!stale.has(path)) there.set(path, { offset: bytes_received, complete });
        this.take(id);
        return there;
    }

    private take(id: string): void {
        this.id = id;
        if (this.former && this.former !== this && this.former.id === id) forgetFolder(this.project, this.former.print);
        remember(this.project, this.print, { id, name: this.folder.name, bytes: this.total, at: Date.now() });
    }

    /** Of the former upload nothing may be in the way that the folder has no more. */
    private reusable(): string {
        const { former } = this;
        if (!former?.id) return "";
        const paths = new Set(this.folder.files.map(({ path }) => path));
        return former.folder.files.every(({ path }) => paths.has(path)) ? former.id : "";
    }

    private changedSince(id: string): Set<string> {
        if (this.former?.id !== id) return new Set();
        const before = new Map(this.former.folder.files.map((one) => [one.path, stamp(one)]));
        return new Set(this.folder.files.filter((one) => before.get(one.path) !== stamp(one)).map(({ path }) => path));
    }

    private reset(there: Map<string, { offset: number; complete: boolean }>): void {
        this.sent.clear();
        this.bytes = 0;
        this.finished = 0;
        for (const { path } of this.folder.files) {
            const found = there.get(path);
            if (!found) continue;
            this.sent.set(path, found.offset);
            this.bytes += found.offset;
            if (found.complete) this.finished++;
        }
        this.resumed.value = this.bytes;
        this.samples = [{ at: Date.now(), bytes: this.bytes }];
        this.show(true);
    }

    private async sendFile(one: PackageFile, from: number): Promise<void> {
        this.active.add(one.path);
        try {
            await this.sendParts(one, from);
            this.progress(one.path, one.file.size);
            this.finished++;
        } catch (error) {
            if (!(error instanceof PutError) || ![400, 414, 431].includes(error.status)) throw error;
            this.progress(one.path, 0);
            this.refused.value = [...this.refused.value, { path: one.path, message: error.message }];
        } finally {
            this.active.delete(one.path);
            this.show(true);
        }
    }

    private async sendParts(one: PackageFile, from: number): Promise<void> {
        const url = this.addressOf(one);
        let offset = from < one.file.size ? from : 0; // all arrived, but it was not ended: again
        let most = PART_BYTES;
        for (let tries = 0; ;) {
            this.throwIfStopped();
            try {
                const answer = await putPart(url, one.file, offset, most, this.abort.signal, (loaded) =>
                    this.progress(one.path, offset + loaded),
                );
                this.mended();
                if (answer.complete) return;
                offset = answer.offset;
                most = PART_BYTES;
                tries = 0;
            } catch (error) {
                this.throwIfStopped();
                const failed = error as PutError;
                if (failed.offset !== undefined) {
                    if (failed.complete) return;
                    offset = failed.offset < one.file.size ? failed.offset : 0; // 416: the server has another part
                    if (++tries > TRIES) throw failed;
                    continue;
                }
                await this.mayTryAgain(failed, one, ++tries);
                const there = await this.persist(() => this.arrived(url));
                if (there.complete) return;
                offset = there.offset < one.file.size ? there.offset : 0;
                this.progress(one.path, offset);
                most = PROBE_BYTES;
            }
        }
    }

    private addressOf({ path }: PackageFile): string {
        try {
            return projectPath(this.project, "uploads", this.id, ...path.split("/"));
        } catch {
            throw new PutError(400, "", t("Its name is not valid Unicode.", "文件名不是合法的 Unicode。"));
        }
    }

    private async arrived(url: string): Promise<{ offset: number; complete: boolean }> {
        try {
            const answer = await askRaw("HEAD", url, { signal: this.abort.signal });
            return {
                offset: Number(answer.headers.get("Upload-Offset")),
                complete: answer.headers.get("Upload-Complete") === "?1",
            };
        } catch (error) {
            if (error instanceof ApiError && error.status === 404) return { offset: 0, complete: false };
            throw error;
        }
    }

    /** Waits; throws what no waiting mends. */
    private async mayTryAgain(error: PutError, one: PackageFile, tries: number): Promise<void> {
        if (error.status === 0) await readable(one);
        else if (![...AGAIN, 409, 500].includes(error.status)) throw error;
        else if (!AGAIN.includes(error.status) && tries >= TRIES) throw error;
        if (error.status === 409) {
            const upload = await ask<UploadAnswer>("GET", projectPath(this.project, "uploads", this.id)).catch(
                () => null,
            );
            if (upload?.in_use) throw error;
        }
        await this.pause();
    }

    private async persist<T>(work: () => Promise<T>): Promise<T> {
        for (;;) {
            try {
                const result = await work();
                this.mended();
                return result;
            } catch (error) {
                this.throwIfStopped();
                if (!(error instanceof ApiError) || !AGAIN.includes(error.status)) throw error;
                await this.pause();
            }
        }
    }

    private mended(): void {
        this.wait = FIRST_WAIT_MS;
        if (this.state.value === "broken") this.state.value = "sending";
    }

    private async pause(): Promise<void> {
        this.state.value = "broken";
        this.retryAt.value = Date.now() + this.wait;
        const ms = this.wait;
        this.wait = Math.min(this.wait * 1.5, LONGEST_WAIT_MS);
        await new Promise<void>((done) => {
            const timer = setTimeout(done, ms);
            this.abort.signal.addEventListener("abort", () => (clearTimeout(timer), done()), { once: true });
        });
        this.throwIfStopped();
        this.samples = [{ at: Date.now(), bytes: this.bytes }];
    }

    private throwIfStopped(): void {
        if (this.abort.signal.aborted) throw new Stopped(t("Stopped.", "已停止。"));
    }

    private progress(path: string, bytes: number): void {
        this.bytes += bytes - (this.sent.get(path) ?? 0);
        this.sent.set(path, bytes);
        this.show(false);
    }

    /** At most five times a second. */
    private show(now: boolean): void {
        const at = Date.now();
        if (!now && at - this.shownAt < SHOWN_MS) return;
        this.shownAt = at;
        this.samples = [...this.samples.filter((sample) => at - sample.at < RATE_MS), { at, bytes: this.bytes }].slice(
            -60,
        );
        const first = this.samples[0]!;
        this.rate.value =
            at - first.at > 500 ? Math.max(0, (1000 * (this.bytes - first.bytes)) / (at - first.at)) : this.rate.value;
        this.done.value = this.bytes;
        this.filesDone.value = this.finished;
        this.current.value = [...this.active];
    }
}

/** Whether the file can be read still; a browser tells no more than that the sending broke off. */
async function readable({ path, file }: PackageFile): Promise<void> {
    try {
        await file.slice(0, 1).arrayBuffer();
    } catch {
        throw new Error(
            t(
                `${path} cannot be read any more: it was changed or removed since the folder was chosen. Choose the folder again.`,
                `无法再读取 ${path}:选择文件夹后该文件被修改或删除。请重新选择文件夹。`,
            ),
        );
    }
}
