// What the model is called, and how it is served.
import { useMemo } from "preact/hooks";
import { ask, projectPath } from "../api";
import { href } from "../route";
import { t } from "../text";
import { MODEL_TYPES } from "../types";
import { useLoad } from "../ui/load";
import { Status, hasFailed } from "../ui/parts";
import { textField } from "./config-text";
import { nextVersion, type Draft } from "./draft";
import { Field } from "./field";
import { notesOf } from "./notes";

const TYPING_MS = 300;
const NAME = /^[A-Za-z0-9_\-\u3400-\u9fff]{1,64}$/;
const VERSION = /^(0|[1-9]\d?)(\.(0|[1-9]\d?)){2}$/;
const FORBIDDEN = /[&!'"<>=\u0000-\u001f]/;
const LONGEST_DESCRIPTION = 100;

interface Runtimes {
    engine_runtimes: { ai_engine: string; runtimes: string[] }[];
}

export function Fields({ draft }: { draft: Draft }) {
    return (
        <section class="card" id="import-model" aria-label={t("Model", "模型")}>
            <h2>{t("Model", "模型")}</h2>
            <div class="form-grid">
                <NameField draft={draft} />
                <VersionField draft={draft} />
                <TypeField draft={draft} />
                {draft.effectiveType.value !== "Image" && <RuntimeField draft={draft} />}
                {draft.effectiveType.value !== "Image" && <LoadingField draft={draft} />}
                <DescriptionField draft={draft} />
            </div>
        </section>
    );
}

function NameField({ draft }: { draft: Draft }) {
    const typing = useMemo<{ timer?: ReturnType<typeof setTimeout> }>(() => ({}), []);
    const onInput = (text: string) => {
        draft.name.value = text;
        draft.nameTouched = text !== "";
        clearTimeout(typing.timer);
        typing.timer = setTimeout(() => void draft.lookForVersions(), TYPING_MS);
    };
    const { value } = draft.name;
    return (
        <Field
            notes={notesOf(draft.notes.value, "model_name")}
            label={t("Name", "名称")}
            rule={t("1 to 64 letters (Chinese too), digits, - and _", "1 到 64 个字符:字母、汉字、数字、- 和 _")}
            fault={value !== "" && !NAME.test(value.trim())}
        >
            {(control) => (
                <input
                    {...control}
                    value={value}
                    spellcheck={false}
                    onInput={(event) => onInput(event.currentTarget.value)}
                />
            )}
        </Field>
    );
}

function VersionField({ draft }: { draft: Draft }) {
    const { value } = draft.version;
    const onInput = (text: string) => {
        draft.version.value = text;
        draft.versionTouched = text !== "";
    };
    return (
        <div>
            <Field
                notes={notesOf(draft.notes.value, "model_version")}
                label={t("Version", "版本")}
                rule={t("N.N.N, each from 0 to 99", "N.N.N,每段 0 到 99")}
                fault={value !== "" && !VERSION.test(value.trim())}
            >
                {(control) => (
                    <input
                        {...control}
                        value={value}
                        spellcheck={false}
                        onInput={(event) => onInput(event.currentTarget.value)}
                    />
                )}
            </Field>
            <Versions draft={draft} onTake={onInput} />
        </div>
    );
}

/** What is there of the name: a version that is taken cannot be imported again, a failed one can. */
function Versions({ draft, onTake }: { draft: Draft; onTake: (version: string) => void }) {
    const there = draft.existing.value;
    if (there)
        return (
            <p class="version-note" role="status">
                <a href={href([draft.project, "models", there.model_id, "events"])}>{there.model_version}</a>{" "}
                <Status status={there.model_status} />{" "}
                {hasFailed(there.model_status)
                    ? t(
                          "is there already: this import will be its next attempt.",
                          "已存在:本次导入将作为它的下一次尝试。",
                      )
                    : t("is there already and stays as it is.", "已存在,不能重复导入。")}{" "}
                {!hasFailed(there.model_status) && (
                    <Take version={nextVersion(draft.versions.value[0]?.model_version)} onTake={onTake} />
                )}
            </p>
        );
    const failed = draft.failedOnes.value[0];
    if (!failed) return null;
    return (
        <p class="version-note">
            {t(`${failed.model_version} failed. `, `${failed.model_version} 导入失败。`)}
            <button type="button" class="small" onClick={() => onTake(failed.model_version)}>
                {t(`Retry ${failed.model_version} instead`, `改为重试 ${failed.model_version}`)}
            </button>
        </p>
    );
}

function Take({ version, onTake }: { version: string; onTake: (version: string) => void }) {
    return (
        <button type="button" class="small" onClick={() => onTake(version)}>
            {t(`Take ${version}`, `使用 ${version}`)}
        </button>
    );
}

function TypeField({ draft }: { draft: Draft }) {
    const own = draft.foundType.value;
    const isImage = draft.kind.value === "image";
    const none = own ? t(`as in config.json: ${own}`, `按 config.json:${own}`) : t("choose…", "请选择…");
    return (
        <Field
            notes={notesOf(draft.notes.value, "model_type")}
            label={t("Type", "类型")}
            rule={t("What the model's files are of.", "模型文件所属的框架。")}
        >
            {(control) => (
                <select
                    {...control}
                    value={isImage ? "Image" : draft.type.value}
                    disabled={isImage}
                    onChange={(event) => (draft.type.value = event.currentTarget.value)}
                >
                    <option value="">{none}</option>
                    {MODEL_TYPES.map((type) => (
                        <option value={type}>{type}</option>
                    ))}
                </select>
            )}
        </Field>
    );
}

function LoadingField({ draft }: { draft: Draft }) {
    return (
        <Field
            notes={notesOf(draft.notes.value, "load_mode")}
            label={t("Model files", "模型文件")}
            rule={t(
                "Those beside the image may be larger than 5 GiB; it fetches them when it starts.",
                "不打包的文件可超过 5 GiB,镜像启动时拉取。",
            )}
        >
            {(control) => (
                <select
                    {...control}
                    value={draft.loading.value}
                    onChange={(event) =>
                        (draft.loading.value = event.currentTarget.value === "dynamic" ? "dynamic" : "")
                    }
                >
                    <option value="">{t("packed into the image", "打包进镜像")}</option>
                    <option value="dynamic">{t("beside the image, fetched at start", "不打包,启动时拉取")}</option>
                </select>
            )}
        </Field>
    );
}

function RuntimeField({ draft }: { draft: Draft }) {
    const list = useLoad(
        (signal) => ask<Runtimes>("GET", projectPath(draft.project, "models", "ai-engine-runtimes"), { signal }),
        [draft.project],
    );
    const own = textField(draft.config.value, "runtime");
    const groups = list.data.value?.engine_runtimes ?? [];
    const empty = list.data.value !== undefined && groups.length === 0;
    return (
        <Field
            notes={notesOf(draft.notes.value, "runtime")}
            label={t("Runtime", "运行时")}
            rule={
                empty
                    ? t(
                          "This server has no runtime yet; an administrator adds one: waybill runtime bootstrap python3.11",
                          "服务器还没有运行时,请管理员添加:waybill runtime bootstrap python3.11",
                      )
                    : t("The base of the image; the engine's own by default.", "镜像的基础;默认使用该框架的运行时。")
            }
            fault={empty}
        >
            {(control) => (
                <select
                    {...control}
                    value={draft.runtime.value}
                    onChange={(event) => (draft.runtime.value = event.currentTarget.value)}
                >
                    <option value="">
                        {own ? t(`as in config.json: ${own}`, `按 config.json:${own}`) : t("the default", "默认")}
                    </option>
                    {groups.map(({ ai_engine, runtimes }) => (
                        <optgroup label={ai_engine}>
                            {runtimes.map((name) => (
                                <option value={name}>{name}</option>
                            ))}
                        </optgroup>
                    ))}
                </select>
            )}
        </Field>
    );
}

function DescriptionField({ draft }: { draft: Draft }) {
    const { value } = draft.description;
    const count = Array.from(value).length;
    const rule = t("At most 100 characters, none of & ! ' \" < > =", "最多 100 个字符,不能包含 & ! ' \" < > =");
    return (
        <div class="wide">
            <Field
                notes={notesOf(draft.notes.value, "description")}
                label={t("Description", "描述")}
                rule={count ? `${rule} · ${count} / ${LONGEST_DESCRIPTION}` : rule}
                fault={count > LONGEST_DESCRIPTION || FORBIDDEN.test(value)}
            >
                {(control) => (
                    <input
                        {...control}
                        value={value}
                        onInput={(event) => (draft.description.value = event.currentTarget.value)}
                    />
                )}
            </Field>
        </div>
    );
}
