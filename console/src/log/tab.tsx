// The build log: a window on its lines, however many there are.
import { useSignal, type Signal } from "@preact/signals";
import { useEffect, useMemo, useRef } from "preact/hooks";
import type { LiveModel } from "../details/live-model";
import { useKeys } from "../keys";
import { href, replace, route } from "../route";
import { plural, t } from "../text";
import type { ModelDetails } from "../types";
import { Empty, Loading, Problem, Search, Select, isRunning } from "../ui/parts";
import { plainText, runsOf } from "./ansi";
import { LogLines } from "./lines";

const LINE_PX = 18;
const OVERSCAN = 20;

function useLines(live: LiveModel, attempt: number, running: boolean): LogLines {
    const lines = useMemo(() => new LogLines(live.project, live.id, attempt), [live.project, live.id, attempt]);
    useEffect(() => () => lines.stop(), [lines]);
    useEffect(() => {
        if (!lines.following.value) void lines.load(running);
    }, [lines, running]);
    return lines;
}

function matchesOf(lines: string[], text: string): number[] {
    if (!text) return [];
    const wanted = text.toLowerCase();
    const found = [];
    for (let i = 0; i < lines.length; i++) if (plainText(lines[i]!).toLowerCase().includes(wanted)) found.push(i + 1);
    return found;
}

export function LogTab({ live, model, line }: { live: LiveModel; model: ModelDetails; line: number }) {
    const attempt = Number(route.value.query.get("attempt")) || model.attempt;
    const to = Number(route.value.query.get("to")) || line;
    const lines = useLines(live, attempt, isRunning(model.model_status) && attempt === model.attempt);
    const page = [live.project, "models", live.id, "log"];
    const text = useSignal("");
    const at = useSignal(0);
    const follow = useSignal(!line);
    const search = useRef<HTMLInputElement>(null);
    const matches = useMemo(() => matchesOf(lines.lines, text.value), [lines, text.value, lines.count.value]);
    const step = (by: number) => {
        if (!matches.length) return;
        at.value = (at.value + by + matches.length) % matches.length;
        follow.value = false;
        replace(
            [...page, matches[at.value]!],
            attempt === model.attempt ? undefined : new URLSearchParams({ attempt: String(attempt) }),
        );
    };
    useKeys({
        "/": () => search.current?.focus(),
        f: () => (follow.value = !follow.value),
        n: () => step(1),
        N: () => step(-1),
    });
    return (
        <section>
            <div class="row filters" role="search">
                {model.attempt > 1 && (
                    <Select
                        label={t("Attempt", "尝试")}
                        value={String(attempt)}
                        options={Array.from({ length: model.attempt }, (_, i) => ({
                            value: String(model.attempt - i),
                            label: t(`attempt ${model.attempt - i}`, `第 ${model.attempt - i} 次尝试`),
                        }))}
                        onChange={(value) => replace(page, new URLSearchParams({ attempt: value }))}
                    />
                )}
                <Search
                    label={t("Search the log", "搜索日志")}
                    placeholder={t("Search", "搜索")}
                    value={text.value}
                    input={search}
                    onInput={(wanted) => {
                        text.value = wanted;
                        at.value = -1;
                    }}
                    onEnter={(back) => step(back ? -1 : 1)}
                />
                {text.value && (
                    <>
                        <span role="status">
                            {matches.length
                                ? `${Math.max(0, at.value) + 1} / ${matches.length}`
                                : t("not found", "未找到")}
                        </span>
                        <button
                            type="button"
                            class="small"
                            disabled={!matches.length}
                            onClick={() => step(-1)}
                            aria-label={t("Previous match", "上一处")}
                        >
                            ↑
                        </button>
                        <button
                            type="button"
                            class="small"
                            disabled={!matches.length}
                            onClick={() => step(1)}
                            aria-label={t("Next match", "下一处")}
                        >
                            ↓
                        </button>
                    </>
                )}
                <span class="grow" />
                <span class="quiet">
                    {t(plural(lines.count.value, "line", "lines"), `${lines.count.value} 行`)}
                    {lines.following.value && ` · ${t("live", "实时")}`}
                </span>
                <label class="check">
                    <input
                        type="checkbox"
                        checked={follow.value}
                        onChange={(event) => (follow.value = event.currentTarget.checked)}
                    />
                    {t("follow the end", "跟随末尾")}
                </label>
                <a
                    class="button"
                    href={`v1/${encodeURIComponent(live.project)}/models/${live.id}/log?attempt=${attempt}`}
                    download={`${model.model_name}-${model.model_version}-build.log`}
                >
                    {t("Download", "下载")}
                </a>
            </div>
            {lines.error.value !== null && <Problem error={lines.error.value} />}
            {!lines.loaded.value && lines.error.value === null && <Loading />}
            {lines.loaded.value && lines.count.value === 0 && (
                <Empty>{t("Nothing was built yet: the log is empty.", "尚未构建:日志为空。")}</Empty>
            )}
            {lines.count.value > 0 && (
                <Window
                    lines={lines}
                    from={line}
                    to={to}
                    text={text.value}
                    follow={follow}
                    page={page}
                    attempt={attempt}
                />
            )}
        </section>
    );
}

