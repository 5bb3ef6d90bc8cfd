import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, connect, createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { findPython2, runAutobahn } from './testing/autobahn.ts'
import { EdgeWorld } from './testing/edge-world.ts'
import { makeTenant } from './testing/snapshots.ts'
import { EchoBackend } from './testing/websocket-frames.ts'

const python = await findPython2()

/** The suite names a server by its address only: this one puts the tenant's host into the handshake, and is a pipe after it. */
async function hostRelay(port: number, host: string): Promise<Server> {
  const relay = createServer((client) => {
    const gateway = connect(port, '127.0.0.1')
    client.once('data', (head: Buffer) => {
      gateway.write(head.toString('latin1').replace(/\r\nHost: [^\r]*/i, `\r\nHost: ${host}`), 'latin1')
      client.pipe(gateway)
    })
    gateway.pipe(client)
    for (const socket of [client, gateway]) {
      socket.on('error', () => {})
      socket.once('close', () => {
        client.destroy()
        gateway.destroy()
      })
    }
  })
  await new Promise<void>((resolve) => {
    relay.listen(0, '127.0.0.1', resolve)
  })
  return relay
}

const portOf = (server: Server) => (server.address() as AddressInfo).port

/** The compression cases differ in sizes and window bits, which the gateway does not look at: a few of them stand for all. */
const SOME = {
  include: ['1.*', '2.*', '3.*', '4.*', '5.*', '6.*', '7.*', '9.*', '10.*', '12.1.1', '12.1.2', '12.1.3'],
  exclude: [],
}

// Without Python 2 the cases of ours after its catalogue remain (`websocket-conformance.test.ts`).
test.skipIf(python === undefined)(
  "each of Autobahn's cases ends through the gateway as it does without one, and none fails",
  async () => {
    const tenant = makeTenant('autobahn')
    const backend = new EchoBackend()
    const direct = await backend.start()
    const world = await EdgeWorld.start(tenant, `http://127.0.0.1:${direct}`)
    const relay = await hostRelay(world.gateway.port, 'autobahn.localhost')
    const directory = await mkdtemp(join(tmpdir(), 'aerodb-autobahn-'))
    try {
      const servers = [
        { agent: 'direct', url: `ws://127.0.0.1:${direct}/` },
        { agent: 'gateway', url: `ws://127.0.0.1:${portOf(relay)}/realtime/v1/websocket?apikey=${tenant.anonKey}` },
      ]
      const report = await runAutobahn(python ?? '', servers, SOME, directory)
      expect(Object.keys(report.gateway ?? {}).length).toBeGreaterThan(300)
      const behaviour = (agent: string) =>
        Object.fromEntries(
          Object.entries(report[agent] ?? {}).map(([name, one]) => [
            name,
            [one.behavior, one.behaviorClose, one.remoteCloseCode],
          ]),
        )
      expect(behaviour('gateway')).toEqual(behaviour('direct'))
      const failed = Object.entries(report.gateway ?? {}).filter(
        ([, { behavior }]) => !/^(?:OK|NON-STRICT|INFORMATIONAL)$/.test(behavior),
      )
      expect(failed).toEqual([])
    } finally {
      relay.close()
      await world.stop()
      await backend.stop()
      await rm(directory, { recursive: true, force: true })
    }
  },
  30 * 60_000,
)
