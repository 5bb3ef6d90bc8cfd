import { X509Certificate } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Logger } from '../runtime/log.ts'

const LOOK_EVERY_MS = 2_000

/**
 * The certificates of a directory: each `<any name>.crt` (PEM, with its chain) beside its `<any name>.key`. A host gets the
 * one that names it, else the wildcard that covers it, else `default.crt`, else none. Changed files are taken up without a
 * restart; a pair that does not fit together is left out and named in the log, and the last good one stays in force.
 */
export class TlsCertificates {
  readonly #directory: string
  readonly #log: Logger
  #byName = new Map<string, SecureContext>()
  #default: SecureContext | undefined
  #signature = ''
  #timer: NodeJS.Timeout | undefined

  constructor(directory: string, log: Logger) {
    this.#directory = directory
    this.#log = log
  }

  /** Reads the directory, and again whenever it changes. @throws when there is no usable certificate. */
  async start(): Promise<void> {
    await this.reload()
    if (this.#byName.size === 0 && this.#default === undefined)
      throw new Error(`There is no usable certificate in ${this.#directory}`)
    this.#timer = setInterval(() => void this.reload(), LOOK_EVERY_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** The context for a server name; `undefined` when none fits. */
  find(serverName: string): SecureContext | undefined {
    const name = serverName.toLowerCase()
    const parent = name.slice(name.indexOf('.') + 1)
    return this.#byName.get(name) ?? this.#byName.get(`*.${parent}`) ?? this.#default
  }

  /** Takes up what has changed. */
  async reload(): Promise<void> {
    try {
      const names = (await readdir(this.#directory)).filter((file) => file.endsWith('.crt')).sort()
      const files = names.flatMap((name) => [name, `${name.slice(0, -4)}.key`])
      const states = await Promise.all(files.map((file) => stat(join(this.#directory, file)).catch(() => undefined)))
      const signature = states
        .map((state, i) => `${files[i]} ${state?.mtimeMs} ${state?.size} ${state?.ino}`)
        .join('\n')
      if (signature === this.#signature) return
      const byName = new Map<string, SecureContext>()
      let fallback: SecureContext | undefined
      let isWhole = true
      for (const name of names) {
        try {
          const cert = await readFile(join(this.#directory, name), 'utf8')
          const key = await readFile(join(this.#directory, `${name.slice(0, -4)}.key`), 'utf8')
          const context = createSecureContext({ cert, key, minVersion: 'TLSv1.2' })
          for (const host of hostsOf(cert)) byName.set(host, context)
          if (name === 'default.crt') fallback = context
        } catch (fault) {
          isWhole = false
          this.#log.error({ err: fault, file: name }, 'a certificate is not usable')
        }
      }
      // While files are being replaced one by one, some do not fit for a moment: what is missing keeps its last good one.
      this.#byName = isWhole ? byName : new Map([...this.#byName, ...byName])
      this.#default = fallback ?? (isWhole ? undefined : this.#default)
      this.#signature = signature
    } catch (fault) {
      this.#log.error({ err: fault }, 'the certificates cannot be read')
    }
  }
}

/** The DNS names that a certificate is for. */
function hostsOf(pem: string): string[] {
  const names = new X509Certificate(pem).subjectAltName ?? ''
  return names
    .split(',')
    .map((name) => name.trim())
    .flatMap((name) => (name.startsWith('DNS:') ? [name.slice(4).toLowerCase()] : []))
}
