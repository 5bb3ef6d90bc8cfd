import type { Isolation } from '../../tenancy/plan.ts'
import type { Change, Queryable } from './change.ts'

export type MovePhase = 'copying' | 'sealing' | 'switched'

/** A tenant's last move: from where to where, and how far it is. */
export type MoveRow = {
  tenant_id: string
  operation_id: string
  from_isolation: Isolation
  from_server: string
  to_isolation: Isolation
  to_server: string | null
  phase: MovePhase
}

/** Notes a move in the transaction that begins its operation; what an earlier one has left is over. */
export async function insertMove(
  change: Change,
  move: Pick<MoveRow, 'tenant_id' | 'operation_id' | 'from_isolation' | 'from_server' | 'to_isolation'>,
): Promise<void> {
  await change.tx.query(
    `insert into control.moves (tenant_id, operation_id, from_isolation, from_server, to_isolation)
     values ($1, $2, $3, $4, $5)
     on conflict (tenant_id) do update set operation_id = excluded.operation_id, from_isolation = excluded.from_isolation,
       from_server = excluded.from_server, to_isolation = excluded.to_isolation, to_server = null, phase = 'copying',
       created_at = now()`,
    [move.tenant_id, move.operation_id, move.from_isolation, move.from_server, move.to_isolation],
  )
}

/** @throws when the tenant was never moved. */
export async function findMove(db: Queryable, tenantId: string): Promise<MoveRow> {
  const result = await db.query<MoveRow>('select * from control.moves where tenant_id = $1', [tenantId])
  const row = result.rows[0]
  if (row === undefined) throw new Error('The tenant is on no move')
  return row
}

export async function setMoveTarget(change: Change, tenantId: string, server: string): Promise<void> {
  await change.tx.query('update control.moves set to_server = $2 where tenant_id = $1', [tenantId, server])
}

export async function setMovePhase(db: Queryable, tenantId: string, phase: MovePhase): Promise<void> {
  await db.query('update control.moves set phase = $2 where tenant_id = $1', [tenantId, phase])
}
