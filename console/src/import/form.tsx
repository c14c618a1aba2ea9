// The small form of config.json: what most packages need. What it does not know stays in the text.
import { t } from "../text";
import { MODEL_TYPES } from "../types";
import {
    dependenciesOf,
    printConfig,
    rowOfPointer,
    rowsOf,
    textField,
    withField,
    type ConfigObject,
    type DependencyRow,
} from "./config-text";
import type { Draft } from "./draft";
import { Field } from "./field";
import type { Note } from "./findings";
import { FieldNotes } from "./notes";

const INSTALLERS = ["pip", "apt", "conda"];
const RESTRAINTS = ["EXACT", "ATLEAST", "ATMOST"];
const HEALTH_NUMBERS = ["initial_delay_seconds", "timeout_seconds", "period_seconds", "failure_threshold"];

interface Part {
    config: ConfigObject;
    notes: Note[];
    change: (config: ConfigObject) => void;
}

export function ConfigForm({ draft, notes }: { draft: Draft; notes: Note[] }) {
    const text = draft.configText.value;
    const config = draft.config.value ?? (text.trim() === "" ? {} : null);
    if (!config)
        return (
            <p class="after-editor">
                {t(
                    "The text is not a JSON object: mend it as text first. Check says where it is broken.",
                    "文本不是合法的 JSON 对象,请先在文本中修正;“检查”会指出位置。",
                )}
            </p>
        );
    const part: Part = { config, notes, change: (changed) => (draft.configText.value = printConfig(changed)) };
    const isImage = draft.effectiveType.value === "Image";
    return (
        <div class="config-form">
            <div class="form-grid">
                <TextInput
                    part={part}
                    name="model_algorithm"
                    label={t("Algorithm", "算法")}
                    hint={t("1 to 36 characters, begins with a letter", "1 到 36 个字符,以字母开头")}
                />
                <SelectInput part={part} name="model_type" label={t("Type", "类型")} options={MODEL_TYPES} />
                {isImage && draft.kind.value !== "image" && (
                    <TextInput
                        part={part}
                        name="swr_location"
                        label={t("Image", "镜像")}
                        hint="registry/repository:tag"
                    />
                )}
                {!isImage && (
                    <TextInput
                        part={part}
                        name="runtime"
                        label={t("Runtime", "运行时")}
                        hint={t("the engine's default where it is empty", "留空则使用默认运行时")}
                    />
                )}
            </div>
            {isImage ? <Health part={part} /> : <Dependencies part={part} />}
        </div>
    );
}

function at(notes: Note[], pointer: string): Note[] {
    return notes.filter(({ place }) => place.at === "config" && place.pointer === pointer);
}

function TextInput({ part, name, label, hint }: { part: Part; name: string; label: string; hint?: string }) {
    return (
        <Field label={label} rule={hint} notes={at(part.notes, `/${name}`)}>
            {(control) => (
                <input
                    {...control}
                    value={textField(part.config, name)}
                    spellcheck={false}
                    onInput={(event) => part.change(withField(part.config, name, event.currentTarget.value))}
                />
            )}
        </Field>
    );
}

function SelectInput({ part, name, label, options }: { part: Part; name: string; label: string; options: string[] }) {
    const value = textField(part.config, name);
    const known = value && !options.includes(value) ? [...options, value] : options;
    return (
        <Field label={label} notes={at(part.notes, `/${name}`)}>
            {(control) => (
                <select
                    {...control}
                    value={value}
                    onChange={(event) => part.change(withField(part.config, name, event.currentTarget.value))}
                >
                    <option value="">{t("choose…", "请选择…")}</option>
                    {known.map((option) => (
                        <option value={option}>{option}</option>
                    ))}
                </select>
            )}
        </Field>
    );
}

function Dependencies({ part }: { part: Part }) {
    const rows = rowsOf(part.config);
    const set = (changed: DependencyRow[]) =>
        part.change(withField(part.config, "dependencies", dependenciesOf(changed)));
    const replace = (index: number, row: DependencyRow) => set(rows.map((one, other) => (other === index ? row : one)));
    const add = () =>
        set([...rows, { installer: rows[rows.length - 1]?.installer ?? "pip", name: "", version: "", restraint: "" }]);
    const notesOfRow = (index: number) =>
        part.notes.filter(({ place }) => place.at === "config" && rowOfPointer(part.config, place.pointer) === index);
    return (
        <fieldset class="dependencies">
            <legend>{t("Dependencies, installed in this order", "依赖,按此顺序安装")}</legend>
            {rows.map((row, index) => (
                <DependencyLine
                    row={row}
                    number={index + 1}
                    notes={notesOfRow(index)}
                    onChange={(changed) => replace(index, changed)}
                    onUp={
                        index > 0
                            ? () => set([...rows.slice(0, index - 1), row, rows[index - 1]!, ...rows.slice(index + 1)])
                            : undefined
                    }
                    onRemove={() => set(rows.filter((_, other) => other !== index))}
                />
            ))}
            <button type="button" class="small" onClick={add}>
                {t("Add a package", "添加依赖包")}
            </button>
        </fieldset>
    );
}

