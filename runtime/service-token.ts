import { createHmac, hkdfSync, timingSafeEqual } from 'node:crypto'

/** The header by which one of our services shows another that it is one: `<service>.<ms>.<HMAC>`. */
export const SERVICE_TOKEN_HEADER = 'x-aerodb-service'
const LIFETIME_MS = 60_000

/** Signs and verifies short-lived tokens between our own services, under a key derived from the internal secret. */
export class ServiceTokenCodec {
  readonly #key: Buffer

  constructor(internalSecret: string) {
    this.#key = Buffer.from(hkdfSync('sha256', internalSecret, '', 'aerodb-service-token', 32))
  }

  sign(service: string, nowMs: number): string {
    const body = `${service}.${nowMs}`
    return `${body}.${this.#mac(body).toString('base64url')}`
  }

  /** The name of the calling service, or `undefined` when the token is missing, forged or older than a minute. */
  verify(token: string | undefined, nowMs: number): string | undefined {
    const match = /^([a-z-]+)\.(\d+)\.([\w-]{43})$/.exec(token ?? '')
    if (match === null) return undefined
    const [, service, issuedAt, mac] = match
    const given = Buffer.from(mac ?? '', 'base64url')
    const expected = this.#mac(`${service}.${issuedAt}`)
    if (given.length !== expected.length || !timingSafeEqual(given, expected)) return undefined
    return Math.abs(nowMs - Number(issuedAt)) <= LIFETIME_MS ? service : undefined
  }

  #mac(body: string): Buffer {
    return createHmac('sha256', this.#key).update(body).digest()
  }
}
