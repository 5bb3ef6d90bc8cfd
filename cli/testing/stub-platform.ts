import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** An answer; `cut off` closes the connection without one. */
export type Step = { status: number; headers?: Record<string, string>; body?: unknown } | 'cut off'
export type StubPlatform = {
  asked: { method: string | undefined; url: string | undefined; headers: IncomingMessage['headers']; body: string }[]
  env: { AERODB_CONTROL_URL: string; AERODB_PLATFORM_KEY: string }
  port: number
  stop: () => Promise<void>
}

export const STUB_KEY = 'aero_platform_notreal'

/** A platform that misbehaves as a real one cannot be made to: one step after the other, the last one for ever. */
export async function startStubPlatform(steps: readonly [Step, ...Step[]]): Promise<StubPlatform> {
  const asked: StubPlatform['asked'] = []
  const server = createServer(async (request, response) => {
    const { method, url, headers } = request
    asked.push({ method, url, headers, body: await text(request) })
    const step = steps[Math.min(asked.length, steps.length) - 1]
    if (step === undefined || step === 'cut off') return request.socket.destroy()
    response.writeHead(step.status, { 'content-type': 'application/json', ...step.headers })
    response.end(step.body === undefined ? undefined : JSON.stringify(step.body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    asked,
    port,
    env: { AERODB_CONTROL_URL: `http://127.0.0.1:${port}`, AERODB_PLATFORM_KEY: STUB_KEY },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
