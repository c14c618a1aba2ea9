// The models of a project, as they are now.
import { useSignal, useSignalEffect } from "@preact/signals";
import type { RefObject } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import { ask, caller, mayWrite, projectPath, withQuery } from "../api";
import { useKeys } from "../keys";
import { openLink, type Link } from "../live";
import { href, route, setQuery } from "../route";
import { bytes, ofPair, plural, t } from "../text";
import { MODEL_TYPES, type Model, type ModelChange, type ModelList } from "../types";
import { ConnectionState } from "../ui/connection";
import { useLoad } from "../ui/load";
import {
    Command,
    Empty,
    Loading,
    Problem,
    Search,
    Select,
    Status,
    Time,
    TypeMark,
    hasFailed,
    isRunning,
    statusName,
} from "../ui/parts";
import { setTab } from "../ui/tab-state";

const PAGE_ROWS = 50;
const SETTLE_MS = 400;
const STATUSES = ["publishing", "published", "failed", "building", "building_failed"] as const;
const SORTS = ["create_at", "model_name", "model_version", "model_size"] as const;

interface Filter {
    name: string;
    status: string;
    type: string;
    mine: boolean;
    all: boolean;
    sort: string;
    ascending: boolean;
    page: number;
}

/** The filter stands in the address, so that it can be sent on and survives a reload. */
function filterOf(query: URLSearchParams): Filter {
    return {
        name: query.get("name") ?? "",
        status: query.get("status") ?? "",
        type: query.get("type") ?? "",
        mine: query.get("mine") === "1",
        all: query.get("all") === "1",
        sort: query.get("sort") ?? "create_at",
        ascending: query.get("order") === "asc",
        page: Math.max(1, Number(query.get("page")) || 1),
    };
}

function listPath(project: string, filter: Filter): string {
    return withQuery(projectPath(project, "models"), {
        model_name: filter.name,
        model_status: filter.status,
        model_type: filter.type,
        owner: filter.mine ? caller.value?.user : "",
        newest: filter.all ? "" : "true",
        sort_by: filter.sort,
        order: filter.ascending ? "asc" : "desc",
        offset: (filter.page - 1) * PAGE_ROWS,
        limit: PAGE_ROWS,
    });
}

/** What changed since is seen at once in rows that are there; new ones come with the next look. */
function withChange(list: ModelList, change: ModelChange): ModelList {
    return {
        ...list,
        models: list.models.map((model) =>
            model.model_id === change.model_id
                ? {
                      ...model,
                      model_status: change.model_status,
                      last_event: change.last_event,
                      description: change.description,
                  }
                : model,
        ),
    };
}

export function ModelsPage({ project }: { project: string }) {
    const filter = filterOf(route.value.query);
    const path = listPath(project, filter);
    const list = useLoad((signal) => ask<ModelList>("GET", path, { signal }), [path]);
    const link = useProjectLink(project, list.data, list.again);
    const selected = useSignal(-1);
    const search = useRef<HTMLInputElement>(null);

    useSignalEffect(() => {
        const running = list.data.value?.models.some((model) => isRunning(model.model_status));
        setTab(t("Models", "模型"), running ? "running" : "idle");
    });
    const models = list.data.value?.models ?? [];
    const move = (by: number) => {
        selected.value = Math.max(0, Math.min(models.length - 1, selected.value + by));
        document.querySelectorAll<HTMLElement>("tr[data-row] a.name")[selected.value]?.focus();
    };
    useKeys({
        j: () => move(1),
        k: () => move(-1),
        "/": () => search.current?.focus(),
        e: () => setQuery({ status: filter.status === "failed" ? null : "failed", page: null }),
        r: () => void list.again(),
    });

    return (
        <div class="page">
            <div class="row">
                <h1>{t("Models", "模型")}</h1>
                <span class="grow" />
                {link && <ConnectionState link={link.state.value} at={list.at.value} />}
                <button type="button" onClick={() => void list.again()}>
                    {t("Refresh", "刷新")}
                </button>
                {mayWrite() && (
                    <a class="button primary" href={href([project, "import"])}>
                        {t("Import a model", "导入模型")}
                    </a>
                )}
            </div>
            <Filters filter={filter} search={search} />
            {list.error.value !== null && <Problem error={list.error.value} again={() => void list.again()} />}
            {!list.data.value && list.error.value === null && <Loading />}
            {list.data.value && models.length === 0 && <NoModels project={project} filter={filter} />}
            {models.length > 0 && (
                <ModelTable project={project} models={models} filter={filter} selected={selected.value} />
            )}
            {list.data.value && <Pages total={list.data.value.total_count} page={filter.page} />}
        </div>
    );
}

