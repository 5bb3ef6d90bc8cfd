import { createHash, randomInt } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** `platform` keys open the platform API; `anon` and `service` keys open one tenant's API. */
export const KEY_KINDS = ['platform', 'anon', 'service'] as const
export type KeyKind = (typeof KEY_KINDS)[number]
export type TenantKeyKind = Exclude<KeyKind, 'platform'>

const ALPHABET = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const RANDOM_LENGTH = 32
const CHECKSUM_LENGTH = 6
const SHAPE = /^aero_(platform|anon|service)_([0-9A-Za-z]{38})$/

/** Makes a key: `aero_<kind>_` + 32 random base-62 characters (190 bits) + a CRC-32 checksum in 6 base-62 characters. */
export function makeKey(kind: KeyKind): string {
  let random = ''
  for (let i = 0; i < RANDOM_LENGTH; i++) random += ALPHABET.charAt(randomInt(ALPHABET.length))
  const body = `aero_${kind}_${random}`
  return body + checksum(body)
}

/** The kind of a well-formed key, or `undefined` when shape or checksum is wrong: then no look-up is worth its cost. */
export function parseKeyKind(key: string): KeyKind | undefined {
  const match = SHAPE.exec(key)
  if (match === null) return undefined
  const body = key.slice(0, -CHECKSUM_LENGTH)
  return checksum(body) === key.slice(-CHECKSUM_LENGTH) ? (match[1] as KeyKind) : undefined
}

/**
 * The digest under which a key is stored and looked up: SHA-256 in base64url. A key has 190 random bits, so a slow hash
 * would protect nothing more; looking up by digest leaks no timing about stored keys.
 */
export function digestKey(key: string): string {
  return createHash('sha256').update(key).digest('base64url')
}

/** What of a key may be shown after its creation: the prefix and the first characters. */
export function keyHint(key: string): string {
  const kind = parseKeyKind(key)
  return kind === undefined ? '' : `${key.slice(0, `aero_${kind}_`.length + 4)}…`
}

function checksum(body: string): string {
  let rest = crc32(body)
  let text = ''
  for (let i = 0; i < CHECKSUM_LENGTH; i++) {
    text = ALPHABET.charAt(rest % 62) + text
    rest = Math.floor(rest / 62)
  }
  return text
}
