import type { PoolClient } from 'pg'
import { z } from 'zod'
import { Problem } from '../runtime/problem.ts'
import type { PlainLine } from './invoice-document.ts'
import { roundHalfUp } from './rating.ts'

type Db = Pick<PoolClient, 'query'>

/** What to give back: an amount in micro-units of the catalogue's currency, and the text of its line. */
export const creditSchema = z.strictObject({
  reason: z.string().min(1).max(300),
  amount_micros: z.number().int().positive().max(Number.MAX_SAFE_INTEGER),
})
export type CreditRequest = z.output<typeof creditSchema>
export const creditKeySchema = z.string().regex(/^[\w.:-]{1,100}$/, 'must be 1 to 100 of A-Z a-z 0-9 _ . : -')

export type Credit = {
  tenant_id: string
  key: string
  reason: string
  amount_micros: number
  /** What living invoices have taken of it. */
  used_micros: number
  created_at: string
}

/** A credit of which something is left. */
export type OpenCredit = { tenantId: string; key: string; reason: string; leftMicros: number }

/**
 * Keeps a credit for the tenant's next invoices, rounded half up to the currency's minor unit. Told again under the same key
 * it changes nothing.
 * @returns whether it is new. @throws Problem 409 `credit_exists` when the key was used for another credit, 422 `credit_too_small`.
 */
export async function addCredit(
  db: Db,
  tenantId: string,
  key: string,
  request: CreditRequest,
  minorUnitMicros: number,
  now: Date,
): Promise<{ credit: Credit; isNew: boolean }> {
  const amount = roundHalfUp(request.amount_micros, minorUnitMicros)
  if (amount === 0)
    throw new Problem(422, 'credit_too_small', { detail: 'The amount is less than half a minor unit of the currency.' })
  const { rowCount } = await db.query(
    `insert into metering.credits (tenant_id, key, reason, amount_micros, created_at) values ($1, $2, $3, $4, $5)
     on conflict (tenant_id, key) do nothing`,
    [tenantId, key, request.reason, amount, now],
  )
  const credit = (await listCredits(db, tenantId, key))[0]
  if (credit === undefined) throw new Error('unreachable: credits are never deleted')
  if (credit.reason !== request.reason || credit.amount_micros !== amount)
    throw new Problem(409, 'credit_exists', { detail: `The key ${key} was used for another credit of this tenant.` })
  return { credit, isNew: rowCount === 1 }
}

const USED = `coalesce((select sum(u.amount_micros) from metering.credit_uses u join metering.invoices i using (invoice_id)
  where u.tenant_id = c.tenant_id and u.key = c.key and i.state <> 'void'), 0)`

/** A tenant's credits, the oldest first; `key` picks one. */
export async function listCredits(db: Db, tenantId: string, key?: string): Promise<Credit[]> {
  const { rows } = await db.query<
    Omit<Credit, 'amount_micros' | 'used_micros' | 'created_at'> & { amount: string; used: string; created_at: Date }
  >(
    `select tenant_id, key, reason, amount_micros::text as amount, ${USED}::text as used, created_at
     from metering.credits c where tenant_id = $1 and ($2::text is null or key = $2) order by created_at, key`,
    [tenantId, key ?? null],
  )
  return rows.map(({ amount, used, created_at, ...row }) => ({
    ...row,
    amount_micros: Number(amount),
    used_micros: Number(used),
    created_at: created_at.toISOString(),
  }))
}

/** Holds the credits of these tenants until the transaction ends: no two invoices take the same one. */
export async function lockCredits(client: Db, tenantIds: readonly string[]): Promise<void> {
  await client.query(
    'select from metering.credits where tenant_id = any($1) order by tenant_id, key for no key update',
    [tenantIds],
  )
}

/** What is left of the credits of these tenants, by tenant, the oldest first. */
export async function readOpenCredits(db: Db, tenantIds: readonly string[]): Promise<Map<string, OpenCredit[]>> {
  const { rows } = await db.query<{ tenant_id: string; key: string; reason: string; left: string }>(
    `select * from (
       select tenant_id, key, reason, (amount_micros - ${USED})::text as left, created_at
       from metering.credits c where tenant_id = any($1)) open
     where "left" <> '0' order by tenant_id, created_at, key`,
    [tenantIds],
  )
  const open = rows.map((row) => ({
    tenantId: row.tenant_id,
    key: row.key,
    reason: row.reason,
    leftMicros: Number(row.left),
  }))
  return Map.groupBy(open, (credit) => credit.tenantId)
}

export type CreditLine = PlainLine & { kind: 'credit'; key: string }

/** The lines by which credits lower an invoice: never below nothing; what is left waits for the next one. Pure. */
export function takeCredits(credits: readonly OpenCredit[], owedMicros: number): CreditLine[] {
  const lines: CreditLine[] = []
  let owed = owedMicros
  for (const { key, reason, leftMicros } of credits) {
    const taken = Math.min(leftMicros, owed)
    if (taken <= 0) continue
    lines.push({ kind: 'credit', key, description: reason, amount_micros: -taken })
    owed -= taken
  }
  return lines
}

/** Notes what each invoice has taken. */
export async function insertCreditUses(
  client: Db,
  uses: readonly { invoice_id: string; tenant_id: string; key: string; amount_micros: number }[],
): Promise<void> {
  if (uses.length === 0) return
  await client.query(
    `insert into metering.credit_uses (invoice_id, tenant_id, key, amount_micros)
     select * from json_to_recordset($1) as r(invoice_id text, tenant_id text, key text, amount_micros bigint)`,
    [JSON.stringify(uses)],
  )
}
