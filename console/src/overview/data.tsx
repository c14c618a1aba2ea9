// What GET …/statistics answers, and how far back it looks.
import { href } from "../route";
import { t } from "../text";

export interface Day {
    /** "2026-11-27", UTC. */
    day: string;
    imported: number;
    failed: number;
}

export interface StageTime {
    stage: string;
    count: number;
    p50_ms: number;
    p95_ms: number;
}

export interface ReasonCount {
    reason: string;
    count: number;
    models: number;
}

export interface Statistics {
    since: number;
    days: Day[];
    reasons: ReasonCount[];
    stages: StageTime[];
}

const DAYS = [7, 30, 90];

export function daysOf(query: URLSearchParams): number {
    const days = Number(query.get("days"));
    return DAYS.includes(days) ? days : 30;
}

/** A choice of links: how far back. */
export function DaysChoice({
    project,
    days,
    query,
}: {
    project: string;
    days: number;
    query?: Record<string, string>;
}) {
    return (
        <nav class="choice" aria-label={t("How far back", "时间范围")}>
            {DAYS.map((count) => (
                <a
                    class="button"
                    href={href([project, "overview"], { ...query, days: String(count) })}
                    aria-current={count === days ? "true" : undefined}
                >
                    {t(`${count} days`, `${count} 天`)}
                </a>
            ))}
        </nav>
    );
}
