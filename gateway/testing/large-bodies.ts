import { readFile } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { EdgeWorld } from './edge-world.ts'
import { makeTenant } from './snapshots.ts'
import { StubUpstream } from './stub-upstream.ts'

const PIECE = Buffer.alloc(1_000_000, 'x')
/** What a worker may grow by while a body passes: some buffers, whatever the body's size. */
const MAX_GROWTH_BYTES = 150_000_000

/** The promise for bodies of `totalBytes`, up and down. */
export function describeLargeBodies(totalBytes: number, timeoutMs: number): void {
  const backend = new StubUpstream('from-gateway')
  const tenant = makeTenant('large')
  let world: EdgeWorld

  beforeAll(async () => {
    world = await EdgeWorld.start(tenant, await backend.start())
  })
  afterAll(async () => {
    await world.stop()
    await backend.stop()
  })

  async function residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${world.gateway.ready.pids?.[0]}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024
  }

  /** Runs `work` and returns by how much the worker's memory grew at most meanwhile. */
  async function growthDuring(work: () => Promise<void>): Promise<number> {
    const before = await residentBytes()
    let most = before
    const timer = setInterval(() => void residentBytes().then((bytes) => (most = Math.max(most, bytes))), 50)
    try {
      await work()
    } finally {
      clearInterval(timer)
    }
    return most - before
  }

  test(
    `${totalBytes} bytes pass in both directions in constant memory`,
    async () => {
      const options = {
        host: '127.0.0.1',
        port: world.gateway.port,
        path: '/storage/v1/object/b/large',
        headers: { Host: 'large.localhost', apikey: tenant.anonKey },
      }
      backend.answer = (request, response) => {
        let received = 0
        request.on('data', (chunk: Buffer) => (received += chunk.length))
        request.on('end', () => response.end(String(received)))
      }
      const up = await growthDuring(
        () =>
          new Promise((resolve, reject) => {
            const request = httpRequest({ ...options, method: 'POST' }, (response) => {
              let body = ''
              response.on('data', (chunk: Buffer) => (body += chunk.toString()))
              response.once('end', () => (body === String(totalBytes) ? resolve() : reject(new Error(body))))
            })
            request.once('error', reject)
            let sent = 0
            const more = (): void => {
              while (sent < totalBytes) {
                sent += PIECE.length
                if (!request.write(PIECE)) {
                  request.once('drain', more)
                  return
                }
              }
              request.end()
            }
            more()
          }),
      )
      backend.answer = (_request, response) => {
        let sent = 0
        const more = (): void => {
          while (sent < totalBytes) {
            sent += PIECE.length
            if (!response.write(PIECE)) {
              response.once('drain', more)
              return
            }
          }
          response.end()
        }
        more()
      }
      const down = await growthDuring(
        () =>
          new Promise((resolve, reject) => {
            httpRequest(options, (response) => {
              let received = 0
              response.on('data', (chunk: Buffer) => (received += chunk.length))
              response.once('end', () => (received === totalBytes ? resolve() : reject(new Error(String(received)))))
            })
              .once('error', reject)
              .end()
          }),
      )
      expect(up).toBeLessThan(MAX_GROWTH_BYTES)
      expect(down).toBeLessThan(MAX_GROWTH_BYTES)
    },
    timeoutMs,
  )
}
