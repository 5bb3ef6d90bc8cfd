import { fileURLToPath } from 'node:url'
import { findFreePort } from '../../runtime/free-port.ts'
import { startBenchRedis } from './bench-redis.ts'
import type { RunContext } from './group.ts'
import { PinnedProcess } from './pinned-process.ts'
import { makeLoadTenants, makeRequestMix, PROXY_PATH, type RequestMix } from './request-mix.ts'
import type { ProxyContext } from './yardstick.ts'

const STUB = fileURLToPath(new URL('./servers/stub-upstream.ts', import.meta.url))
const TENANTS = 10

/** Runs `work` with the stub upstream and a Redis on the loading core, and the mix of ten tenants; then stops both. */
export async function withStubUpstream<Result>(
  { options, cores, scratch }: RunContext,
  work: (context: ProxyContext, mix: RequestMix) => Promise<Result>,
): Promise<Result> {
  const upstreamPort = await findFreePort()
  const upstream = await PinnedProcess.start({
    program: process.execPath,
    args: [STUB, String(upstreamPort)],
    core: cores.load,
    readyPort: upstreamPort,
    ipc: true,
  })
  const redis = await startBenchRedis(cores.load)
  try {
    const tenants = makeLoadTenants(TENANTS)
    const { pid } = redis
    const context = {
      support: { title: 'Redis', pids: async () => (pid === undefined ? [] : [pid]) },
      cores,
      scratch,
      upstreamPort,
      redis,
      connections: options.connections,
      profile: options.profile,
      tenants,
    }
    return await work(context, makeRequestMix(tenants, PROXY_PATH))
  } finally {
    await redis.stop()
    await upstream.stop()
  }
}
