import { expect, test } from 'vitest'
import { makeLogger } from '../runtime/log.ts'
import { parseTenantSignals, type TenantSignals } from '../tenancy/tenant-signals.ts'
import type { Exchange } from './exchange.ts'
import { SignalBoard } from './signal-board.ts'
import { TenantEntry } from './tenant-entry.ts'
import { makeTenant } from './testing/snapshots.ts'

function makeBoard() {
  const told: TenantSignals[] = []
  const publish = (_channel: unknown, message: unknown) => {
    told.push(parseTenantSignals(String(message)))
    return Promise.resolve(1)
  }
  return { board: new SignalBoard({ publish }, makeLogger('test', 'silent')), told }
}

const asked = (tenant: TenantEntry, admitted = true, path = '/rest/v1/todos') =>
  ({ tenant, admitted, path }) as unknown as Exchange
const makeEntry = (name: string) => new TenantEntry(makeTenant(name, { tenant_id: `ten_${name}` }).snapshot)

test('a turn without traffic tells nothing; one with traffic tells each tenant once', () => {
  const { board, told } = makeBoard()
  board.tell()
  expect(told).toEqual([])
  const [busy, ill, quiet] = ['busy', 'ill', 'quiet'].map(makeEntry) as [TenantEntry, TenantEntry, TenantEntry]
  for (let i = 0; i < 100; i++) board.note(asked(busy), 200)
  board.note(asked(ill), 200)
  board.note(asked(ill), 503)
  board.note(asked(quiet, false, '/health'), 200)
  board.tell()
  expect(told).toEqual([{ answered: ['ten_busy', 'ten_ill'], healthy: ['ten_quiet'], failed: ['ten_ill'] }])
})

test('what says nothing of the tenant is not told: a refusal by the backend, a call of the platform', () => {
  const { board, told } = makeBoard()
  const tenant = makeEntry('one')
  board.note(asked(tenant), 404)
  board.note(asked(tenant, false, '/platform/v1/audit-log'), 503)
  board.note({ tenant: undefined, admitted: false, path: '/' } as unknown as Exchange, 200)
  board.tell()
  expect(told).toEqual([])
})

test('that a tenant is well is told every fifth turn; a failure, and that it is over, at the next', () => {
  const { board, told } = makeBoard()
  const tenant = makeEntry('one')
  const turn = (status: number) => {
    board.note(asked(tenant), status)
    board.tell()
  }
  for (let i = 0; i < 10; i++) turn(200)
  expect(told).toHaveLength(2)
  turn(502)
  turn(502)
  turn(200)
  expect(told.slice(2).map(({ answered, failed }) => [answered.length, failed.length])).toEqual([
    [0, 1],
    [0, 1],
    [1, 0],
  ])
})
