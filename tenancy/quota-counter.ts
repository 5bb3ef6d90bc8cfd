/** Where a tenant's requests of a month (`YYYY-MM`) are counted against its quota: a Redis hash, made from the ledger when it is lost. */
export function quotaKey(tenantId: string, month: string): string {
  return `aerodb:quota:{${tenantId}}:${month}`
}
