import type { Finding } from './finding.ts'
import { RULES, type RuleCode } from './rules.ts'

/** What one run of the audit says; `ok` only when there is no finding. */
export type IsolationReport = {
  version: 1
  /** When the run ended; RFC 3339, UTC. */
  audited_at: string
  duration_ms: number
  ok: boolean
  servers: readonly { server: string; database: string; tenants: number; tables: number; statements: number }[]
  /** Whether canary tenants were probed through the real gateway. */
  canary: 'passed' | 'failed' | 'not_probed'
  /** Every rule with its promise, and how often it was found broken. */
  rules: readonly { code: RuleCode; promise: string; findings: number }[]
  findings: readonly Finding[]
  /** Findings beyond those listed. */
  unlisted: number
  /** Findings that the operator accepts by name; they do not count. */
  accepted: readonly Finding[]
}

/** A finding's code, or `code:object`, that the operator accepts (a monitoring login, a reviewed extension). */
export function isAccepted(finding: Finding, accepted: readonly string[]): boolean {
  return accepted.some((entry) => entry === finding.code || entry === `${finding.code}:${finding.object}`)
}

/** Orders the findings, worst first, and counts them by rule. */
export function buildReport(run: {
  findings: readonly Finding[]
  accept: readonly string[]
  unlisted: number
  servers: IsolationReport['servers']
  canary: IsolationReport['canary']
  nowMs: number
  durationMs: number
}): IsolationReport {
  const order = { critical: 0, high: 1, medium: 2 }
  const sorted = run.findings.toSorted(
    (a, b) =>
      order[a.severity] - order[b.severity] ||
      a.code.localeCompare(b.code) ||
      a.server.localeCompare(b.server) ||
      a.object.localeCompare(b.object),
  )
  const findings = sorted.filter((finding) => !isAccepted(finding, run.accept))
  return {
    version: 1,
    audited_at: new Date(run.nowMs).toISOString(),
    duration_ms: Math.round(run.durationMs),
    ok: findings.length === 0 && run.unlisted === 0,
    servers: run.servers,
    canary: run.canary,
    rules: (Object.keys(RULES) as RuleCode[]).map((code) => ({
      code,
      promise: RULES[code].promise,
      findings: findings.filter((finding) => finding.code === code).length,
    })),
    findings,
    unlisted: run.unlisted,
    accepted: sorted.filter((finding) => isAccepted(finding, run.accept)),
  }
}

/**
 * The report as one tenant's auditor may see it: its own findings and those that concern everybody, nobody else's name, and of
 * the servers only its own (`server`; all findings of others are out).
 */
export function reportForTenant(report: IsolationReport, tenantId: string, server: string): IsolationReport {
  // The nodes of a cluster are audited one by one.
  const isOf = (name: string) => name === server || name.replace(/-[1-9]$/, '') === server
  const concerns = (finding: Finding) =>
    finding.tenant === null
      ? isOf(finding.server) || ['gateway', 'backends'].includes(finding.server)
      : finding.tenant.tenant_id === tenantId
  const findings = report.findings.filter(concerns)
  return {
    ...report,
    ok: findings.length === 0 && report.unlisted === 0,
    servers: report.servers.filter((audited) => isOf(audited.server)).map((audited) => ({ ...audited, tenants: 1 })),
    rules: report.rules.map((rule) => ({
      ...rule,
      findings: findings.filter((finding) => finding.code === rule.code).length,
    })),
    findings,
    accepted: report.accepted.filter(concerns),
  }
}

/** The report for a terminal. */
export function renderReport(report: IsolationReport): string {
  const lines: string[] = []
  for (const { server, database, tenants, tables, statements } of report.servers)
    lines.push(`${server} (${database}): ${tenants} tenants, ${tables} tables, read with ${statements} statements`)
  lines.push(`canary tenants through the gateway: ${report.canary.replace('_', ' ')}`)
  lines.push(
    `${report.rules.length} rules, ${report.findings.length + report.unlisted} findings, ${report.accepted.length} accepted`,
  )
  for (const finding of report.findings) {
    const tenant = finding.tenant === null ? '' : `  tenant ${finding.tenant.name ?? finding.tenant.tenant_id}`
    lines.push(
      '',
      `${finding.severity.toUpperCase()}  ${finding.code}  ${finding.server}${tenant}`,
      `  ${finding.object}: ${finding.what}`,
      `  Promise: ${RULES[finding.code].promise}`,
      `  Remedy:  ${finding.remedy}`,
    )
  }
  if (report.unlisted > 0) lines.push('', `... and ${report.unlisted} more`)
  for (const finding of report.accepted) lines.push('', `accepted  ${finding.code}  ${finding.object}: ${finding.what}`)
  lines.push('', report.ok ? 'The walls stand.' : 'The walls do not stand as promised.')
  return lines.join('\n')
}
