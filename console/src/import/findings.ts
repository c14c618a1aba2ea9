// Where a finding belongs: a line of config.json, a file of the package, a field of the request, or
// the import as a whole. Faults of a request are text (docs/api.md); their field stands in front.
import { ofPair } from "../text";
import type { Finding } from "../types";

export type Place =
    | { at: "config"; line: number; column: number; pointer: string }
    | { at: "file"; path: string }
    | { at: "field"; field: string }
    | { at: "all" };

/** A fault of the request, or a finding of the check. */
export interface Note {
    id: string;
    place: Place;
    severity: "abnormal" | "hint" | "normal";
    text: string;
    finding?: Finding;
}

const FIELDS = ["model_name", "model_version", "model_type", "source_location", "runtime", "load_mode", "description"];
const FIELD_IN_FRONT = /^(\w+)(?::(\d+):(\d+))?(?::| is | must )/;

/** "model_name: …", "model_version is missing", "initial_config:2:21: …", "dependencies[0]… is …". */
export function noteOfFault(detail: string, index: number): Note {
    const found = FIELD_IN_FRONT.exec(detail);
    const name = found?.[1] ?? "";
    const note = (place: Place, text: string): Note => ({ id: `fault-${index}`, place, severity: "abnormal", text });
    if (name === "initial_config")
        return note(
            { at: "config", line: Number(found?.[2] ?? 1), column: Number(found?.[3] ?? 1), pointer: "" },
            detail.replace(/^initial_config:(\d+:\d+: )?\s*/, ""),
        );
    if (FIELDS.includes(name)) return note({ at: "field", field: name }, detail.replace(/^\w+: /, ""));
    return note({ at: "all" }, detail);
}

function isConfig(file: string): boolean {
    return file === "initial_config" || file === "waybill.json" || /^([^/]+\/)?config\.json$/.test(file);
}

function placeOf(finding: Finding, isFile: (path: string) => boolean): Place {
    const { file, path, line, column, pointer } = finding.evidence ?? {};
    if (finding.kind === "no_runtime") return { at: "field", field: "runtime" };
    if (file && isConfig(file) && line !== undefined)
        return { at: "config", line, column: column ?? 1, pointer: pointer ?? "" };
    const named = [file, path].find((one) => one !== undefined && isFile(one));
    if (named !== undefined) return { at: "file", path: named };
    const several = finding.evidence?.files;
    const first = Array.isArray(several) ? (several[0] as { path?: string } | undefined)?.path : undefined;
    return first && isFile(first) ? { at: "file", path: first } : { at: "all" };
}

export function noteOfFinding(finding: Finding, index: number, isFile: (path: string) => boolean): Note {
    return {
        id: `finding-${index}`,
        place: placeOf(finding, isFile),
        severity: finding.event_type,
        text:
            ofPair(finding.summary ?? finding.event_info, finding.summary_cn ?? finding.event_info_cn) ??
            finding.reason,
        finding,
    };
}
