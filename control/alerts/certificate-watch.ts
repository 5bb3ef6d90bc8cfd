import { X509Certificate } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../runtime/clock.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import { type NewAlert, openAlerts, resolveOthers } from '../stores/alert-store.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'

const KIND = 'certificate_expiry'
const DAY_MS = 86_400_000
/** Automatic renewal comes 30 days ahead: what is still there at 21 was not renewed. */
const WARN_DAYS = 21
const CRITICAL_DAYS = 7

/** Opens an alert for each certificate of the gateway's directory that runs out soon or cannot be read. */
export async function watchCertificates(options: {
  directory: string
  pool: PostgresPool
  publish: PublishTouched
  clock: Clock
}): Promise<void> {
  const { directory, pool, publish, clock } = options
  const names = (await readdir(directory)).filter((name) => name.endsWith('.crt')).sort()
  const alerts = (
    await Promise.all(
      // Gone between the two: renewed by hand. The next look sees what took its place.
      names.map(async (name) => judgeCertificate(name, await readFile(join(directory, name)), clock.nowMs())),
    )
  ).filter((alert) => alert !== undefined)
  await makeChange(pool, publish, async (change) => {
    await openAlerts(change, alerts)
    await resolveOthers(
      change,
      KIND,
      alerts.map(({ fingerprint }) => fingerprint),
    )
  })
}

/** The alert that a certificate file is worth, if any. Pure. */
export function judgeCertificate(name: string, pem: Buffer, nowMs: number): NewAlert | undefined {
  const alert = { fingerprint: `${KIND}:${name}`, kind: KIND, tenantId: null }
  let certificate: X509Certificate
  try {
    certificate = new X509Certificate(pem)
  } catch {
    return { ...alert, severity: 'critical', detail: `The certificate file ${name} cannot be read.` }
  }
  const expiresAt = certificate.validToDate
  const days = Math.floor((expiresAt.getTime() - nowMs) / DAY_MS)
  if (days >= WARN_DAYS) return undefined
  const when = days < 0 ? 'has run out' : `runs out in ${days} days`
  return {
    ...alert,
    severity: days < CRITICAL_DAYS ? 'critical' : 'warning',
    detail: `The certificate ${name} (${certificate.subjectAltName ?? certificate.subject}) ${when}.`,
    attributes: { file: name, expires_at: expiresAt.toISOString(), days_left: days },
  }
}
