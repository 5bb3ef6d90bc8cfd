import { z } from 'zod'

/**
 * What gateways see of tenants while they serve, told once a second by every worker that had traffic, and by nobody else.
 * It is lossy on purpose: whoever hears nothing of a tenant asks the tenant itself.
 */
export const SIGNALS_CHANNEL = 'aerodb:tenant-signals'

const idsSchema = z.array(z.string())
const signalsSchema = z.object({
  /** Tenants that asked for something and were answered by their backend. */
  answered: idsSchema,
  /** Tenants whose `GET /health` was answered well, and who asked for nothing else. */
  healthy: idsSchema,
  /** Tenants of whom a request failed on our side (status 500 and above). */
  failed: idsSchema,
})
/** Tenant ids by what was seen of them; a tenant may stand under `failed` and one of the others at once. */
export type TenantSignals = z.output<typeof signalsSchema>

/** @throws when `text` is no message of ours. */
export function parseTenantSignals(text: string): TenantSignals {
  return signalsSchema.parse(JSON.parse(text))
}
