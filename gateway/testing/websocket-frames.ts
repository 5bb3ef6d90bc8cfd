import { createHash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { type WebSocket, WebSocketServer } from 'ws'

/** A stand-in for a realtime backend that sends each message back, whatever its size and number of fragments. */
export class EchoBackend {
  readonly #server: Server = createServer((_request, response) => response.writeHead(426).end())
  readonly #echo = new WebSocketServer({
    noServer: true,
    maxPayload: 0,
    maxFragments: 0,
    maxBufferedChunks: 0,
    perMessageDeflate: true,
  })

  async start(): Promise<number> {
    this.#server.on('upgrade', (request, socket, head) =>
      this.#echo.handleUpgrade(request, socket, head, (ws: WebSocket) => {
        ws.on('error', () => {})
        ws.on('message', (data, isBinary) => ws.send(data, { binary: isBinary }))
      }),
    )
    await new Promise<void>((resolve) => {
      this.#server.listen(0, '127.0.0.1', resolve)
    })
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    for (const client of this.#echo.clients) client.terminate()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}

export type FrameOptions = { isLast?: boolean; reserved?: number; isMasked?: boolean }

/** A client's frame (RFC 6455 5.2), as wrong as the test wants it. */
export function frame(opcode: number, payload: Buffer | string = '', options: FrameOptions = {}): Buffer {
  const { isLast = true, reserved = 0, isMasked = true } = options
  const data = Buffer.from(payload)
  const length =
    data.length < 126
      ? Buffer.from([data.length])
      : data.length < 65_536
        ? Buffer.from([126, data.length >> 8, data.length & 0xff])
        : Buffer.concat([Buffer.from([127, 0, 0, 0, 0]), bigEndian(data.length)])
  length[0] = (length[0] ?? 0) | (isMasked ? 0x80 : 0)
  const first = Buffer.from([(isLast ? 0x80 : 0) | (reserved << 4) | opcode])
  if (!isMasked) return Buffer.concat([first, length, data])
  const mask = Buffer.from([0x12, 0x34, 0x56, 0x78])
  for (let i = 0; i < data.length; i++) data[i] = (data[i] ?? 0) ^ (mask[i & 3] ?? 0)
  return Buffer.concat([first, length, mask, data])
}

function bigEndian(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

/** A close frame's payload: a status and a reason. */
export function closing(code: number, reason: Buffer | string = ''): Buffer {
  return Buffer.concat([Buffer.from([code >> 8, code & 0xff]), Buffer.from(reason)])
}

/** What came back, as one digest of all bytes after the handshake. */
export type Transcript = { bytes: number; digest: string; isEnded: boolean }

/**
 * Opens a WebSocket by hand, writes `pieces` one after the other, and notes every byte that comes back until the other side
 * ends, or until `expected` bytes have come, or nothing comes for `quietMs`.
 */
export function converse(
  port: number,
  target: string,
  pieces: readonly Buffer[],
  options: { host: string; quietMs: number; expected?: Transcript },
): Promise<Transcript> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1')
    let head: Buffer | undefined = Buffer.alloc(0)
    let bytes = 0
    const hash = createHash('sha256')
    let timer: NodeJS.Timeout | undefined
    let isSettled = false
    const settle = (isEnded: boolean): void => {
      if (isSettled) return
      isSettled = true
      clearTimeout(timer)
      socket.destroy()
      resolve({ bytes, digest: hash.digest('hex'), isEnded })
    }
    const note = (chunk: Buffer): void => {
      if (isSettled) return
      bytes += chunk.length
      hash.update(chunk)
      const { expected } = options
      const isAll = expected !== undefined && !expected.isEnded && bytes >= expected.bytes
      clearTimeout(timer)
      // A little longer than all: more would be wrong.
      timer = setTimeout(() => settle(false), isAll ? 50 : options.quietMs)
    }
    socket.on('data', (chunk: Buffer) => {
      if (head === undefined) return note(chunk)
      head = Buffer.concat([head, chunk])
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      if (!head.toString('latin1').startsWith('HTTP/1.1 101 ')) {
        socket.destroy()
        reject(new Error(head.toString('latin1')))
        return
      }
      const rest = head.subarray(end + 4)
      head = undefined
      note(rest)
      void writeAll(pieces)
    })
    const writeAll = async (all: readonly Buffer[]): Promise<void> => {
      for (const piece of all) {
        if (socket.destroyed) return
        if (!socket.write(piece)) await new Promise((go) => socket.once('drain', go).once('close', go))
        else await new Promise((go) => setImmediate(go))
      }
    }
    socket.once('close', () => settle(true))
    socket.on('error', () => {})
    socket.write(
      `GET ${target} HTTP/1.1\r\nHost: ${options.host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    )
  })
}