/** One stream for the page: what changes is shown, and what is new looked for. */
function useProjectLink(
    project: string,
    data: { value: ModelList | undefined },
    again: () => Promise<void>,
): Link | null {
    const link = useSignal<Link | null>(null);
    const latest = useRef({ data, again });
    latest.current = { data, again };
    useEffect(() => {
        let place = "now";
        let timer: ReturnType<typeof setTimeout> | undefined;
        const soon = () => {
            clearTimeout(timer);
            timer = setTimeout(() => void latest.current.again(), SETTLE_MS);
        };
        const opened = openLink({
            url: () => withQuery(projectPath(project, "events", "stream"), { since: place }),
            take: (name, text, id) => {
                if (id) place = id;
                if (name === "synced") return;
                const list = latest.current.data.value;
                if (name === "model" && list)
                    latest.current.data.value = withChange(list, JSON.parse(text) as ModelChange);
                soon();
            },
            peek: () => void latest.current.again(),
        });
        link.value = opened;
        return () => {
            clearTimeout(timer);
            opened.close();
        };
    }, [project]);
    return link.value;
}

function Filters({ filter, search }: { filter: Filter; search: RefObject<HTMLInputElement | null> }) {
    const typing = useMemo<{ timer?: ReturnType<typeof setTimeout> }>(() => ({}), []);
    const onName = (text: string) => {
        clearTimeout(typing.timer);
        typing.timer = setTimeout(() => setQuery({ name: text, page: null }), 200);
    };
    const sortNames: Record<(typeof SORTS)[number], string> = {
        create_at: t("newest first", "按创建时间"),
        model_name: t("by name", "按名称"),
        model_version: t("by version", "按版本"),
        model_size: t("by size", "按大小"),
    };
    return (
        <div class="row filters" role="search">
            <Search
                label={t("Search by name", "按名称搜索")}
                placeholder={t("Name", "名称")}
                value={filter.name}
                input={search}
                onInput={onName}
            />
            <Select
                label={t("Status", "状态")}
                value={filter.status}
                options={[
                    { value: "", label: t("every status", "全部状态") },
                    ...STATUSES.map((value) => ({ value: value as string, label: statusName(value) })),
                ]}
                onChange={(status) => setQuery({ status, page: null })}
            />
            <Select
                label={t("Type", "类型")}
                value={filter.type}
                options={[
                    { value: "", label: t("every type", "全部类型") },
                    ...MODEL_TYPES.map((value) => ({ value, label: value })),
                ]}
                onChange={(type) => setQuery({ type, page: null })}
            />
            <Select
                label={t("Order", "排序")}
                value={filter.sort}
                options={SORTS.map((value) => ({ value: value as string, label: sortNames[value] }))}
                onChange={(sort) => setQuery({ sort, order: sort === "model_name" ? "asc" : null, page: null })}
            />
            <button
                type="button"
                class="small"
                onClick={() => setQuery({ order: filter.ascending ? null : "asc", page: null })}
                aria-label={
                    filter.ascending
                        ? t("ascending; turn round", "升序,点击反转")
                        : t("descending; turn round", "降序,点击反转")
                }
            >
                {filter.ascending ? "↑" : "↓"}
            </button>
            <label class="check">
                <input
                    type="checkbox"
                    checked={filter.mine}
                    onChange={(event) => setQuery({ mine: event.currentTarget.checked ? "1" : null, page: null })}
                />
                {t("mine", "我的")}
            </label>
            <label class="check">
                <input
                    type="checkbox"
                    checked={filter.all}
                    onChange={(event) => setQuery({ all: event.currentTarget.checked ? "1" : null, page: null })}
                />
                {t("every version", "所有版本")}
            </label>
        </div>
    );
}

function NoModels({ project, filter }: { project: string; filter: Filter }) {
    const narrowed = filter.name || filter.status || filter.type || filter.mine;
    if (narrowed)
        return (
            <Empty>
                <p>{t("No model fits the filter.", "没有符合条件的模型。")}</p>
                <button
                    type="button"
                    onClick={() => setQuery({ name: null, status: null, type: null, mine: null, page: null })}
                >
                    {t("Show all", "显示全部")}
                </button>
            </Empty>
        );
    return (
        <Empty>
            <h2>{t("No model was imported yet.", "还没有导入模型。")}</h2>
            <p>
                {t("A model is a folder that holds ", "模型是一个包含 ")}
                <code>model/</code>
                {t(
                    " with config.json and the model's files. Drop it on ",
                    " 的文件夹,其中有 config.json 和模型文件。把它拖到 ",
                )}
                <a href={href([project, "import"])}>{t("the import page", "导入页面")}</a>
                {t(", or type:", ",或执行:")}
            </p>
            <Command text={`waybill import DIR --server ${location.origin}`} />
        </Empty>
    );
}