interface LineProps {
    row: DependencyRow;
    number: number;
    notes: Note[];
    onChange: (row: DependencyRow) => void;
    onUp?: () => void;
    onRemove: () => void;
}

function DependencyLine({ row, number, notes, onChange, onUp, onRemove }: LineProps) {
    /** A restraint is needed exactly when there is a version. */
    const onVersion = (version: string) =>
        onChange({ ...row, version, restraint: version ? row.restraint || "EXACT" : "" });
    const of = t(` of package ${number}`, `(第 ${number} 个)`);
    return (
        <div class="dependency">
            <select
                aria-label={t("Installer", "安装工具") + of}
                value={row.installer}
                onChange={(event) => onChange({ ...row, installer: event.currentTarget.value })}
            >
                {(INSTALLERS.includes(row.installer) ? INSTALLERS : [...INSTALLERS, row.installer]).map((name) => (
                    <option value={name}>{name}</option>
                ))}
            </select>
            <input
                aria-label={t("Name", "名称") + of}
                placeholder={t("name, or a wheel in model/", "名称,或 model/ 中的 wheel")}
                value={row.name}
                spellcheck={false}
                onInput={(event) => onChange({ ...row, name: event.currentTarget.value })}
            />
            <select
                aria-label={t("Restraint", "约束") + of}
                value={row.restraint}
                disabled={!row.version}
                onChange={(event) => onChange({ ...row, restraint: event.currentTarget.value })}
            >
                <option value="">{t("any", "不限")}</option>
                {(row.restraint && !RESTRAINTS.includes(row.restraint)
                    ? [...RESTRAINTS, row.restraint]
                    : RESTRAINTS
                ).map((name) => (
                    <option value={name}>{name}</option>
                ))}
            </select>
            <input
                aria-label={t("Version", "版本") + of}
                placeholder={t("version", "版本")}
                value={row.version}
                spellcheck={false}
                onInput={(event) => onVersion(event.currentTarget.value)}
            />
            <span class="dependency-actions">
                <button
                    type="button"
                    class="small"
                    disabled={!onUp}
                    onClick={onUp}
                    aria-label={t("Install earlier", "提前安装") + of}
                >
                    ↑
                </button>
                <button type="button" class="small" onClick={onRemove} aria-label={t("Remove", "删除") + of}>
                    ×
                </button>
            </span>
            <FieldNotes notes={notes} />
        </div>
    );
}

function Health({ part }: { part: Part }) {
    const health = part.config.health;
    const own =
        health !== null && typeof health === "object" && !Array.isArray(health) ? (health as ConfigObject) : null;
    const change = (value: ConfigObject | undefined) => part.change(withField(part.config, "health", value));
    const inner: Part = {
        config: own ?? {},
        notes: part.notes.flatMap((note) =>
            note.place.at === "config" && note.place.pointer.startsWith("/health/")
                ? [{ ...note, place: { ...note.place, pointer: note.place.pointer.slice("/health".length) } }]
                : [],
        ),
        change,
    };
    return (
        <fieldset class="dependencies">
            <legend>
                <label class="check">
                    <input
                        type="checkbox"
                        checked={own !== null}
                        onChange={(event) =>
                            change(
                                event.currentTarget.checked
                                    ? { check_method: "HTTP", protocol: "http", url: "/health" }
                                    : undefined,
                            )
                        }
                    />
                    {t("Health check", "健康检查")}
                </label>
            </legend>
            <FieldNotes notes={at(part.notes, "/health")} />
            {own && (
                <div class="form-grid">
                    <SelectInput
                        part={inner}
                        name="check_method"
                        label={t("Method", "方式")}
                        options={["HTTP", "EXEC"]}
                    />
                    {own.check_method === "EXEC" ? (
                        <TextInput part={inner} name="command" label={t("Command", "命令")} />
                    ) : (
                        <>
                            <SelectInput
                                part={inner}
                                name="protocol"
                                label={t("Protocol", "协议")}
                                options={["http", "https"]}
                            />
                            <TextInput part={inner} name="url" label="URL" />
                        </>
                    )}
                    {HEALTH_NUMBERS.map((name) => (
                        <NumberInput part={inner} name={name} />
                    ))}
                </div>
            )}
        </fieldset>
    );
}

function healthLabel(name: string): string {
    switch (name) {
        case "initial_delay_seconds":
            return t("First check after (s)", "首次检查延迟(秒)");
        case "timeout_seconds":
            return t("Time limit of a check (s)", "单次检查超时(秒)");
        case "period_seconds":
            return t("Every (s)", "检查间隔(秒)");
        default:
            return t("Failures until it is unhealthy", "判定不健康的失败次数");
    }
}

function NumberInput({ part, name }: { part: Part; name: string }) {
    const set = (text: string) => part.change(withField(part.config, name, /^\d+$/.test(text) ? Number(text) : text));
    return (
        <Field label={healthLabel(name)} notes={at(part.notes, `/${name}`)}>
            {(control) => (
                <input
                    {...control}
                    inputMode="numeric"
                    value={textField(part.config, name)}
                    onInput={(event) => set(event.currentTarget.value)}
                />
            )}
        </Field>
    );
}
