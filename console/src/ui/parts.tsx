// What the pages are made of.
import { useSignal } from "@preact/signals";
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { ApiError } from "../api";
import { times } from "../preferences";
import { ago, clock, dateAndTime, day, offset, t } from "../text";
import type { EventType, FixBy, ModelStatus } from "../types";
import { now } from "./now";

/** A shape beside each colour: nothing is told by colour alone. */
const STATUS_MARKS: Record<ModelStatus, string> = {
    publishing: "◌",
    published: "✓",
    failed: "✗",
    building: "◌",
    building_failed: "✗",
};

export function statusName(status: ModelStatus): string {
    switch (status) {
        case "publishing":
            return t("publishing", "发布中");
        case "published":
            return t("published", "正常");
        case "failed":
            return t("failed", "失败");
        case "building":
            return t("building", "构建中");
        case "building_failed":
            return t("building failed", "构建失败");
    }
}

function statusMeaning(status: ModelStatus): string {
    switch (status) {
        case "publishing":
            return t("The first import is under way.", "首次导入正在进行。");
        case "published":
            return t("The model has an image that can be run.", "模型镜像可用。");
        case "failed":
            return t("The import ended without an image.", "导入失败,没有镜像。");
        case "building":
            return t("The image is built anew; the former one is still there.", "正在重新构建镜像,原镜像仍可用。");
        case "building_failed":
            return t("The new image failed; the former one is still there.", "新镜像构建失败,原镜像仍可用。");
    }
}

export function isRunning(status: ModelStatus): boolean {
    return status === "publishing" || status === "building";
}

export function hasFailed(status: ModelStatus): boolean {
    return status === "failed" || status === "building_failed";
}

export function Status({ status }: { status: ModelStatus }) {
    return (
        <span class={`status status-${status}`} title={statusMeaning(status)}>
            <span aria-hidden="true">{STATUS_MARKS[status]}</span> {statusName(status)}
        </span>
    );
}

const TYPE_MARKS: Record<EventType, string> = { normal: "✓", abnormal: "✗", hint: "!" };

export function typeName(type: EventType): string {
    return type === "normal" ? t("normal", "正常") : type === "abnormal" ? t("abnormal", "异常") : t("hint", "提示");
}

export function TypeMark({ type }: { type: EventType }) {
    return (
        <span class={`type type-${type}`}>
            <span aria-hidden="true">{TYPE_MARKS[type]}</span> {typeName(type)}
        </span>
    );
}

/** A moment, as the person wants it; the other way in its title. */
export function Time({ at, withDay = false }: { at: number; withDay?: boolean }) {
    const absolute = withDay || day(at) !== day(now.value) ? dateAndTime(at) : clock(at);
    const relative = ago(now.value - at);
    return (
        <time dateTime={new Date(at).toISOString()} title={`${dateAndTime(at)} ${offset(at)} · ${ago(now.value - at)}`}>
            {times.value === "relative" ? relative : absolute}
        </time>
    );
}

export function Copy({ text, label }: { text: string; label?: string }) {
    const done = useSignal(false);
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(text);
        } catch {
            copyBySelection(text); // over plain HTTP there is no clipboard
        }
        done.value = true;
        setTimeout(() => (done.value = false), 1500);
    };
    const name = label ?? t("Copy", "复制");
    return (
        <button type="button" class="small" onClick={copy} aria-label={label ? undefined : `${name}: ${text}`}>
            {done.value ? t("copied", "已复制") : name}
        </button>
    );
}

function copyBySelection(text: string): void {
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "offscreen";
    document.body.append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
}

/** A command that a person types. */
export function Command({ text }: { text: string }) {
    return (
        <div class="command">
            <code>{text}</code>
            <Copy text={text} />
        </div>
    );
}

