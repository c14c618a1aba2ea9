// What a person is about to import. It outlives the page: whoever looks at the models meanwhile
// finds the form, and the upload, as they were.
import { batch, computed, effect, signal } from "@preact/signals";
import { ApiError, ask, projectPath, withQuery } from "../api";
import { go } from "../route";
import { t } from "../text";
import type { Finding, Model, ModelList } from "../types";
import { hasFailed } from "../ui/parts";
import { parseConfig, textField } from "./config-text";
import { noteOfFault, noteOfFinding, type Note } from "./findings";
import { inChild, nameFrom, type Folder } from "./package";
import { Transfer } from "./transfer";

export type SourceKind = "folder" | "path" | "image";

export interface CheckAnswer {
    ok: boolean;
    findings: Finding[];
    model_type?: string;
    runtime?: string;
    files?: number;
    bytes?: number;
    top?: { path: string; size: number }[];
    waste?: { path: string; size: number; files?: number }[];
    unused: string[];
}

const TRIES = 5;
const CONFIG_MOST_BYTES = 1 << 20;

export class Draft {
    readonly kind = signal<SourceKind>("folder");
    readonly chosen = signal<Folder | null>(null);
    readonly asModel = signal(true);
    readonly path = signal("");
    readonly image = signal("");
    readonly name = signal("");
    readonly version = signal("");
    readonly type = signal("");
    readonly runtime = signal("");
    /** "" packs the files into the image. */
    readonly loading = signal<"" | "dynamic">("");
    readonly description = signal("");
    readonly configText = signal("");
    /** config.json as it lies in the chosen folder; null: there is none, or it is not seen from here. */
    readonly packaged = signal<string | null>(null);
    readonly configView = signal<"text" | "form">("text");
    readonly versions = signal<Model[]>([]);
    readonly transfer = signal<Transfer | null>(null);
    readonly busy = signal<"" | "check" | "import">("");
    readonly checked = signal<{ answer: CheckAnswer; of: string } | null>(null);
    readonly faults = signal<string[]>([]);
    readonly error = signal<unknown>(null);
    nameTouched = false;
    versionTouched = false;
    private readonly kept: Partial<Record<SourceKind, { text: string; packaged: string | null }>> = {};
    private key = { of: "", value: "" };

    readonly config = computed(() => parseConfig(this.configText.value));
    /** As it is sent. */
    readonly folder = computed(() => {
        const folder = this.chosen.value;
        return folder?.isModelDirectory && this.asModel.value ? inChild(folder) : folder;
    });
    /** By source: what the check found in it. */
    private readonly typeOf = signal<Record<string, string>>({});
    /** What config.json says, seen here or by the check. */
    readonly foundType = computed(
        () => textField(this.config.value, "model_type") || this.typeOf.value[this.sourceKey()] || "",
    );
    readonly effectiveType = computed(() => {
        if (this.kind.value === "image") return "Image";
        return this.type.value || this.foundType.value;
    });
    /** The version that is there already under this name. */
    readonly existing = computed(
        () => this.versions.value.find((model) => model.model_version === this.version.value) ?? null,
    );
    readonly failedOnes = computed(() => this.versions.value.filter((model) => hasFailed(model.model_status)));
    readonly fields = computed(() => this.fieldsOf());
    readonly isStale = computed(() => this.checked.value !== null && this.checked.value.of !== this.stateKey());
    readonly hasSource = computed(() => {
        if (this.kind.value === "folder") return this.folder.value !== null;
        return (this.kind.value === "path" ? this.path.value : this.image.value).trim() !== "";
    });
    readonly paths = computed(() => new Set((this.folder.value?.files ?? []).map(({ path }) => path)));
    readonly notes = computed<Note[]>(() => {
        const answer = this.checked.value?.answer;
        const top = new Set((answer?.top ?? []).map(({ path }) => path));
        const isFile = (path: string) =>
            (this.kind.value === "folder" && this.paths.value.has(path)) || top.has(path) || /^[^/]+\/.+/.test(path);
        return [
            ...this.faults.value.map(noteOfFault),
            ...(answer?.findings ?? []).map((one, index) => noteOfFinding(one, index, isFile)),
        ];
    });

    constructor(readonly project: string) {}