function ModelTable(props: { project: string; models: Model[]; filter: Filter; selected: number }) {
    return (
        <table class="models">
            <thead>
                <tr>
                    <th scope="col">{t("Name", "名称")}</th>
                    <th scope="col">{t("Version", "版本")}</th>
                    <th scope="col">{t("Status", "状态")}</th>
                    <th scope="col">{t("Last event", "最近事件")}</th>
                    <th scope="col">{t("Type", "类型")}</th>
                    <th scope="col">{t("Source", "来源")}</th>
                    <th scope="col" class="number">
                        {t("Size", "大小")}
                    </th>
                    <th scope="col">{t("Created", "创建时间")}</th>
                    <th scope="col">{t("Owner", "创建者")}</th>
                </tr>
            </thead>
            <tbody>
                {props.models.map((model) => (
                    <ModelRow key={model.model_id} project={props.project} model={model} />
                ))}
            </tbody>
        </table>
    );
}

function ModelRow({ project, model }: { project: string; model: Model }) {
    const page = [project, "models", model.model_id];
    return (
        <tr data-row={model.model_id}>
            <td data-label={t("Name", "名称")}>
                <a class="name" href={href(page)}>
                    {model.model_name}
                </a>
            </td>
            <td data-label={t("Version", "版本")}>{model.model_version}</td>
            <td data-label={t("Status", "状态")}>
                <Status status={model.model_status} />
            </td>
            <td class="last" data-label={t("Last event", "最近事件")}>
                <LastEventLine page={page} model={model} />
            </td>
            <td data-label={t("Type", "类型")}>{model.model_type}</td>
            <td class="source" data-label={t("Source", "来源")} title={model.source_location}>
                {model.source_location}
            </td>
            <td class="number" data-label={t("Size", "大小")}>
                {model.model_size ? bytes(model.model_size) : "–"}
            </td>
            <td data-label={t("Created", "创建时间")}>
                <Time at={model.create_at} />
            </td>
            <td data-label={t("Owner", "创建者")}>{model.owner}</td>
        </tr>
    );
}

/** Of a failed model the event that explains it, one click away; of a running one how far it is. */
function LastEventLine({ page, model }: { page: string[]; model: Model }) {
    if (hasFailed(model.model_status) && model.failure) {
        const { failure } = model;
        const summary =
            ofPair(failure.summary ?? failure.event_info, failure.summary_cn ?? failure.event_info_cn) ?? "";
        return (
            <a class="cause" href={href([...page, "events", failure.seq])}>
                {failure.place && !summary.includes(failure.place) && <code>{failure.place} </code>}
                {summary}
            </a>
        );
    }
    if (isRunning(model.model_status) && model.progress?.bytes_total) {
        const { bytes_done = 0, bytes_total } = model.progress;
        return (
            <span>
                {model.progress.stage} · {Math.floor((100 * bytes_done) / bytes_total)} % · {bytes(bytes_done)} /{" "}
                {bytes(bytes_total)}
            </span>
        );
    }
    if (!model.last_event) return <span class="quiet">{t("waits for a worker", "等待执行节点")}</span>;
    return (
        <a class="plain" href={href([...page, "events"])}>
            {model.last_event.event_type !== "normal" && <TypeMark type={model.last_event.event_type} />}{" "}
            {ofPair(model.last_event.event_info, model.last_event.event_info_cn)}{" "}
            <span class="quiet">
                <Time at={model.last_event.occur_time} />
            </span>
        </a>
    );
}

function Pages({ total, page }: { total: number; page: number }) {
    const last = Math.max(1, Math.ceil(total / PAGE_ROWS));
    return (
        <div class="row pages">
            <span class="quiet">{t(plural(total, "model", "models"), `共 ${total} 个`)}</span>
            <span class="grow" />
            {last > 1 && (
                <>
                    <button type="button" disabled={page <= 1} onClick={() => setQuery({ page: String(page - 1) })}>
                        {t("Previous", "上一页")}
                    </button>
                    <span>
                        {page} / {last}
                    </span>
                    <button type="button" disabled={page >= last} onClick={() => setQuery({ page: String(page + 1) })}>
                        {t("Next", "下一页")}
                    </button>
                </>
            )}
        </div>
    );
}
