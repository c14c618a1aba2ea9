// Where the page is: #/PROJECT/PAGE/…?filter. The server knows one page only, so that a console
// behind any prefix of a proxy works, and a link keeps its place over a sign-in.
import { signal } from "@preact/signals";

export interface Route {
    /** Decoded segments: ["default", "models", ID, "events", "7"]. */
    path: string[];
    query: URLSearchParams;
}

function decode(segment: string): string {
    try {
        return decodeURIComponent(segment);
    } catch {
        return segment;
    }
}

function read(): Route {
    const hash = location.hash.replace(/^#\/?/, "");
    const mark = hash.indexOf("?");
    const path = mark < 0 ? hash : hash.slice(0, mark);
    return {
        path: path.split("/").filter(Boolean).map(decode),
        query: new URLSearchParams(mark < 0 ? "" : hash.slice(mark + 1)),
    };
}

export const route = signal<Route>(read());
addEventListener("hashchange", () => {
    route.value = read();
});

export function href(path: (string | number)[], query?: URLSearchParams | Record<string, string>): string {
    const text = query instanceof URLSearchParams ? query.toString() : new URLSearchParams(query).toString();
    return `#/${path.map((segment) => encodeURIComponent(segment)).join("/")}${text ? `?${text}` : ""}`;
}

export function go(path: (string | number)[], query?: URLSearchParams | Record<string, string>): void {
    location.hash = href(path, query);
}

/** Replaces members of the query where it is: no step for the browser's back button. */
export function setQuery(changes: Record<string, string | null>): void {
    const query = new URLSearchParams(route.value.query);
    for (const [name, value] of Object.entries(changes)) {
        if (value === null || value === "") query.delete(name);
        else query.set(name, value);
    }
    replace(route.value.path, query);
}

export function replace(path: (string | number)[], query?: URLSearchParams): void {
    history.replaceState(null, "", href(path, query));
    route.value = read();
}
