import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'

export type SeenRequest = { method: string; url: string; headers: IncomingHttpHeaders; rawHeaders: string[] }

/**
 * A stand-in for a backend in the gateway's own tests: it notes what it is asked and answers by path. (With the real
 * backend the gateway is tested in `test/`.)
 */
export class StubUpstream {
  readonly seen: SeenRequest[] = []
  readonly server: Server
  /** Requests that are neither answered nor broken off. */
  underWay = 0
  /** Requests whose connection broke before their answer was whole. */
  aborted = 0
  answer: (request: IncomingMessage, response: ServerResponse) => void = (request, response) => {
    request.resume()
    response.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': '11' }).end('{"ok":true}')
  }

  /** @param notes `from-gateway` leaves out what strangers send to our port on a busy machine. */
  constructor(notes: 'all' | 'from-gateway' = 'all') {
    this.server = createServer((request, response) => {
      if (notes === 'from-gateway' && request.headers['x-request-id'] === undefined) {
        response.writeHead(404).end()
        return
      }
      this.seen.push({
        method: request.method ?? '',
        url: request.url ?? '',
        headers: request.headers,
        rawHeaders: request.rawHeaders,
      })
      this.underWay++
      response.once('close', () => {
        this.underWay--
        if (!response.writableFinished) this.aborted++
      })
      this.answer(request, response)
    })
    this.server.keepAliveTimeout = 60_000
  }

  async start(): Promise<string> {
    await new Promise<void>((resolve) => {
      this.server.listen(0, '127.0.0.1', resolve)
    })
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections()
    await new Promise((resolve) => this.server.close(resolve))
  }
}
