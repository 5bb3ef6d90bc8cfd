import { connect, type Socket } from 'node:net'

/** At once, so that no queue of waiting connections overflows. */
const AT_ONCE = 50
const HANDSHAKE_MS = 10_000

/** Opens `count` WebSockets by hand (no frame is ever sent). @returns those that stand; whoever gets them ends them. */
export async function openIdleSockets(port: number, count: number, host: string, target: string): Promise<Socket[]> {
  const standing: Socket[] = []
  for (let opened = 0; opened < count; opened += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, count - opened) }, () => openOne(port, host, target))
    standing.push(...(await Promise.all(some)).filter((socket) => socket !== undefined))
  }
  return standing
}

function openOne(port: number, host: string, target: string): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let head = ''
    const settle = (stands: boolean): void => {
      clearTimeout(timer)
      socket.removeAllListeners('data')
      if (!stands) socket.destroy()
      resolve(stands ? socket : undefined)
    }
    const timer = setTimeout(() => settle(false), HANDSHAKE_MS)
    socket.on('data', (chunk: Buffer) => {
      head += chunk.toString('latin1')
      if (head.includes('\r\n\r\n')) settle(head.startsWith('HTTP/1.1 101 '))
    })
    socket.on('error', () => settle(false))
    socket.write(
      `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`,
    )
  })
}