    /** The body of both requests, but for source_location. "" is left out. */
    private fieldsOf(): Record<string, string> {
        const all: Record<string, string> = {
            model_name: this.name.value.trim(),
            model_version: this.version.value.trim(),
            model_type: this.effectiveType.value,
            runtime: this.kind.value === "image" ? "" : this.runtime.value,
            load_mode: this.effectiveType.value === "Image" ? "" : this.loading.value,
            description: this.description.value,
            initial_config: this.sentConfig(),
        };
        return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ""));
    }

    /** What wins over the package's file; "" while that holds as it is. */
    private sentConfig(): string {
        const text = this.configText.value;
        return text.trim() === "" || text === this.packaged.value ? "" : text;
    }

    private sourceKey(): string {
        const folder = this.folder.value;
        if (this.kind.value === "folder")
            return `folder ${folder?.name} ${folder?.bytes} ${folder?.files.length} ${folder?.files[0]?.path}`;
        return `${this.kind.value} ${this.kind.value === "path" ? this.path.value : this.image.value}`;
    }

    /** What a check's answer is about: once it is another, the answer is of before. */
    private stateKey(): string {
        return JSON.stringify([this.sourceKey(), this.type.value, this.runtime.value, this.sentConfig()]);
    }

    /** Each kind of source has a config.json of its own. */
    setKind(kind: SourceKind): void {
        if (kind === this.kind.value) return;
        batch(() => {
            this.kept[this.kind.value] = { text: this.configText.value, packaged: this.packaged.value };
            const { text, packaged } = this.kept[kind] ?? { text: "", packaged: null };
            this.kind.value = kind;
            this.configText.value = text;
            this.packaged.value = packaged;
            this.forgetAnswers();
        });
    }

    async choose(folder: Folder): Promise<void> {
        const own = folder.files.find(
            ({ path }) => path === "model/config.json" || (folder.isModelDirectory && path === "config.json"),
        );
        const text = own && own.file.size <= CONFIG_MOST_BYTES ? await own.file.text() : null;
        batch(() => {
            this.transfer.value?.stop();
            this.chosen.value = folder;
            this.asModel.value = true;
            this.forgetAnswers();
            if (text !== null || this.packaged.value !== null) this.configText.value = text ?? "";
            this.packaged.value = text;
        });
        this.suggestName(folder.name);
    }

    clear(): void {
        this.transfer.value?.stop();
        this.chosen.value = null;
        this.packaged.value = null;
        this.configText.value = "";
        this.forgetAnswers();
    }

    private forgetAnswers(): void {
        this.checked.value = null;
        this.faults.value = [];
        this.error.value = null;
    }

    suggestName(text: string): void {
        if (this.nameTouched) return;
        this.name.value = nameFrom(text);
        void this.lookForVersions();
    }

    /** The versions of the name, the newest first; the next one is proposed. */
    async lookForVersions(): Promise<void> {
        const name = this.name.value.trim();
        const query = { model_name: name, exact_match: "true", sort_by: "model_version", order: "desc", limit: 1000 };
        const list = name
            ? await ask<ModelList>("GET", withQuery(projectPath(this.project, "models"), query)).catch(() => null)
            : null;
        if (this.name.value.trim() !== name) return;
        this.versions.value = list?.models ?? [];
        if (!this.versionTouched) this.version.value = nextVersion(this.versions.value[0]?.model_version);
    }

    /** source_location; a folder is sent first. */
    private async source(): Promise<string> {
        if (this.kind.value === "path") return this.path.value.trim();
        if (this.kind.value === "image") return this.image.value.trim();
        return `upload://${await this.sendFolder()}`;
    }

    private async sendFolder(): Promise<string> {
        const folder = this.folder.value!;
        const before = this.transfer.value;
        if (!before || before.folder !== folder) {
            this.transfer.value = new Transfer(this.project, folder, before);
            transfers.value = [...transfers.value.filter((one) => one !== before), this.transfer.value];
        }
        return this.transfer.value!.run();
    }

    async check(): Promise<void> {
        await this.work("check", async () => {
            const source_location = await this.source();
            const of = this.stateKey();
            const body = { ...this.fields.value, source_location };
            const answer = await ask<CheckAnswer>("POST", projectPath(this.project, "models", "check"), { body });
            this.checked.value = { answer, of };
            if (answer.model_type) this.typeOf.value = { ...this.typeOf.value, [this.sourceKey()]: answer.model_type };
        });
    }

    async import(): Promise<void> {
        await this.work("import", async () => {
            const source_location = await this.source();
            const there = this.existing.value;
            const again = there && hasFailed(there.model_status) ? there : null;
            const id = again
                ? await this.retry(again, source_location)
                : await this.create({ ...this.fields.value, source_location });
            drafts.delete(this.project);
            go([this.project, "models", id, "events"]);
        });
    }

    private async create(body: Record<string, string>): Promise<string> {
        const answer = await this.post<{ model_id: string }>(projectPath(this.project, "models"), body);
        return answer.model_id;
    }

    private async retry(model: Model, source_location: string): Promise<string> {
        const body: Record<string, string> = { source_location };
        const config = this.configText.value;
        if (config.trim()) body.initial_config = config;
        if (this.effectiveType.value !== "Image") body.load_mode = this.loading.value || "packed";
        await this.post(projectPath(this.project, "models", model.model_id, "retry"), body);
        return model.model_id;
    }

    /** Sent again under its key when no answer came: the import is never begun twice. */
    private async post<T>(path: string, body: Record<string, string>): Promise<T> {
        const of = path + JSON.stringify(body);
        if (this.key.of !== of) this.key = { of, value: randomKey() };
        for (let tries = 1; ; tries++) {
            try {
                return await ask<T>("POST", path, { body, headers: { "Idempotency-Key": this.key.value } });
            } catch (error) {
                const lost = error instanceof ApiError && [0, 502, 503, 504].includes(error.status);
                if (!lost || tries >= TRIES) throw error;
                await new Promise((done) => setTimeout(done, 500 * 2 ** tries));
            }
        }
    }

    private async work(what: "check" | "import", task: () => Promise<void>): Promise<void> {
        if (this.busy.value) return;
        batch(() => {
            this.busy.value = what;
            this.forgetAnswers();
        });
        try {
            await task();
        } catch (error) {
            this.fail(error);
        } finally {
            this.busy.value = "";
        }
    }

    /** What the transfer tells itself is not told twice. */
    private fail(error: unknown): void {
        const state = this.transfer.value?.state.value;
        if (this.kind.value === "folder" && (state === "stopped" || state === "failed")) return;
        if (error instanceof ApiError && error.status === 400 && error.details.length)
            this.faults.value = error.details;
        else if (error instanceof ApiError && error.code === "ModelArts.3017")
            this.faults.value = [`source_location: ${error.message}`];
        else if (error instanceof ApiError && error.status === 409 && !this.existing.value) {
            this.error.value = error;
            void this.lookForVersions();
        } else this.error.value = error;
    }
}

