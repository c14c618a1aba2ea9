// Asking the server. Every failure is an ApiError whose message a person can read.
import { signal } from "@preact/signals";
import { language } from "./preferences";
import { t } from "./text";
import type { Whoami } from "./types";

export class ApiError extends Error {
    /** status: 0 when the server was not reached. details: every fault of a request, where there are several. */
    constructor(
        readonly status: number,
        readonly code: string,
        message: string,
        readonly details: string[] = [],
    ) {
        super(message);
    }
}

/** Who this page works for; null: nobody is signed in; undefined: not known yet. */
export const caller = signal<Whoami | null | undefined>(undefined);
/** The version that answers, once it is another than the page's: after an upgrade. */
export const newVersion = signal<string | null>(null);

const pageVersion = document.querySelector<HTMLMetaElement>("meta[name=waybill-version]")?.content;

function note(answer: Response): void {
    const version = answer.headers.get("X-Waybill-Version");
    newVersion.value = version && version !== pageVersion ? version : null;
    if (answer.status === 401) caller.value = null;
}

async function failure(answer: Response): Promise<ApiError> {
    const text = await answer.text().catch(() => "");
    try {
        const body = JSON.parse(text);
        const details = Array.isArray(body.details) ? body.details.map(detailText) : [];
        return new ApiError(answer.status, body.error_code ?? "", body.error_msg ?? text, details);
    } catch {
        return new ApiError(answer.status, "", text || `HTTP ${answer.status}`);
    }
}

function detailText(detail: unknown): string {
    if (typeof detail === "string") return detail;
    const found = detail as { summary?: string; summary_cn?: string; error_msg?: string };
    return (language.value === "zh" ? found.summary_cn : found.summary) ?? found.error_msg ?? JSON.stringify(detail);
}

export interface AskOptions {
    body?: unknown;
    signal?: AbortSignal;
    headers?: Record<string, string>;
}

export async function askRaw(method: string, path: string, options: AskOptions = {}): Promise<Response> {
    const headers: Record<string, string> = {
        "X-Language": language.value === "zh" ? "zh-cn" : "en-us",
        ...options.headers,
    };
    let body: string | undefined;
    if (options.body !== undefined) {
        headers["Content-Type"] = "application/json";
        body = JSON.stringify(options.body);
    }
    let answer: Response;
    try {
        answer = await fetch(path, { method, headers, body, signal: options.signal, credentials: "same-origin" });
    } catch (error) {
        if ((error as Error).name === "AbortError") throw error;
        throw new ApiError(0, "", t("The server does not answer.", "服务器无响应。"));
    }
    note(answer);
    if (!answer.ok) throw await failure(answer);
    return answer;
}

export async function ask<T>(method: string, path: string, options?: AskOptions): Promise<T> {
    return (await askRaw(method, path, options)).json() as Promise<T>;
}

/** "v1/PROJECT/…" with each segment encoded: relative, so that a prefix of a proxy stays. */
export function projectPath(project: string, ...segments: (string | number)[]): string {
    return ["v1", project, ...segments].map((segment) => encodeURIComponent(segment)).join("/");
}

export function withQuery(path: string, query: Record<string, string | number | null | undefined>): string {
    const parts = new URLSearchParams();
    for (const [name, value] of Object.entries(query))
        if (value !== null && value !== undefined && value !== "") parts.set(name, String(value));
    const text = parts.toString();
    return text ? `${path}?${text}` : path;
}

export async function signIn(token: string): Promise<void> {
    await ask("POST", "v1/sign-in", { body: { token } });
    await whoami();
}

export async function signOut(): Promise<void> {
    await ask("POST", "v1/sign-out", { body: {} });
    caller.value = null;
}

export async function whoami(): Promise<void> {
    try {
        caller.value = await ask<Whoami>("GET", "v1/whoami");
    } catch (error) {
        if (!(error instanceof ApiError) || error.status !== 401) throw error;
    }
}

export function mayWrite(): boolean {
    return caller.value?.role === "writer" || caller.value?.role === "admin";
}

export function isAdmin(): boolean {
    return caller.value?.role === "admin";
}

export function isOperator(): boolean {
    return isAdmin() && caller.value?.project === "*";
}
