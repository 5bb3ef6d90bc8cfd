import type { IncomingMessage } from 'node:http'

/** How long, and for how many bytes, a refused client may go on sending. */
const LINGER_MS = 1_000
const LINGER_BYTES = 4 * 1024 * 1024

/**
 * Lets the connection of a request that was refused before its body was read end gently: our side is closed after the
 * answer, what still comes is thrown away for a moment. Closing at once would reset the connection, and the reset may
 * overtake the answer (RFC 9112 9.6). Call it before the answer is ended; the answer says `Connection: close`.
 */
export function lingerAfterAnswer(request: IncomingMessage): void {
  const { socket } = request
  socket.destroySoon = () => {
    socket.end()
    const timer = setTimeout(() => socket.destroy(), LINGER_MS)
    socket.once('close', () => clearTimeout(timer))
    let thrownAway = 0
    request.on('data', (chunk: Buffer) => {
      thrownAway += chunk.length
      if (thrownAway > LINGER_BYTES) socket.destroy()
    })
    request.once('end', () => socket.destroy())
    request.once('error', () => socket.destroy())
    request.resume()
  }
}
