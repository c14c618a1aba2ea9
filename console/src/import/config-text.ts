// config.json as text, and as the small form shows it: the text is what counts, the form edits it.
import type { Dependency, Package } from "../types";

export type ConfigObject = Record<string, unknown>;

/** null: it is no JSON object, or empty. */
export function parseConfig(text: string): ConfigObject | null {
    try {
        const value: unknown = JSON.parse(text.replace(/^\uFEFF/, ""));
        return value !== null && typeof value === "object" && !Array.isArray(value) ? (value as ConfigObject) : null;
    } catch {
        return null;
    }
}

export function printConfig(config: ConfigObject): string {
    return `${JSON.stringify(config, null, 2)}\n`;
}

export function textField(config: ConfigObject | null, name: string): string {
    const value = config?.[name];
    return typeof value === "string" ? value : typeof value === "number" ? String(value) : "";
}

/** The same with a member set; "" takes it out. */
export function withField(config: ConfigObject, name: string, value: unknown): ConfigObject {
    const changed = { ...config };
    if (value === "" || value === undefined || (Array.isArray(value) && value.length === 0)) delete changed[name];
    else changed[name] = value;
    return changed;
}

/** A row of the form: one package. */
export interface DependencyRow {
    installer: string;
    name: string;
    version: string;
    restraint: string;
}

export function rowsOf(config: ConfigObject | null): DependencyRow[] {
    const list = Array.isArray(config?.dependencies) ? (config.dependencies as Dependency[]) : [];
    return list.flatMap((one) =>
        (Array.isArray(one?.packages) ? one.packages : []).map((item) => ({
            installer: String(one.installer ?? "pip"),
            name: String(item?.package_name ?? ""),
            version: String(item?.package_version ?? ""),
            restraint: String(item?.restraint ?? ""),
        })),
    );
}

/** What stands together and has the same installer is one entry: the list is installed in order. */
export function dependenciesOf(rows: DependencyRow[]): Dependency[] {
    const list: Dependency[] = [];
    for (const row of rows) {
        const item: Package = { package_name: row.name };
        if (row.version) item.package_version = row.version;
        if (row.restraint) item.restraint = row.restraint as Package["restraint"];
        const last = list[list.length - 1];
        if (last?.installer === row.installer) last.packages.push(item);
        else list.push({ installer: row.installer, packages: [item] });
    }
    return list;
}

/** The row that a pointer such as /dependencies/1/packages/0/restraint leads to; -1: none. */
export function rowOfPointer(config: ConfigObject | null, pointer: string): number {
    const found = /^\/dependencies\/(\d+)(?:\/packages\/(\d+))?/.exec(pointer);
    if (!found) return -1;
    const list = Array.isArray(config?.dependencies) ? (config.dependencies as Dependency[]) : [];
    let row = Number(found[2] ?? 0);
    for (const before of list.slice(0, Number(found[1])))
        row += Array.isArray(before?.packages) ? before.packages.length : 0;
    return row;
}

/** A column counts code points from 1, as the server does; an offset is what a textarea selects by. */
export function offsetOf(text: string, line: number, column: number): number {
    let start = 0;
    for (let n = 1; n < line; n++) {
        const end = text.indexOf("\n", start);
        if (end < 0) return text.length;
        start = end + 1;
    }
    const end = text.indexOf("\n", start);
    const points = Array.from(text.slice(start, end < 0 ? undefined : end)).slice(0, Math.max(0, column - 1));
    return start + points.join("").length;
}

export function lineCount(text: string): number {
    let count = 1;
    for (let at = text.indexOf("\n"); at >= 0; at = text.indexOf("\n", at + 1)) count++;
    return count;
}