/** N.N.N, each at most 99. */
export function nextVersion(newest: string | undefined): string {
    const parts = (newest ?? "").split(".").map(Number);
    if (parts.length !== 3 || parts.some((part) => !Number.isInteger(part))) return "0.0.1";
    let [major, minor, patch] = parts as [number, number, number];
    patch++;
    if (patch > 99) [minor, patch] = [minor + 1, 0];
    if (minor > 99) [major, minor] = [major + 1, 0];
    return major > 99 ? "" : `${major}.${minor}.${patch}`;
}

/** crypto.randomUUID is not there over plain HTTP. */
function randomKey(): string {
    return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join(
        "",
    );
}

const drafts = new Map<string, Draft>();
/** Counts what was begun anew. */
export const begun = signal(0);

export function draftOf(project: string): Draft {
    let draft = drafts.get(project);
    if (!draft) drafts.set(project, (draft = new Draft(project)));
    return draft;
}

export function newDraft(project: string): void {
    drafts.get(project)?.clear();
    drafts.delete(project);
    begun.value++;
}

const transfers = signal<Transfer[]>([]);

function warn(event: BeforeUnloadEvent): void {
    event.preventDefault();
    event.returnValue = t("The upload is not finished.", "上传尚未完成。");
}

/** Whoever leaves while files are sent is asked. */
effect(() => {
    const sending = transfers.value.some(({ state }) => state.value === "sending" || state.value === "broken");
    if (sending) addEventListener("beforeunload", warn);
    else removeEventListener("beforeunload", warn);
});
