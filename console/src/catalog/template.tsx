// A text with {places} that an event fills in.
export function Template({ text }: { text: string }) {
    return (
        <span>
            {text.split(/(\{\w+\})/).map((part) => (/^\{\w+\}$/.test(part) ? <var>{part.slice(1, -1)}</var> : part))}
        </span>
    );
}

/** The same with the places filled in; one that has no value stays as it is. */
export function filled(text: string, values: Record<string, unknown>): string {
    return text.replace(/\{(\w+)\}/g, (place, name: string) =>
        values[name] === undefined ? place : String(values[name]),
    );
}
