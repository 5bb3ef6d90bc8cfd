import { connect } from 'node:net'
import type { RedisServer } from '../../runtime/redis-server.ts'
import { GatewayProcess } from './gateway-process.ts'
import { startRedisWith } from './redis-with.ts'
import type { TestTenant } from './snapshots.ts'

/** A real gateway with one tenant, for tests that speak to it as bytes. */
export class EdgeWorld {
  readonly gateway: GatewayProcess
  readonly #redis: RedisServer

  private constructor(gateway: GatewayProcess, redis: RedisServer) {
    this.gateway = gateway
    this.#redis = redis
  }

  /** @param backendUrl serves the tenant. */
  static async start(tenant: TestTenant, backendUrl: string, env: Record<string, string> = {}): Promise<EdgeWorld> {
    const redisServer = await startRedisWith(tenant)
    const gateway = await GatewayProcess.start({
      AERODB_REDIS_URL: redisServer.url,
      AERODB_BACKEND_URLS: backendUrl,
      AERODB_GATEWAY_WORKERS: '1',
      ...env,
    })
    return new EdgeWorld(gateway, redisServer)
  }

  async stop(): Promise<void> {
    await this.gateway.stop()
    await this.#redis.stop()
  }

  /**
   * Writes bytes as they are and reads until the gateway ends the connection.
   * @param options.isLast closes our side after the bytes.
   * @param options.later is sent as a packet of its own, a little later.
   * @returns what came, and whether the gateway has ended the connection within `patienceMs`.
   */
  speak(
    bytes: string,
    options: { isLast?: boolean; later?: string; patienceMs?: number } = {},
  ): Promise<{ answer: string; isEnded: boolean }> {
    return new Promise((resolve) => {
      const socket = connect({ port: this.gateway.port, host: '127.0.0.1', allowHalfOpen: true })
      let answer = ''
      const settle = (isEnded: boolean): void => {
        clearTimeout(timer)
        socket.destroy()
        resolve({ answer, isEnded })
      }
      const timer = setTimeout(() => settle(false), options.patienceMs ?? 1_000)
      socket.on('data', (chunk: Buffer) => (answer += chunk.toString('latin1')))
      socket.once('end', () => settle(true))
      socket.once('error', () => settle(true))
      if (options.isLast === true) socket.end(bytes, 'latin1')
      else socket.write(bytes, 'latin1')
      const { later } = options
      if (later !== undefined) setTimeout(() => socket.write(later, 'latin1'), 50)
    })
  }
}
