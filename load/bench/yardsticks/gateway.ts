import { randomBytes } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findFreePort } from '../../../runtime/free-port.ts'
import { findFile } from '../../../runtime/programs.ts'
import type { BackendRef } from '../../../tenancy/snapshot.ts'
import { PinnedProcess } from '../pinned-process.ts'
import { profilingEnv } from '../profile.ts'
import { publishTenants } from '../publish-tenants.ts'
import { BENCH_DOMAIN, type LoadTenant, makeLoadTenants, makeRequestMix, PROXY_PATH } from '../request-mix.ts'
import type { ProxyContext, RunningYardstick, Yardstick } from '../yardstick.ts'

const PROGRAM = fileURLToPath(new URL('../../../gateway/main.ts', import.meta.url))

export type GatewayForm = {
  name: string
  title: string
  tenants: number
  /** How the tenants' snapshots name the upstream: as one of our shared backends, or registered with some pipelining. */
  backend: (upstreamUrl: string) => BackendRef
}

/** A gateway, and whom it serves. */
export type RunningGateway = RunningYardstick & { tenants: readonly LoadTenant[] }

/**
 * Our gateway with its whole pipeline and one worker: snapshots from a real Redis, key check, leased rate limit and quota,
 * signed context, usage spool on disk.
 */
export function makeGateway(
  form: GatewayForm,
): Omit<Yardstick<ProxyContext>, 'start'> & { start(context: ProxyContext): Promise<RunningGateway> } {
  return {
    name: form.name,
    title: form.title,
    findObstacle: async () => ((await findFile([PROGRAM])) === undefined ? 'gateway/main.ts is not there' : undefined),
    async start({ scratch, upstreamPort, redis, cores, profile }) {
      const upstreamUrl = `http://127.0.0.1:${upstreamPort}`
      const tenants = makeLoadTenants(form.tenants, form.name)
      await publishTenants(redis.url, tenants, form.backend(upstreamUrl))
      const [port, adminPort] = [await findFreePort(), await findFreePort()]
      const dataDirectory = join(scratch, form.name)
      await mkdir(dataDirectory, { recursive: true })
      const gateway = await PinnedProcess.start({
        program: process.execPath,
        args: [PROGRAM],
        core: cores.served,
        env: {
          ...profilingEnv(profile),
          NODE_ENV: 'production',
          AERODB_LOG_LEVEL: 'warn',
          AERODB_DOMAIN: BENCH_DOMAIN,
          AERODB_DATA_DIR: dataDirectory,
          AERODB_INTERNAL_SECRET: randomBytes(32).toString('hex'),
          AERODB_ENCRYPTION_KEYS: randomBytes(32).toString('hex'),
          AERODB_REDIS_URL: redis.url,
          AERODB_BACKEND_URLS: upstreamUrl,
          // Whatever it is asked, the stub says `count: 0`: so it is also a ledger in which nobody has asked anything yet.
          AERODB_METERING_URL: upstreamUrl,
          AERODB_GATEWAY_PORT: String(port),
          AERODB_GATEWAY_ADMIN_PORT: String(adminPort),
          AERODB_GATEWAY_WORKERS: '1',
        },
        readyPort: port,
        ipc: true,
      })
      return {
        port,
        tenants,
        mix: makeRequestMix(tenants, PROXY_PATH),
        pids: () => gateway.pids(),
        stop: () => gateway.stop(),
      }
    },
  }
}

export const shared = (): BackendRef => ({ kind: 'shared', name: 'shared', urls: [], pipelining: 1 })
const registered =
  (pipelining: number) =>
  (url: string): BackendRef => ({
    kind: 'registered',
    name: `stub-${pipelining}`,
    urls: [url],
    pipelining,
  })

export const gateway = makeGateway({
  name: 'gateway',
  title: 'gateway, whole pipeline (shared backend)',
  tenants: 10,
  backend: shared,
})
export const gatewayTenThousand = makeGateway({
  name: 'gateway-10000',
  title: 'gateway, the same with 10 000 tenants',
  tenants: 10_000,
  backend: shared,
})
export const gatewayPipelining1 = makeGateway({
  name: 'gateway-p1',
  title: 'gateway, registered backend, pipelining 1',
  tenants: 10,
  backend: registered(1),
})
export const gatewayPipelining16 = makeGateway({
  name: 'gateway-p16',
  title: 'gateway, registered backend, pipelining 16',
  tenants: 10,
  backend: registered(16),
})
