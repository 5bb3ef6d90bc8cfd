import { html, raw } from 'hono/html'
import type { StatusDay } from './days.ts'
import type { Status, StatusDocument } from './read-status.ts'

const WORDS: Record<Status, string> = {
  operational: 'All systems operational',
  degraded_performance: 'Degraded: a few databases do not answer',
  partial_outage: 'Partial outage',
  major_outage: 'Major outage',
  under_maintenance: 'Under maintenance',
  suspended: 'Suspended by its owner',
  unknown: 'Not known: nobody is looking',
}

const TONES: Record<Status, string> = {
  operational: 'good',
  degraded_performance: 'fair',
  partial_outage: 'fair',
  major_outage: 'bad',
  under_maintenance: 'calm',
  suspended: 'calm',
  unknown: 'calm',
}

export const STATUS_STYLE = `:root{color-scheme:light dark;--good:#1a7f4b;--fair:#b26a00;--bad:#c0322b;--calm:#5b6472;--line:#8884}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;font-weight:600}h2{font-size:1rem;margin:2rem 0 .5rem}
.now{padding:1rem 1.25rem;border-radius:.5rem;color:#fff;font-weight:600}
.good{background:var(--good)}.fair{background:var(--fair)}.bad{background:var(--bad)}.calm{background:var(--calm)}
.days{display:flex;gap:1px;height:2.5rem;margin:.5rem 0}.days span{flex:1;border-radius:1px}.none{background:var(--line)}
.ends{display:flex;justify-content:space-between;font-size:.85rem;opacity:.8}
li{margin:.35rem 0}small{opacity:.8}`

/** A status page without scripts: it asks again by itself each minute. Everything that is not ours is escaped. */
export function renderStatusPage(status: StatusDocument): ReturnType<typeof html> {
  const title = status.tenant === null ? 'AeroDB status' : `${status.tenant} status`
  const uptime = status.uptime === null ? 'not measured yet' : `${percent(status.uptime)} uptime`
  return html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="refresh" content="60"><title>${title}</title><style>${raw(STATUS_STYLE)}</style></head>
<body><main><h1>${title}</h1>
<p class="now ${TONES[status.status]}" role="status">${WORDS[status.status]}</p>
<h2>Last ${status.days.length} days: ${uptime}</h2>
<div class="days" role="img" aria-label="${uptime} over ${status.days.length} days">${status.days.map(
    (day) => html`<span class="${toneOf(day)}" title="${describe(day)}"></span>`,
  )}</div>
<div class="ends"><span>${status.days[0]?.date ?? ''}</span><span>today (UTC)</span></div>
${
  status.maintenance.length === 0
    ? ''
    : html`<h2>Maintenance</h2><ul>${status.maintenance.map(
        (one) => html`<li>${minute(one.starts_at)} to ${minute(one.ends_at)}: ${one.reason}</li>`,
      )}</ul>`
}
${
  status.tenant === null
    ? ''
    : html`<h2>Incidents</h2>${
        status.incidents.length === 0
          ? html`<p>None.</p>`
          : html`<ul>${status.incidents.map(
              (one) =>
                html`<li>${minute(one.started_at)}: unreachable for ${one.duration_seconds} s${one.ended_at === null ? ', and still is' : ''}</li>`,
            )}</ul>`
      }`
}
<p><small>As of ${minute(status.as_of)} UTC. Measured from outside, through the gateway, down to the database.</small></p>
</main></body></html>`
}

function toneOf({ uptime }: StatusDay): string {
  if (uptime === null) return 'none'
  return uptime >= 0.999 ? 'good' : uptime >= 0.95 ? 'fair' : 'bad'
}

function describe({ date, uptime, downtime_seconds }: StatusDay): string {
  return uptime === null ? `${date}: not measured` : `${date}: ${percent(uptime)}, ${downtime_seconds} s down`
}

/** Cut after three digits, never rounded up to a hundred. */
function percent(share: number): string {
  return `${(Math.floor(share * 100_000) / 1_000).toFixed(3)}%`
}

function minute(time: string): string {
  return time.slice(0, 16).replace('T', ' ')
}
