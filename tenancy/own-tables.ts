/** Tables of ours in a tenant's schema begin like this: the books of `/storage/v1` and of `/schema/v1`. No API shows them as the tenant's. */
export const OWN_TABLE_PREFIXES = ['_storage_', '_schema_'] as const

export function isOwnTable(name: string): boolean {
  return OWN_TABLE_PREFIXES.some((prefix) => name.startsWith(prefix))
}
