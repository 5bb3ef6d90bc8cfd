import { randomInt } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import { DnsFault } from './dns-driver.ts'
import { encodeMessage, type WireMessage } from './dns-message.ts'
import { AnswerVerifier, signMessage, type TsigKey } from './tsig.ts'

/** Without an octet for this long a server counts as away. */
const TIMEOUT_MS = 10_000
/** A zone that is larger than this is not ours to hold in memory (10 000 tenants take about 3 MB). */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024

export type DnsServerAddress = { host: string; port: number }
export type DnsRequest = Omit<Parameters<typeof encodeMessage>[0], 'id'>

/**
 * Sends one signed request over TCP (RFC 7766) and hands its verified messages to `onMessage` until that returns true. TCP
 * for everything: updates outgrow a datagram, zone transfers need it, and a forged source address gets nowhere.
 * @throws DnsFault
 */
export async function exchange(
  server: DnsServerAddress,
  key: TsigKey,
  request: DnsRequest,
  onMessage: (message: WireMessage) => boolean,
): Promise<void> {
  const id = randomInt(65_536)
  const signed = signMessage(encodeMessage({ ...request, id }), key, Date.now())
  const verifier = new AnswerVerifier(key, signed.mac, () => Date.now())
  const socket = connect({ host: server.host, port: server.port })
  try {
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error('timeout')))
    const length = Buffer.alloc(2)
    length.writeUInt16BE(signed.octets.length)
    socket.write(Buffer.concat([length, signed.octets]))
    for await (const octets of framesOf(socket)) {
      const message = verifier.take(octets)
      if (message.id !== id || !message.isResponse)
        throw new DnsFault('dns_bad_answer', 'The answer is to something else.')
      if (onMessage(message)) {
        if (verifier.isOpen) throw new DnsFault('dns_refused', 'The DNS server: the answer does not end signed.')
        return
      }
    }
    throw new DnsFault('dns_unreachable', 'The DNS server ended the connection too early.')
  } catch (fault) {
    if (fault instanceof DnsFault) throw fault
    const isMalformed = (fault as Error).name === 'MalformedMessageError'
    throw isMalformed
      ? new DnsFault('dns_bad_answer', (fault as Error).message)
      : new DnsFault('dns_unreachable', `The DNS server ${server.host}:${server.port} does not answer.`, {
          cause: fault,
        })
  } finally {
    socket.destroy()
  }
}

/** Each message on a TCP connection has its length in two octets before it (RFC 1035, section 4.2.2). */
async function* framesOf(socket: Socket): AsyncGenerator<Buffer> {
  let chunks: Buffer[] = []
  let size = 0
  let total = 0
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    chunks.push(chunk)
    size += chunk.length
    total += chunk.length
    if (total > MAX_ANSWER_BYTES) throw new DnsFault('dns_bad_answer', 'The answer does not end.')
    if (size < 2) continue
    let buffer = chunks.length === 1 ? chunk : Buffer.concat(chunks)
    while (buffer.length >= 2 && buffer.length >= 2 + buffer.readUInt16BE()) {
      const end = 2 + buffer.readUInt16BE()
      yield buffer.subarray(2, end)
      buffer = buffer.subarray(end)
    }
    chunks = [buffer]
    size = buffer.length
  }
}
