// One event of the catalogue, as an answer to "what is this, and what do I do?".
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ask, projectPath, withQuery } from "../api";
import { href, route } from "../route";
import { ofPair, plural, t } from "../text";
import { useLoad } from "../ui/load";
import { Copy, Turn, TypeMark, WithCommands } from "../ui/parts";
import { stageName } from "../ui/stages";
import { EvidenceView } from "../events/evidence";
import type { CatalogKind, CatalogRow } from "./data";
import { Template, filled } from "./template";

/** As the API reads it. */
const LATELY = "168h";

export function Entry({ project, row }: { project: string; row: CatalogRow }) {
    useEffect(() => {
        if (matchMedia("(max-width: 900px)").matches) scrollTo(0, 0);
    }, [row.reason]);
    const link = new URL(href([project, "catalog", row.reason]), location.href).href;
    const message = ofPair(row.en, row.zh)!;
    return (
        <article class="catalog-entry card" aria-label={row.reason}>
            <p class="catalog-back">
                <a href={href([project, "catalog"], route.value.query)}>← {t("All events", "全部事件")}</a>
            </p>
            <div class="row">
                <TypeMark type={row.type} />
                <code>{row.reason}</code>
                <span class="quiet">
                    {row.no ? t(`event ${row.no}`, `事件 ${row.no}`) : t("of Waybill's own", "Waybill 自有事件")} ·{" "}
                    {t(`stage ${stageName(row.stage)}`, `${stageName(row.stage)}阶段`)}
                </span>
                <span class="grow" />
                <Copy text={link} label={t("Copy link", "复制链接")} />
            </div>
            <h2 class="catalog-message">
                <Template text={message} />
            </h2>
            <p class="quiet" lang={message === row.en ? "zh-CN" : "en"}>
                <Template text={message === row.en ? row.zh : row.en} />
            </p>
            <Lately project={project} reason={row.reason} />
            <Part title={t("When it comes", "出现时机")}>
                <p>{ofPair(row.when_en, row.when_zh)}</p>
            </Part>
            <List title={t("Likely causes", "可能原因")} items={ofPair(row.causes_en, row.causes_zh) ?? []} />
            {row.solution_en !== null && (
                <Part title={t("Solution", "处理方法")}>
                    <p>
                        <WithCommands text={ofPair(row.solution_en, row.solution_zh) ?? ""} />
                    </p>
                </Part>
            )}
            <List title={t("What to do", "处理步骤")} items={ofPair(row.advice_en, row.advice_zh) ?? []} ordered />
            <Kinds kinds={row.kinds} />
            <Example row={row} />
        </article>
    );
}

function Part({ title, children }: { title: string; children: ComponentChildren }) {
    return (
        <section>
            <h3>{title}</h3>
            {children}
        </section>
    );
}

function List({ title, items, ordered }: { title: string; items: string[]; ordered?: boolean }) {
    if (items.length === 0) return null;
    const rows = items.map((item) => (
        <li>
            <WithCommands text={item} />
        </li>
    ));
    return <Part title={title}>{ordered ? <ol>{rows}</ol> : <ul>{rows}</ul>}</Part>;
}

/** How often it happened here: a line that leads to the models behind it. */
function Lately({ project, reason }: { project: string; reason: string }) {
    const path = withQuery(projectPath(project, "events"), { reason, since: LATELY, limit: 1 });
    const found = useLoad(
        (signal) => ask<{ total_count: number; model_count: number }>("GET", path, { signal }),
        [path],
    );
    const counts = found.data.value;
    if (!counts) return null;
    if (counts.total_count === 0)
        return <p class="quiet">{t("It did not happen here in the last 7 days.", "最近 7 天内未在此项目中出现。")}</p>;
    return (
        <p>
            <a href={href([project, "overview"], { reason, days: "7" })}>
                {t(
                    `${plural(counts.total_count, "time", "times")} here in the last 7 days, in ${plural(counts.model_count, "model", "models")}`,
                    `最近 7 天在此项目中出现 ${counts.total_count} 次,涉及 ${counts.model_count} 个模型`,
                )}
            </a>
        </p>
    );
}

function Kinds({ kinds }: { kinds: CatalogKind[] }) {
    if (kinds.length === 0) return null;
    return (
        <Part title={t("What it may say, for example", "可能的诊断(示例)")}>
            {kinds.map((kind) => (
                <Kind kind={kind} />
            ))}
        </Part>
    );
}

function Kind({ kind }: { kind: CatalogKind }) {
    const said = ofPair(kind.said_en, kind.said_zh)!;
    const chosen = kind.kind !== "" && route.value.query.get("kind") === kind.kind;
    const place = useRef<HTMLDivElement>(null);
    useEffect(() => {
        if (chosen) place.current?.scrollIntoView({ block: "nearest" });
    }, [chosen]);
    return (
        <div ref={place} class={`kind${chosen ? " kind-chosen" : ""}`} aria-current={chosen ? "true" : undefined}>
            <p class="kind-head">
                {kind.kind && <code>{kind.kind}</code>} <Turn fixBy={kind.fix_by} />
                {kind.retryable && (
                    <span class="quiet"> · {t("may work when it is simply retried", "直接重试可能成功")}</span>
                )}
            </p>
            <p class="kind-summary">{said.summary}</p>
            <ol>
                {said.advice.map((step) => (
                    <li>
                        <WithCommands text={step} />
                    </li>
                ))}
            </ol>
        </div>
    );
}

function Example({ row }: { row: CatalogRow }) {
    const example = row.example;
    if (!example?.evidence) return null;
    return (
        <Part title={t("An example", "示例")}>
            <p>
                <TypeMark type={row.type} /> {filled(ofPair(row.en, row.zh)!, example.params ?? {})}
            </p>
            <EvidenceView evidence={example.evidence} />
        </Part>
    );
}
