import { z } from 'zod'

/**
 * The states of a tenant's life. `active` and `migrating` serve; `paused` does once a request has woken it; `provisioning` serves
 * soon (503, Retry-After).
 */
export const TENANT_STATUSES = [
  'provisioning',
  'active',
  'suspended',
  'migrating',
  'paused',
  'deleting',
  'deleted',
  'failed',
] as const
export type TenantStatus = (typeof TENANT_STATUSES)[number]

/** Host names that the platform keeps for itself. */
export const RESERVED_NAMES: ReadonlySet<string> = new Set([
  'admin',
  'administrator',
  'aerodb',
  'api',
  'app',
  'assets',
  'auth',
  'autoconfig',
  'autodiscover',
  'billing',
  'blog',
  'cdn',
  'console',
  'control',
  'dashboard',
  'dev',
  'docs',
  'email',
  'ftp',
  'gateway',
  'git',
  'help',
  'imap',
  'internal',
  'localhost',
  'login',
  'mail',
  'metrics',
  'mx',
  'ns1',
  'ns2',
  'pop',
  'postmaster',
  'pricing',
  'root',
  'security',
  'smtp',
  'ssl',
  'staging',
  'static',
  'status',
  'support',
  'system',
  'test',
  'webmail',
  'wpad',
  'www',
])

/** A tenant's name: a DNS label (RFC 1123) of 3 to 40 characters in lower case, not reserved, no punycode look-alike. */
export const tenantNameSchema = z
  .string()
  .min(3, 'must have at least 3 characters')
  .max(40, 'must have at most 40 characters')
  .regex(/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/, 'must be a DNS label: lower-case letters, digits and inner hyphens')
  .refine((name) => name.slice(2, 4) !== '--', 'must not have hyphens in third and fourth place (reserved by RFC 5891)')
  .refine((name) => !RESERVED_NAMES.has(name), 'is reserved')

/** True for the id of a tenant, by its form. */
export function isTenantId(text: string): boolean {
  return /^ten_[0-9a-hjkmnp-tv-z]{26}$/.test(text)
}

/**
 * The tenant's schema and database role on a server that it shares: `t_` and the 26 characters of its id. It is derived from
 * the id, never from the name, so a name given to another tenant later opens nothing.
 */
export function tenantSchemaName(tenantId: string): string {
  if (!isTenantId(tenantId)) throw new Error('Not a tenant id')
  return `t_${tenantId.slice(4)}`
}
