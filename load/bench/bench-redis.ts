import { randomBytes } from 'node:crypto'
import { endWhenLauncherIsGone } from '../../deploy/guardian.ts'
import { findFreePort } from '../../runtime/free-port.ts'
import { findRedisProgram, RedisServer } from '../../runtime/redis-server.ts'
import { pinToCore } from './pin.ts'

export type BenchRedis = { pid: number | undefined; port: number; password: string; url: string; stop(): Promise<void> }

/** A Redis of the run's own, on the loading core: it stands for one on another machine. */
export async function startBenchRedis(core: number | undefined): Promise<BenchRedis> {
  const program = await findRedisProgram()
  if (program === undefined)
    throw new Error('The benchmark needs a redis-server or valkey-server: `npm run up` installs one.')
  const port = await findFreePort()
  const password = randomBytes(12).toString('hex')
  const server = new RedisServer({ program, port, password })
  await server.start()
  let dismissGuard = () => {}
  if (server.pid !== undefined) {
    dismissGuard = endWhenLauncherIsGone(server.pid, 'TERM')
    await pinToCore(server.pid, core)
  }
  const stop = async () => {
    await server.stop()
    dismissGuard()
  }
  return { pid: server.pid, port, password, url: server.url, stop }
}
