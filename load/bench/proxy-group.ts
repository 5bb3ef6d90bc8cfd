import { fileURLToPath } from 'node:url'
import { findFreePort } from '../../runtime/free-port.ts'
import { startBenchRedis } from './bench-redis.ts'
import type { Group } from './group.ts'
import { PinnedProcess } from './pinned-process.ts'
import { makeLoadTenants, makeRequestMix } from './request-mix.ts'
import { measureInRounds } from './rounds.ts'
import { caddy } from './yardsticks/caddy.ts'
import { honoProxy } from './yardsticks/hono-proxy.ts'
import { nginx } from './yardsticks/nginx.ts'
import { nginxLua } from './yardsticks/nginx-lua.ts'
import { undiciDispatch } from './yardsticks/undici-dispatch.ts'
import { upstreamDirect } from './yardsticks/upstream-direct.ts'

const STUB = fileURLToPath(new URL('./servers/stub-upstream.ts', import.meta.url))

/** What stands in front of an upstream: all get the same requests of ten tenants and pass them to the same stub. */
export const proxyGroup: Group = {
  name: 'proxy',
  yardsticks: [upstreamDirect, nginx, nginxLua, caddy, undiciDispatch, honoProxy],
  async run(yardsticks, { options, cores, generator, scratch, onProgress }) {
    const upstreamPort = await findFreePort()
    await PinnedProcess.start({
      program: process.execPath,
      args: [STUB, String(upstreamPort)],
      core: cores.load,
      readyPort: upstreamPort,
      ipc: true,
    })
    const redis = await startBenchRedis(cores.load)
    try {
      const tenants = makeLoadTenants(10)
      const rows = await measureInRounds({
        yardsticks,
        context: { cores, scratch, upstreamPort, redis, connections: options.connections, tenants },
        mix: makeRequestMix(tenants, '/rest/v1/todos?id=eq.42'),
        generator,
        seconds: options.seconds,
        rounds: options.rounds,
        onProgress,
      })
      return {
        group: 'proxy',
        title: 'In front of an upstream',
        bases: [
          { name: 'undici', heading: '× bare undici' },
          { name: 'nginx', heading: '× nginx' },
          { name: 'nginx-lua', heading: '× nginx+Lua' },
          { name: 'caddy', heading: '× Caddy' },
        ],
        rows,
        notes: [],
      }
    } finally {
      await redis.server.stop()
    }
  },
}
