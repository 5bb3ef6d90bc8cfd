import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Problem } from '../../runtime/problem.ts'
import type { Queryable } from '../stores/change.ts'

const LOOK_MS = 5

/** A mark that the follower stops at until it is let go: see `aerodb.on_mark`. */
const STOP = 'stop-'

/**
 * A mark is a row that travels with the tenant's changes. Changes arrive in the order in which they were committed: when the
 * mark is there, so is everything that was committed before it.
 * @throws Problem 504 `follower_behind` when it is not there in time; 422 `follower_failed` when the target cannot apply what comes.
 */
export async function sendMark(source: Queryable, target: Queryable, move: string, timeoutMs: number): Promise<void> {
  const mark = randomUUID()
  await source.query('insert into aerodb.move_marks (move, mark) values ($1, $2)', [move, mark])
  await waitFor(timeoutMs, target, move, async () => {
    const found = await target.query('select from aerodb.move_marks where move = $1 and mark = $2', [move, mark])
    return found.rowCount === 1
  })
}

/** Like `sendMark`, but the follower stays at the mark, its transaction not committed, until `letGo`. */
export async function stopAtMark(
  source: Queryable,
  target: Queryable,
  move: string,
  timeoutMs: number,
): Promise<{ whenStopped: () => Promise<void>; letGo: () => Promise<void> }> {
  const key = `aerodb.move:${move}`
  await target.query('select pg_advisory_lock(hashtextextended($1, 0))', [key])
  await source.query('insert into aerodb.move_marks (move, mark) values ($1, $2)', [move, STOP + randomUUID()])
  return {
    whenStopped: () =>
      waitFor(timeoutMs, target, move, async () => {
        const waiting = await target.query(
          `select from pg_locks where locktype = 'advisory' and not granted and objsubid = 1
             and ((classid::bigint << 32) | objid::bigint) = hashtextextended($1, 0)`,
          [key],
        )
        return (waiting.rowCount ?? 0) > 0
      }),
    letGo: async () => {
      await target.query('select pg_advisory_unlock(hashtextextended($1, 0))', [key])
    },
  }
}

async function waitFor(
  timeoutMs: number,
  target: Queryable,
  move: string,
  check: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + timeoutMs
  while (!(await check())) {
    if (performance.now() > deadline) {
      const stats = await target.query<{ failures: number }>(
        'select apply_error_count::int as failures from pg_stat_subscription_stats where subname = $1',
        [move],
      )
      if ((stats.rows[0]?.failures ?? 0) > 2)
        throw new Problem(422, 'follower_failed', { detail: 'The new server could not apply a change of the old one.' })
      throw new Problem(504, 'follower_behind', { detail: 'The new server has not caught up with the old one yet.' })
    }
    await sleep(LOOK_MS)
  }
}
