import { afterAll, beforeAll, test } from 'vitest'
import { auditMany } from './testing/audit-many.ts'
import { WalledServer } from './testing/walled-server.ts'

let server: WalledServer
beforeAll(async () => {
  server = await WalledServer.start()
})
afterAll(() => server.stop())

test('three thousand tenants take no more statements than none', () => auditMany(server, 3_000), 600_000)
