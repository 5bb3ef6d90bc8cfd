import { makeId } from '../../runtime/ids.ts'
import type { Change, Queryable } from '../stores/change.ts'

/** A prober that was heard of within this is believed to look. */
export const PROBER_LIFE_SECONDS = 8
/** So many probers must agree that a tenant is down, where there are so many. */
export const QUORUM = 2
/** A view that is over and found no agreement is dropped after this: other probers may tell of theirs late. */
const VIEW_KEEP_SECONDS = 120

/** Why a tenant did not answer, from the outside in. */
export const OUTAGE_CAUSES = ['gateway', 'directory', 'backend', 'database', 'overload', 'other'] as const
export type OutageCause = (typeof OUTAGE_CAUSES)[number]

/** A stretch in which one prober got no answer of a tenant; `untilMs` once it got one again. */
export type OutageView = {
  tenantId: string
  sinceMs: number
  untilMs: number | null
  cause: OutageCause
  detail: string
}

export type Prober = { prober_id: string }

/**
 * Notes that a prober looks, and has looked without a break since `observingSinceMs`; the time in which nobody did becomes a
 * gap. @returns the probers that look now, in a fixed order.
 */
export async function beatProber(
  change: Change,
  proberId: string,
  observingSinceMs: number,
  nowMs: number,
): Promise<string[]> {
  await change.tx.query(
    `insert into control.probers (prober_id) values ($1)
     on conflict (prober_id) do update set seen_at = clock_timestamp()`,
    [proberId],
  )
  await change.tx.query(`insert into control.observation (observed_until) values ('epoch') on conflict do nothing`)
  // Under the row's lock, so that replicas do not tell the same gap twice.
  const known = await change.tx.query<{ observed_until: Date }>(
    'select observed_until from control.observation for update',
  )
  const observedUntilMs = known.rows[0]?.observed_until.getTime() ?? 0
  if (observingSinceMs > observedUntilMs)
    await change.tx.query(
      'insert into control.observation_gaps (started_at, ended_at) values ($1, $2) on conflict do nothing',
      [new Date(observedUntilMs), new Date(observingSinceMs)],
    )
  if (nowMs > observedUntilMs)
    await change.tx.query('update control.observation set observed_until = $1', [new Date(nowMs)])
  await change.tx.query(`delete from control.probers where seen_at < clock_timestamp() - make_interval(secs => $1)`, [
    PROBER_LIFE_SECONDS,
  ])
  const living = await change.tx.query<Prober>('select prober_id from control.probers order by prober_id')
  return living.rows.map((row) => row.prober_id)
}

/** Ends a prober's part at once: the others take over its tenants without waiting. */
export async function retireProber(db: Queryable, proberId: string): Promise<void> {
  await db.query('delete from control.probers where prober_id = $1', [proberId])
}

/** Keeps a prober's views; one that was told before is only ended. */
export async function saveViews(change: Change, proberId: string, views: readonly OutageView[]): Promise<void> {
  if (views.length === 0) return
  await change.tx.query(
    `insert into control.outage_views as known (tenant_id, prober_id, since, until, cause, detail)
     select tenant_id, $1, since, until, cause, detail
     from unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::text[], $6::text[])
       as view (tenant_id, since, until, cause, detail)
     where exists (select from control.tenants tenant where tenant.tenant_id = view.tenant_id and purged_at is null)
     on conflict (tenant_id, prober_id, since) do update set until = excluded.until`,
    [
      proberId,
      views.map((view) => view.tenantId),
      views.map((view) => new Date(view.sinceMs)),
      views.map((view) => (view.untilMs === null ? null : new Date(view.untilMs))),
      views.map((view) => view.cause),
      views.map((view) => view.detail),
    ],
  )
}

/** What a judgement changed. */
export type Judgement = { opened: number; ended: number }

/**
 * Opens and ends incidents by what the living probers see. One transaction at a time, however many replicas judge.
 * - A tenant that enough of them see down at the same time has an incident, from when the first of them saw it. One that they saw in the past
 *   only (the tables were away) is written with its end.
 * - It ends when no longer enough of them do, at the moment the first of them got an answer again.
 * - One that nobody has a view of (control was restarted) ends when a prober tells that the tenant answers: `answering`.
 * - A tenant that is not to be served any more has no incident.
 */
