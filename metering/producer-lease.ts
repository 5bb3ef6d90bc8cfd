import { link, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { lookUpProcess, ownIdentity, parseIdentity } from './process-identity.ts'

/** How long the lease of a holder in another container is believed without a sign of life. */
export const FOREIGN_LEASE_MS = 60_000
const LEASE = /^shipper\.(\d{1,9})\.json$/

/**
 * The exclusive right to ship one producer's directory: a file `shipper.<generation>.json` that names its holder. The lease of
 * a holder that is gone is taken over by linking the next generation into place, which succeeds for exactly one claimant.
 * A doubt costs nothing but double work: the ledger's marks alone decide what counts.
 */
export class ProducerLease {
  readonly #directory: string
  readonly #holder: string
  #generation: number | undefined

  /** @param holder tells shippers of one process apart. */
  constructor(directory: string, holder: string) {
    this.#directory = directory
    this.#holder = holder
  }

  /** Takes the lease or keeps it. False while another living shipper has it, or when the directory is gone. */
  async claim(nowMs: number): Promise<boolean> {
    const generations = await this.#generations()
    const current = generations.at(-1) ?? 0
    if (current > 0) {
      if (current === this.#generation) {
        await utimes(this.#path(current), nowMs / 1_000, nowMs / 1_000).catch(() => {})
        return true
      }
      if (await this.#isHeld(current, nowMs)) return false
    }
    const next = current + 1
    const temporary = join(this.#directory, `shipper.${this.#holder}.tmp`)
    try {
      await writeFile(temporary, JSON.stringify({ ...ownIdentity(), holder: this.#holder }), { mode: 0o600 })
      await link(temporary, this.#path(next))
    } catch {
      return false
    } finally {
      await rm(temporary, { force: true })
    }
    this.#generation = next
    for (const old of generations) await rm(this.#path(old), { force: true })
    return true
  }

  /** Gives the lease back. */
  async release(): Promise<void> {
    if (this.#generation !== undefined) await rm(this.#path(this.#generation), { force: true })
    this.#generation = undefined
  }

  async #isHeld(generation: number, nowMs: number): Promise<boolean> {
    const path = this.#path(generation)
    const text = await readFile(path, 'utf8').catch(() => '')
    const identity = parseIdentity(text)
    const state = identity === undefined ? 'unknown' : lookUpProcess(identity)
    if (state !== 'unknown') return state === 'alive'
    const info = await stat(path).catch(() => undefined)
    return info !== undefined && nowMs - info.mtimeMs < FOREIGN_LEASE_MS
  }

  async #generations(): Promise<number[]> {
    const names = await readdir(this.#directory).catch(() => [])
    return names
      .map((name) => Number(LEASE.exec(name)?.[1] ?? 0))
      .filter((generation) => generation > 0)
      .sort((a, b) => a - b)
  }

  #path(generation: number): string {
    return join(this.#directory, `shipper.${generation}.json`)
  }
}
