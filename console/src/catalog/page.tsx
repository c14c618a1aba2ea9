// Every event that can be: what it means, why it comes, what to do. #/PROJECT/catalog/REASON is an
// entry's permalink, which every event links to.
import { useSignalEffect } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { useKeys } from "../keys";
import { href, route, setQuery } from "../route";
import { ofPair, plural, t } from "../text";
import { useLoad } from "../ui/load";
import { Empty, Loading, Problem, Search, Select, TypeMark, typeName } from "../ui/parts";
import { STAGES, stageName } from "../ui/stages";
import { setTab } from "../ui/tab-state";
import { loadCatalog, searchText, type CatalogRow } from "./data";
import { Entry } from "./entry";
import { Template } from "./template";

const TYPES = ["abnormal", "hint", "normal"] as const;

interface Filter {
    text: string;
    type: string;
    stage: string;
}

function filterOf(query: URLSearchParams): Filter {
    return { text: query.get("q") ?? "", type: query.get("type") ?? "", stage: query.get("stage") ?? "" };
}

export function CatalogPage({ project, reason }: { project: string; reason: string | undefined }) {
    const catalog = useLoad(loadCatalog, []);
    const filter = filterOf(route.value.query);
    const texts = useMemo(
        () => new Map(catalog.data.value?.map((row) => [row.reason, searchText(row)])),
        [catalog.data.value],
    );
    useSignalEffect(() => setTab(reason ?? t("Events & FAQ", "事件与 FAQ")));

    const rows = (catalog.data.value ?? []).filter(
        (row) =>
            (!filter.type || row.type === filter.type) &&
            (!filter.stage || row.stage === filter.stage) &&
            filter.text
                .toLowerCase()
                .split(/\s+/)
                .every((word) => texts.get(row.reason)!.includes(word)),
    );
    const open = catalog.data.value?.find((row) => row.reason === reason);
    return (
        <div class={`page catalog${reason ? " catalog-open" : ""}`}>
            <div class="catalog-list">
                <h1>{t("Events & FAQ", "事件与 FAQ")}</h1>
                <p class="quiet">
                    {t(
                        "What each event of an import means, why it comes, and what to do.",
                        "导入过程中每个事件的含义、原因和处理方法。",
                    )}
                </p>
                <Filters filter={filter} />
                {catalog.error.value !== null && (
                    <Problem error={catalog.error.value} again={() => void catalog.again()} />
                )}
                {!catalog.data.value && catalog.error.value === null && <Loading />}
                {catalog.data.value && (
                    <Rows project={project} rows={rows} total={catalog.data.value.length} current={reason} />
                )}
            </div>
            {open && <Entry key={open.reason} project={project} row={open} />}
            {reason && catalog.data.value && !open && (
                <Empty>
                    <h2>{t(`There is no event ${reason}.`, `没有名为 ${reason} 的事件。`)}</h2>
                    <a href={href([project, "catalog"])}>{t("All events", "全部事件")}</a>
                </Empty>
            )}
        </div>
    );
}

function Filters({ filter }: { filter: Filter }) {
    const search = useRef<HTMLInputElement>(null);
    useKeys({
        "/": () => search.current?.focus(),
        e: () => setQuery({ type: filter.type === "abnormal" ? null : "abnormal" }),
    });
    return (
        <div class="row filters" role="search">
            <Search
                label={t("Search the events", "搜索事件")}
                placeholder={t("Number or words", "编号或关键词")}
                value={filter.text}
                input={search}
                onInput={(text) => setQuery({ q: text })}
            />
            <Select
                label={t("Type", "类型")}
                value={filter.type}
                options={[
                    { value: "", label: t("every type", "全部类型") },
                    ...TYPES.map((value) => ({ value: value as string, label: typeName(value) })),
                ]}
                onChange={(type) => setQuery({ type })}
            />
            <Select
                label={t("Stage", "阶段")}
                value={filter.stage}
                options={[
                    { value: "", label: t("every stage", "全部阶段") },
                    ...STAGES.map((value) => ({ value: value as string, label: stageName(value) })),
                ]}
                onChange={(stage) => setQuery({ stage })}
            />
        </div>
    );
}

function Rows(props: { project: string; rows: CatalogRow[]; total: number; current: string | undefined }) {
    const move = (by: number) => {
        const links = [...document.querySelectorAll<HTMLElement>(".catalog-rows a")];
        const at = links.indexOf(document.activeElement as HTMLElement);
        links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
    };
    useKeys({ j: () => move(1), k: () => move(-1) });
    useEffect(() => document.querySelector(".catalog-rows a[aria-current]")?.scrollIntoView({ block: "nearest" }), []);
    if (props.rows.length === 0)
        return (
            <Empty>
                <p>{t("No event fits.", "没有符合条件的事件。")}</p>
                <button type="button" onClick={() => setQuery({ q: null, type: null, stage: null })}>
                    {t("Show all", "显示全部")}
                </button>
            </Empty>
        );
    return (
        <>
            <p class="quiet" role="status">
                {props.rows.length === props.total
                    ? t(plural(props.total, "event", "events"), `共 ${props.total} 个事件`)
                    : t(
                          `${props.rows.length} of ${props.total} events`,
                          `${props.rows.length} / ${props.total} 个事件`,
                      )}
            </p>
            <ul class="catalog-rows">
                {props.rows.map((row) => (
                    <li key={row.reason}>
                        <a
                            href={href([props.project, "catalog", row.reason], route.value.query)}
                            aria-current={row.reason === props.current ? "page" : undefined}
                        >
                            <span class="catalog-number">{row.no ?? "–"}</span>
                            <span class="catalog-text">
                                <Template text={ofPair(row.en, row.zh)!} />
                                <span class="quiet catalog-reason">
                                    {row.reason} · {stageName(row.stage)}
                                </span>
                            </span>
                            <TypeMark type={row.type} />
                        </a>
                    </li>
                ))}
            </ul>
        </>
    );
}
