// All events of a model as a file.
import { ask, projectPath, withQuery } from "../api";
import type { Event, EventList } from "../types";
import { asCsv } from "./words";

const PAGE_EVENTS = 1000;

async function all(project: string, id: string): Promise<Event[]> {
    const path = projectPath(project, "models", id, "events");
    const events: Event[] = [];
    for (;;) {
        const list = await ask<EventList>(
            "GET",
            withQuery(path, { after: events.at(-1)?.seq ?? 0, limit: PAGE_EVENTS }),
        );
        events.push(...list.events);
        if (list.events.length < PAGE_EVENTS) return events;
    }
}

function save(name: string, type: string, text: string): void {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

export async function download(project: string, id: string, name: string, as: "json" | "csv"): Promise<void> {
    const events = await all(project, id);
    if (as === "csv") save(`${name}-events.csv`, "text/csv", asCsv(events));
    else save(`${name}-events.json`, "application/json", `${JSON.stringify(events, null, 2)}\n`);
}