/** Text with `commands` in it, as the answers have them. */
export function WithCommands({ text }: { text: string }) {
    return (
        <>
            {text.split(/(`[^`]+`)/).map((part) =>
                part.startsWith("`") && part.endsWith("`") && part.length > 2 ? (
                    <span class="inline-command">
                        <code>{part.slice(1, -1)}</code>
                        <Copy text={part.slice(1, -1)} />
                    </span>
                ) : (
                    part
                ),
            )}
        </>
    );
}

/** Whose turn it is. */
export function Turn({ fixBy }: { fixBy: FixBy | "cause" | undefined }) {
    const names = {
        you: t("you can mend this yourself", "你可以自己修复"),
        admin: t("an administrator must mend this", "需要管理员处理"),
        wait: t("nothing to mend: retry later", "稍后重试即可"),
        cause: t("as its cause says", "取决于其原因"),
    };
    return fixBy ? <span class={`turn turn-${fixBy}`}>{names[fixBy]}</span> : null;
}

/** What to do, in order. */
export function Steps({ steps }: { steps: string[] }) {
    return (
        <ol class="steps">
            {steps.map((step) => (
                <li>
                    <WithCommands text={step} />
                </li>
            ))}
        </ol>
    );
}

export function Loading({ what }: { what?: string }) {
    return (
        <p class="loading" role="status">
            {what ?? t("Loading…", "加载中…")}
        </p>
    );
}

/** What went wrong with asking, and what to do. */
export function Problem({ error, again }: { error: unknown; again?: () => void }) {
    const known = error instanceof ApiError ? error : null;
    return (
        <div class="problem" role="alert">
            <p>{error instanceof Error ? error.message : String(error)}</p>
            {known && known.details.length > 0 && (
                <ul>
                    {known.details.map((detail) => (
                        <li>{detail}</li>
                    ))}
                </ul>
            )}
            {known?.status === 0 && (
                <p class="quiet">
                    {t(
                        "Is waybill serve running? This page goes on when it is.",
                        "waybill serve 是否在运行?恢复后页面会继续。",
                    )}
                </p>
            )}
            {known?.code && <p class="quiet">{known.code}</p>}
            {again && (
                <button type="button" onClick={again}>
                    {t("Try again", "重试")}
                </button>
            )}
        </div>
    );
}

export function Empty({ children }: { children: ComponentChildren }) {
    return <div class="empty">{children}</div>;
}

/** What may be wider than the page scrolls by itself. */
export function Wide({ label, children }: { label: string; children: ComponentChildren }) {
    return (
        <div class="scroll-x" tabIndex={0} role="region" aria-label={label}>
            {children}
        </div>
    );
}

/** A share of a whole, with its numbers in words for who does not see it. */
export function Bar({ value, of, label, kind = "" }: { value: number; of: number; label: string; kind?: string }) {
    return (
        <progress class={`bar ${kind}`} value={Math.min(value, of)} max={Math.max(of, 1)} aria-label={label}>
            {label}
        </progress>
    );
}

/** Asks before something is done that is not undone by a click. */
export function Confirm(props: {
    title: string;
    children: ComponentChildren;
    action: string;
    onConfirm: () => void | Promise<void>;
    onClose: () => void;
    danger?: boolean;
}) {
    const busy = useSignal(false);
    const error = useSignal<unknown>(null);
    const confirm = async () => {
        busy.value = true;
        error.value = null;
        try {
            await props.onConfirm();
            props.onClose();
        } catch (failed) {
            error.value = failed;
            busy.value = false;
        }
    };
    return (
        <Dialog title={props.title} onClose={props.onClose}>
            {props.children}
            {error.value !== null && <Problem error={error.value} />}
            <div class="actions">
                <button type="button" onClick={props.onClose}>
                    {t("Back", "返回")}
                </button>
                <button
                    type="button"
                    class={props.danger ? "danger" : "primary"}
                    disabled={busy.value}
                    onClick={confirm}
                >
                    {props.action}
                </button>
            </div>
        </Dialog>
    );
}

export function Dialog({
    title,
    children,
    onClose,
}: {
    title: string;
    children: ComponentChildren;
    onClose: () => void;
}) {
    const ref = useRef<HTMLDialogElement>(null);
    useEffect(() => {
        ref.current?.showModal();
    }, []);
    const onClick = (event: MouseEvent) => {
        if (event.target === ref.current) onClose();
    };
    return (
        <dialog ref={ref} aria-label={title} onClose={onClose} onClick={onClick}>
            <div class="dialog">
                <h2>{title}</h2>
                {children}
            </div>
        </dialog>
    );
}

export interface Tab {
    name: string;
    label: ComponentChildren;
    href: string;
}

export function Tabs({ tabs, current, label }: { tabs: Tab[]; current: string; label: string }) {
    return (
        <nav class="tabs" aria-label={label}>
            {tabs.map((tab) => (
                <a href={tab.href} aria-current={tab.name === current ? "page" : undefined}>
                    {tab.label}
                </a>
            ))}
        </nav>
    );
}

/** A choice of a few, as buttons that say which one holds. */
export function Choice<T extends string>(props: {
    label: string;
    value: T;
    options: { value: T; label: ComponentChildren }[];
    onChange: (value: T) => void;
}) {
    return (
        <div class="choice" role="group" aria-label={props.label}>
            {props.options.map((option) => (
                <button
                    type="button"
                    aria-pressed={option.value === props.value}
                    onClick={() => props.onChange(option.value)}
                >
                    {option.label}
                </button>
            ))}
        </div>
    );
}

/** What a list is searched by; `input` is what "/" goes to. */
export function Search(props: {
    label: string;
    placeholder: string;
    value: string;
    input: RefObject<HTMLInputElement | null>;
    onInput: (text: string) => void;
    onEnter?: (back: boolean) => void;
}) {
    return (
        <label class="field-bare">
            <span class="offscreen">{props.label}</span>
            <input
                ref={props.input}
                type="search"
                placeholder={`${props.placeholder}  ( / )`}
                value={props.value}
                onInput={(event) => props.onInput(event.currentTarget.value)}
                onKeyDown={(event) => event.key === "Enter" && props.onEnter?.(event.shiftKey)}
            />
        </label>
    );
}

export function Select<T extends string>(props: {
    label: string;
    value: T;
    options: { value: T; label: string }[];
    onChange: (value: T) => void;
    shown?: boolean;
}) {
    return (
        <label class={props.shown ? "field-inline" : "field-bare"}>
            <span class={props.shown ? "" : "offscreen"}>{props.label}</span>
            <select value={props.value} onChange={(event) => props.onChange(event.currentTarget.value as T)}>
                {props.options.map((option) => (
                    <option value={option.value}>{option.label}</option>
                ))}
            </select>
        </label>
    );
}