export async function judgeViews(
  change: Change,
  answering: readonly { tenantId: string; atMs: number }[],
  nowMs: number,
): Promise<Judgement> {
  const { tx } = change
  await tx.query(`select pg_advisory_xact_lock(hashtext('control.outage-judge'))`)
  await tx.query(
    `delete from control.outage_views view where not exists (
       select from control.probers prober where prober.prober_id = view.prober_id)`,
  )
  const agreed = await tx.query<{
    tenant_id: string
    since: Date
    until: Date | null
    cause: string
    detail: string
    scope: string
  }>(
    `select view.tenant_id, min(view.since) as since,
       case when count(distinct prober_id) filter (where until is null) < quorum.size then min(until) end as until,
       (array_agg(cause order by since))[1] as cause, (array_agg(detail order by since))[1] as detail,
       case (array_agg(cause order by since))[1]
         when 'database' then 'database:' || coalesce(min(tenant.server), '')
         when 'backend' then 'backend:' || coalesce(min(tenant.backend), 'shared')
         else (array_agg(cause order by since))[1] end as scope
     from control.outage_views view join control.tenants tenant using (tenant_id)
       cross join (select least($1, count(*)) as size from control.probers) quorum
     where tenant.status in ('active', 'migrating')
       and (quorum.size < 2 or exists (select from control.outage_views other
         where other.tenant_id = view.tenant_id and other.prober_id <> view.prober_id
           and tstzrange(other.since, other.until) && tstzrange(view.since, view.until)))
     group by view.tenant_id, quorum.size having count(distinct prober_id) >= quorum.size`,
    [QUORUM],
  )
  const opened = await tx.query(
    `insert into control.incidents (incident_id, tenant_id, cause, detail, scope, started_at)
     select incident_id, tenant_id, cause, detail, scope, started_at
     from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::timestamptz[])
       as agreed (incident_id, tenant_id, cause, detail, scope, started_at)
     where not exists (select from control.incidents incident
       where incident.tenant_id = agreed.tenant_id and (incident.ended_at is null or incident.ended_at > agreed.started_at))
     on conflict do nothing`,
    [
      agreed.rows.map(() => makeId('inc', nowMs)),
      agreed.rows.map((row) => row.tenant_id),
      agreed.rows.map((row) => row.cause),
      agreed.rows.map((row) => row.detail),
      agreed.rows.map((row) => row.scope),
      agreed.rows.map((row) => row.since),
    ],
  )
  const over = agreed.rows.filter((row) => row.until !== null)
  const stillDown = new Set(agreed.rows.filter((row) => row.until === null).map((row) => row.tenant_id))
  const endings = [
    ...over.map((row) => ({ tenantId: row.tenant_id, at: row.until })),
    ...answering
      .filter(({ tenantId }) => !stillDown.has(tenantId))
      .map(({ tenantId, atMs }) => ({ tenantId, at: new Date(atMs) })),
  ]
  const ended = await tx.query(
    `update control.incidents incident set ended_at = greatest(ending.at, incident.started_at)
     from unnest($1::text[], $2::timestamptz[]) as ending (tenant_id, at)
     where incident.tenant_id = ending.tenant_id and incident.ended_at is null`,
    [endings.map((one) => one.tenantId), endings.map((one) => one.at)],
  )
  const withdrawn = await tx.query(
    `update control.incidents incident set ended_at = greatest($1, started_at) from control.tenants tenant
     where incident.ended_at is null and tenant.tenant_id = incident.tenant_id
       and tenant.status not in ('active', 'migrating')`,
    [new Date(nowMs)],
  )
  await tx.query(`delete from control.outage_views where (until is not null and tenant_id = any($1)) or until < $2`, [
    over.map((row) => row.tenant_id),
    new Date(nowMs - VIEW_KEEP_SECONDS * 1_000),
  ])
  await tx.query(
    `update control.tenants tenant set down_since = incident.started_at from control.incidents incident
     where incident.ended_at is null and tenant.tenant_id = incident.tenant_id
       and tenant.down_since is distinct from incident.started_at`,
  )
  await tx.query(
    `update control.tenants tenant set down_since = null where down_since is not null and not exists (
       select from control.incidents incident where incident.tenant_id = tenant.tenant_id and incident.ended_at is null)`,
  )
  return { opened: opened.rowCount ?? 0, ended: (ended.rowCount ?? 0) + (withdrawn.rowCount ?? 0) }
}

/** Tenants that any prober sees down, or that have an incident: the others look at them at once. */
export async function listDoubtful(db: Queryable): Promise<{ tenant_id: string; has_incident: boolean }[]> {
  const result = await db.query<{ tenant_id: string; has_incident: boolean }>(
    `select tenant_id, bool_or(has_incident) as has_incident from (
       select tenant_id, false as has_incident from control.outage_views where until is null
       union all select tenant_id, true from control.incidents where ended_at is null) doubtful
     group by tenant_id`,
  )
  return result.rows
}
