import type { PoolClient } from 'pg'
import { z } from 'zod'

const line = z.string().max(200)

/** Whom an invoice names; texts in any language. What was issued keeps what it was issued with. */
export const customerSchema = z.strictObject({
  name: line.min(1),
  /** As it is printed, line by line. */
  address: z.array(line).max(8).default([]),
  email: z.email().max(200).nullable().default(null),
  tax_id: z.string().max(50).nullable().default(null),
})
export type Customer = z.output<typeof customerSchema>

/** Sets whom the tenant's invoices name from now on; `null` takes it back to the tenant's name. */
export async function saveCustomer(
  db: Pick<PoolClient, 'query'>,
  tenantId: string,
  customer: Customer | null,
): Promise<void> {
  if (customer === null) {
    await db.query('delete from metering.customers where tenant_id = $1', [tenantId])
    return
  }
  await db.query(
    `insert into metering.customers (tenant_id, customer) values ($1, $2)
     on conflict (tenant_id) do update set customer = excluded.customer, updated_at = now()`,
    [tenantId, JSON.stringify(customer)],
  )
}

export async function findCustomer(db: Pick<PoolClient, 'query'>, tenantId: string): Promise<Customer | null> {
  const { rows } = await db.query<{ customer: Customer }>(
    'select customer from metering.customers where tenant_id = $1',
    [tenantId],
  )
  return rows[0]?.customer ?? null
}
