// Every event that can be, as GET v1/event-catalog has them. They change with the program only: asked
// for once a page load.
import { ask } from "../api";
import type { EventType, Evidence, FixBy } from "../types";

export interface Said {
    summary: string | null;
    advice: string[];
}

export interface CatalogKind {
    kind: string;
    fix_by: FixBy | "cause";
    retryable: boolean;
    summary_en: string;
    summary_zh: string;
    said_en: Said;
    said_zh: Said;
}

export interface CatalogRow {
    no: number | null;
    reason: string;
    type: EventType;
    en: string;
    zh: string;
    params: string[];
    solution_en: string | null;
    solution_zh: string | null;
    stage: string;
    when_en: string;
    when_zh: string;
    causes_en: string[];
    causes_zh: string[];
    advice_en: string[];
    advice_zh: string[];
    example: { params?: Record<string, unknown>; evidence?: Evidence; kind?: string } | null;
    kinds: CatalogKind[];
}

let asked: Promise<CatalogRow[]> | undefined;

export function loadCatalog(): Promise<CatalogRow[]> {
    asked ??= ask<{ events: CatalogRow[] }>("GET", "v1/event-catalog").then(
        (answer) => answer.events,
        (error: unknown) => {
            asked = undefined; // it is asked for again
            throw error;
        },
    );
    return asked;
}

/** All that a person may look for in it, in both languages. */
export function searchText(row: CatalogRow): string {
    const kinds = row.kinds.flatMap((kind) => [kind.kind, kind.said_en.summary, kind.said_zh.summary]);
    const texts = [row.no, row.reason, row.en, row.zh, row.solution_en, row.solution_zh, row.when_en, row.when_zh];
    return [...texts, ...row.causes_en, ...row.causes_zh, ...row.advice_en, ...row.advice_zh, ...kinds]
        .join("\n")
        .toLowerCase();
}
