import { openAlert, resolveOthers } from '../stores/alert-store.ts'
import type { Change } from '../stores/change.ts'
import type { Finding } from './finding.ts'
import type { IsolationReport } from './report.ts'

const KIND = 'isolation_finding'
/** A server that lost all its policies is one emergency, not ten thousand alerts. */
const MAX_ALERTS_PER_RULE = 20

/** Opens an alert for each finding, and resolves those whose cause is gone. */
export async function alertOfFindings(change: Change, report: IsolationReport): Promise<void> {
  const seen = new Set<string>()
  for (const findings of Map.groupBy(report.findings, ({ code }) => code).values()) {
    const isMany = findings.length > MAX_ALERTS_PER_RULE
    for (const finding of isMany ? findings.slice(0, 1) : findings) {
      const fingerprint = isMany ? `${KIND}:${finding.code}` : fingerprintOf(finding)
      seen.add(fingerprint)
      await openAlert(change, {
        fingerprint,
        kind: KIND,
        severity: finding.severity === 'critical' ? 'critical' : 'warning',
        tenantId: isMany ? null : (finding.tenant?.tenant_id ?? null),
        detail: isMany
          ? `${finding.code} at ${findings.length} objects, among them ${finding.object}`
          : `${finding.code} on ${finding.server}: ${finding.object}: ${finding.what}`,
      })
    }
  }
  await resolveOthers(change, KIND, [...seen])
}

function fingerprintOf({ code, server, object }: Finding): string {
  return `${KIND}:${code}:${server}:${object}`
}
