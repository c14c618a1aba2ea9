// Uploads that this browser began: a folder that is chosen again goes on where it was broken off.

export interface Remembered {
    key: string;
    id: string;
    name: string;
    bytes: number;
    at: number;
}

/** The server removes what nobody wrote to for upload.expire_hours (24). */
const KEPT_MS = 7 * 24 * 3_600_000;

function prefix(project: string): string {
    return `waybill.upload.${project}.`;
}

export function remember(project: string, fingerprint: string, upload: Omit<Remembered, "key">): void {
    try {
        localStorage.setItem(prefix(project) + fingerprint, JSON.stringify(upload));
    } catch {
        // storage may be forbidden or full: then a reload begins anew
    }
}

export function remembered(project: string, fingerprint: string): Remembered | null {
    return read(prefix(project) + fingerprint);
}

export function forget(key: string): void {
    try {
        localStorage.removeItem(key);
    } catch {
        // as above
    }
}

export function forgetFolder(project: string, fingerprint: string): void {
    forget(prefix(project) + fingerprint);
}

function read(key: string): Remembered | null {
    try {
        const text = localStorage.getItem(key);
        return text ? { ...(JSON.parse(text) as Omit<Remembered, "key">), key } : null;
    } catch {
        return null;
    }
}

/** The newest first; those that are too old to be there are dropped. */
export function allRemembered(project: string): Remembered[] {
    const found: Remembered[] = [];
    try {
        for (const key of Object.keys(localStorage)) {
            if (!key.startsWith(prefix(project))) continue;
            const one = read(key);
            if (one && Date.now() - one.at < KEPT_MS) found.push(one);
            else forget(key);
        }
    } catch {
        // as above
    }
    return found.sort((a, b) => b.at - a.at);
}
