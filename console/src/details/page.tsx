export function DetailsPage(_: { project: string; id?: string; reason?: string; part?: string }) {
    return <div class="page">…</div>;
}
