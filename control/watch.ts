import { join } from 'node:path'
import type { Clock } from '../runtime/clock.ts'
import type { Lifecycle } from '../runtime/lifecycle.ts'
import type { Logger } from '../runtime/log.ts'
import type { PostgresPool } from '../runtime/postgres-pool.ts'
import type { PlanCatalogue } from '../tenancy/plan.ts'
import { alertOfIncidents } from './alerts/alert-incidents.ts'
import { MailSender, makeMailChannel } from './alerts/alert-mail.ts'
import { AlertmanagerFeed } from './alerts/alertmanager.ts'
import { watchCertificates } from './alerts/certificate-watch.ts'
import { type Channel, dispatchAlerts, webhookChannel } from './alerts/dispatch.ts'
import { watchQuotas } from './alerts/quota-watch.ts'
import { type ReplicatedServer, watchReplication } from './alerts/replication-watch.ts'
import { watchSpools } from './alerts/spool-watch.ts'
import type { ControlConfig } from './config.ts'
import type { Duty } from './reconciler/maintenance.ts'
import { finishMonths, tellCredits } from './sla/finish-months.ts'
import type { Prober } from './sla/prober.ts'
import { SlaMetrics } from './sla/sla-metrics.ts'
import { startProber } from './sla/start-prober.ts'
import type { PublishTouched } from './stores/change.ts'
import type { MeteringClient } from './stores/metering-client.ts'

/** Spools that hold more than this are not being emptied: a million requests or so. */
const MAX_SPOOL_BYTES = 64_000_000
const HOUR_MS = 3_600_000

export type Watch = {
  duties: readonly Duty[]
  metrics: SlaMetrics
  /** Not there where no gateway to look through is configured. */
  prober: Prober | undefined
}

/**
 * Starts what looks after tenants and tells of it: the prober, and the duties that judge, alert and account. Every replica
 * does all of it; what one alone may do is decided in the tables.
 */
export function startWatch(
  config: ControlConfig,
  parts: {
    proberId: string
    pool: PostgresPool
    publish: PublishTouched
    metering: MeteringClient
    catalogue: PlanCatalogue
    replicated: () => readonly ReplicatedServer[]
    clock: Clock
    log: Logger
    lifecycle: Pick<Lifecycle, 'onStop'>
  },
): Watch {
  const { pool, publish, metering, catalogue, clock, log, lifecycle } = parts
  const metrics = new SlaMetrics(pool)
  const { AERODB_PROBE_URLS: urls } = config
  const prober =
    urls === undefined ? undefined : startProber({ ...config, AERODB_PROBE_URLS: urls }, { ...parts, metrics })

  const channels: Channel[] = [webhookChannel]
  const duties: Duty[] = [
    {
      name: 'alert of incidents',
      everyMs: 1_000,
      run: () => alertOfIncidents({ pool, publish, clock, afterSeconds: config.AERODB_ALERT_AFTER_SECONDS }),
    },
    { name: 'tell alerts', everyMs: 1_000, run: () => dispatchAlerts({ pool, publish, channels }) },
    { name: 'watch quotas', everyMs: 15_000, run: () => watchQuotas({ pool, publish, metering, catalogue, clock }) },
    {
      name: 'watch spools',
      everyMs: 30_000,
      run: () =>
        watchSpools({
          directory: join(config.AERODB_DATA_DIR, 'spool'),
          maxBytes: MAX_SPOOL_BYTES,
          pool,
          publish,
        }),
    },
    {
      name: 'watch replication',
      everyMs: 15_000,
      run: () => watchReplication({ servers: parts.replicated(), pool, publish, log }),
    },
    { name: 'finish SLA months', everyMs: HOUR_MS / 4, run: () => finishMonths({ pool, catalogue, clock }) },
    { name: 'tell SLA credits', everyMs: 60_000, run: () => tellCredits({ pool, metering, clock }) },
    { name: 'forget old alerts', everyMs: HOUR_MS, run: () => forgetOldAlerts(pool) },
  ]
  const { AERODB_GATEWAY_TLS_DIRECTORY: directory } = config
  if (directory !== undefined)
    duties.push({
      name: 'watch certificates',
      everyMs: HOUR_MS,
      run: () => watchCertificates({ directory, pool, publish, clock }),
    })
  const { AERODB_SMTP_URL: smtpUrl, AERODB_ALERT_EMAIL_TO: to } = config
  if (smtpUrl !== undefined && to !== undefined) {
    const settings = { url: smtpUrl, from: config.AERODB_ALERT_EMAIL_FROM, to }
    const mails = new MailSender({ pool, log, settings, domain: config.AERODB_DOMAIN })
    lifecycle.onStop('mails', () => mails.close())
    channels.push(makeMailChannel(settings))
    duties.push({ name: 'mail alerts', everyMs: 1_000, run: () => mails.sendDue() })
  }
  if (config.AERODB_ALERTMANAGER_URL !== undefined) {
    const feed = new AlertmanagerFeed({ pool, url: config.AERODB_ALERTMANAGER_URL, clock })
    duties.push({ name: 'tell Alertmanager', everyMs: 5_000, run: () => feed.tell() })
  }
  return { duties, metrics, prober }
}

async function forgetOldAlerts(pool: PostgresPool): Promise<void> {
  await pool.query(`delete from control.alerts where resolved_at < now() - interval '400 days'`)
  await pool.query(`delete from control.alert_mails where created_at < now() - interval '14 days'`)
  await pool.query(`delete from control.silences where ends_at < now() - interval '90 days'`)
}
