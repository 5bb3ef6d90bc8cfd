import { createCipheriv, createDecipheriv, createHash, hkdfSync, randomBytes } from 'node:crypto'

/**
 * Encryption at rest: AES-256-GCM under keys derived from secrets of the environment. The first secret seals; every one
 * opens, so a secret is rotated by putting the new one in front. Format: `v1.<key id>.<base64url(iv | tag | ciphertext)>`.
 */
export class Sealer {
  readonly #keys: readonly { id: string; key: Buffer }[]

  /** @param secrets at least one, each of 32 characters or more; the first seals. */
  constructor(secrets: readonly string[]) {
    if (secrets.length === 0) throw new Error('A sealer needs at least one secret')
    this.#keys = secrets.map((secret) => ({
      id: createHash('sha256').update(`aerodb-seal-id:${secret}`).digest('hex').slice(0, 8),
      key: Buffer.from(hkdfSync('sha256', secret, '', 'aerodb-seal', 32)),
    }))
  }

  /** Seals `plain` for the place `context` (for instance `jwt:ten_...`): it opens under the same context only. */
  seal(plain: string, context: string): string {
    const current = this.#keys[0]
    if (current === undefined) throw new Error('unreachable')
    const iv = randomBytes(12)
    const cipher = createCipheriv('aes-256-gcm', current.key, iv).setAAD(Buffer.from(context))
    const body = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()])
    return `v1.${current.id}.${Buffer.concat([iv, cipher.getAuthTag(), body]).toString('base64url')}`
  }

  /** @throws when the text was sealed under an unknown key or another context, or was changed. */
  open(sealed: string, context: string): string {
    const [version, id, text] = sealed.split('.')
    const entry = this.#keys.find((candidate) => candidate.id === id)
    if (version !== 'v1' || entry === undefined || text === undefined) throw new Error('Sealed under an unknown key')
    const bytes = Buffer.from(text, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', entry.key, bytes.subarray(0, 12))
      .setAAD(Buffer.from(context))
      .setAuthTag(bytes.subarray(12, 28))
    return decipher.update(bytes.subarray(28), undefined, 'utf8') + decipher.final('utf8')
  }

  /** Names the key that seals; it is the second field of what it has sealed. */
  get currentKeyId(): string {
    return this.#keys[0]?.id ?? ''
  }

  /** True when `sealed` was made under a key that is no longer the first: seal it anew. */
  isStale(sealed: string): boolean {
    return sealed.split('.')[1] !== this.#keys[0]?.id
  }
}
