// A field with its name, its rule and what is wrong with it, told apart for who does not see them.
import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import type { Note } from "./findings";
import { FieldNotes } from "./notes";

export interface Control {
    id: string;
    "aria-describedby": string | undefined;
    "aria-invalid": boolean;
}

interface FieldProps {
    label: string;
    notes: Note[];
    rule?: string;
    /** What is seen before anything is sent: the rule is broken. */
    fault?: boolean;
    children: (control: Control) => ComponentChildren;
}

export function Field({ label, notes, rule, fault = false, children }: FieldProps) {
    const id = useId();
    const described = [rule ? `${id}-rule` : "", notes.length > 0 ? `${id}-notes` : ""].filter(Boolean).join(" ");
    return (
        <div class="field">
            <label for={id}>{label}</label>
            {children({
                id,
                "aria-describedby": described || undefined,
                "aria-invalid": fault || notes.some((note) => note.severity === "abnormal"),
            })}
            {rule && (
                <small id={`${id}-rule`} class={fault ? "type-abnormal" : "quiet"}>
                    {fault && <span aria-hidden="true">✗ </span>}
                    {rule}
                </small>
            )}
            <FieldNotes notes={notes} id={`${id}-notes`} />
        </div>
    );
}