interface WindowProps {
    lines: LogLines;
    from: number;
    to: number;
    text: string;
    follow: Signal<boolean>;
    page: string[];
    attempt: number;
}

/** Only the lines that can be seen are in the page. */
function Window({ lines, from, to, text, follow, page, attempt }: WindowProps) {
    const box = useRef<HTMLDivElement>(null);
    const top = useSignal(0);
    const height = useSignal(600);
    const count = lines.count.value;
    useEffect(() => {
        const seen = box.current!;
        const measure = new ResizeObserver(() => (height.value = seen.clientHeight));
        measure.observe(seen);
        return () => measure.disconnect();
    }, []);
    useEffect(() => {
        if (from && box.current) box.current.scrollTop = Math.max(0, (from - 4) * LINE_PX);
    }, [from, lines, count >= from]);
    useEffect(() => {
        if (follow.value && box.current) box.current.scrollTop = box.current.scrollHeight;
    }, [count, follow.value]);
    const onScroll = () => {
        const seen = box.current!;
        const goesUp = seen.scrollTop < top.value;
        top.value = seen.scrollTop;
        if (goesUp && seen.scrollHeight - seen.scrollTop - seen.clientHeight > LINE_PX) follow.value = false;
    };
    const first = Math.max(0, Math.floor(top.value / LINE_PX) - OVERSCAN);
    const last = Math.min(count, Math.ceil((top.value + height.value) / LINE_PX) + OVERSCAN);
    const width = String(count).length;
    return (
        <div
            class="log"
            ref={box}
            onScroll={onScroll}
            tabIndex={0}
            role="log"
            aria-live="off"
            aria-label={t("Build log", "构建日志")}
        >
            <div class="log-lines-all" style={{ height: `${count * LINE_PX}px` }}>
                <div class="log-window" style={{ transform: `translateY(${first * LINE_PX}px)` }}>
                    {lines.lines.slice(first, last).map((line, i) => {
                        const number = first + i + 1;
                        return (
                            <Line
                                key={number}
                                number={number}
                                width={width}
                                text={line}
                                search={text}
                                here={number >= from && number <= to && from > 0}
                                page={page}
                                attempt={attempt}
                            />
                        );
                    })}
                </div>
            </div>
        </div>
    );
}

/** "2026-11-27T18:33:40.094Z  text": the time apart. */
function parted(line: string): [string, string] {
    const found = /^(\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)[.\d]*Z)\s\s?(.*)$/s.exec(line);
    return found ? [found[1]!, found[3]!] : ["", line];
}

interface LineProps {
    number: number;
    width: number;
    text: string;
    search: string;
    here: boolean;
    page: string[];
    attempt: number;
}

function Line({ number, width, text, search, here, page, attempt }: LineProps) {
    const [time, rest] = parted(text);
    return (
        <div class={here ? "log-line here" : "log-line"}>
            <a class="line-number" href={href([...page, number], { attempt: String(attempt) })}>
                {String(number).padStart(width)}
            </a>
            {time && (
                <time dateTime={time} title={time}>
                    {new Date(time).toTimeString().slice(0, 8)}
                </time>
            )}
            <span>
                {runsOf(rest).map((run) => (
                    <span class={run.style}>{search ? marked(run.text, search) : run.text}</span>
                ))}
            </span>
        </div>
    );
}

function marked(text: string, search: string) {
    const wanted = search.toLowerCase();
    const lower = text.toLowerCase();
    const parts = [];
    let from = 0;
    for (let found = lower.indexOf(wanted); found >= 0; found = lower.indexOf(wanted, from)) {
        parts.push(text.slice(from, found), <mark>{text.slice(found, found + wanted.length)}</mark>);
        from = found + wanted.length;
    }
    parts.push(text.slice(from));
    return parts;
}
