import { Problem } from '../../runtime/problem.ts'
import type { Isolation } from '../../tenancy/plan.ts'
import type { Change, Queryable } from './change.ts'

/** Each copies at the speed of the disks, and holds one of the places in which operations run. */
export const MAX_MOVES = 4

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
  /** What the move could not remove when it ended: of the tenant on the server that it left, or on the one that it was to go to. */
  leftover: 'from' | 'to' | null
}

/**
 * Notes a move in the transaction that begins its operation.
 * @throws Problem 503 `moves_busy` while as many moves run as the platform does at once, or an earlier one has not been tidied up.
 */
export async function insertMove(
  change: Change,
  move: Pick<MoveRow, 'tenant_id' | 'operation_id' | 'from_isolation' | 'from_server' | 'to_isolation'>,
): Promise<void> {
  const others = await change.tx.query<{ running: number; leftover: boolean }>(
    `select (select count(*)::int from control.operations where kind = 'move' and status = 'running' and tenant_id <> $1) as running,
            exists (select from control.moves where tenant_id = $1 and leftover is not null) as leftover`,
    [move.tenant_id],
  )
  const [{ running, leftover } = { running: 0, leftover: false }] = others.rows
  if (running >= MAX_MOVES || leftover)
    throw new Problem(503, 'moves_busy', {
      detail: leftover
        ? 'What the last move of this tenant has left is being removed. Try again in a minute.'
        : `At most ${MAX_MOVES} tenants are moved at once. Try again later.`,
      headers: { 'Retry-After': '30' },
    })
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

export async function setMoveLeftover(db: Queryable, tenantId: string, leftover: MoveRow['leftover']): Promise<void> {
  await db.query('update control.moves set leftover = $2 where tenant_id = $1', [tenantId, leftover])
}

/** Tenants of which a move has left something behind. */
export async function listLeftovers(db: Queryable): Promise<string[]> {
  const result = await db.query<{ tenant_id: string }>(
    `select tenant_id from control.moves where leftover is not null
       and not exists (select from control.operations o where o.tenant_id = moves.tenant_id and o.status = 'running') limit 20`,
  )
  return result.rows.map((row) => row.tenant_id)
}
