import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { type ClusterNodeRow, isLivingCluster } from '../../stores/cluster-store.ts'
import { connectNode } from './cluster-node.ts'
import { type ClusterParts, readCluster, withClusterLock } from './cluster-parts.ts'
import { failOver, isPrimary } from './fail-over.ts'
import { isInOrder, rebuildNode, tendMembers } from './standbys.ts'

const LOOK_MS = 1_000
/** A primary that does not answer for so long is taken for dead, and fenced: with a look and the last word, within 5 s. */
const SILENT_MS = 2_500
/** So long has one that is about to be fenced to say that it is there after all. */
const LAST_WORD_MS = 1_000
/** A member that does not follow for so long, while it is helped to, is made anew. */
const LOST_MS = 30_000
/** After a rebuild or a recovery that failed. */
const BACK_OFF_MS = 2_000

/**
 * Keeps one cluster whole. It holds a connection to the primary, whose end is the first sign of its death, so a failover begins
 * at once; once a second it looks whether the primary answers, members follow, and lost nodes are made anew. Every control
 * process on the machine may keep the same cluster: what changes it is done under the cluster's lock, on what is read inside.
 */
export class ClusterKeeper {
  readonly #parts: ClusterParts
  readonly #server: string
  #primary: pg.Client | undefined
  /** Which node `#primary` leads to. */
  #primaryNode: number | undefined
  /** A primary that was never seen to serve is started; one that was, and is gone, is followed by a standby. */
  #hasServed = false
  #awaySinceMs = new Map<number, number>()
  readonly #rebuilding = new Map<number, Promise<void>>()
  readonly #loop: Promise<void>
  #wakeUp: (() => void) | undefined
  #stopped = false

  constructor(parts: ClusterParts, server: string) {
    this.#parts = parts
    this.#server = server
    this.#loop = this.#run()
  }

  /** Stops keeping; nodes go on. Resolves when nothing of ours works on the cluster any more. */
  async stop(): Promise<void> {
    this.#stopped = true
    this.#wakeUp?.()
    await this.#loop
    await this.#primary?.end().catch(() => {})
    await Promise.allSettled(this.#rebuilding.values())
  }

  /** Makes a node anew; callers at once share it. */
  rebuild(node: number): Promise<void> {
    let running = this.#rebuilding.get(node)
    if (running === undefined) {
      running = rebuildNode(this.#parts, this.#server, node).finally(() => this.#rebuilding.delete(node))
      this.#rebuilding.set(node, running)
    }
    return running
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      let pauseMs = LOOK_MS
      try {
        await this.#look()
      } catch (fault) {
        this.#parts.log.error({ err: fault, server: this.#server }, 'a cluster could not be looked after')
        pauseMs = BACK_OFF_MS
      }
      await this.#pause(pauseMs)
    }
  }

  /** Until it is time to look again, or the primary's connection has ended. */
  async #pause(ms: number): Promise<void> {
    if (this.#stopped) return
    const timer = new AbortController()
    await Promise.race([
      sleep(ms, undefined, { signal: timer.signal }).catch(() => {}),
      new Promise<void>((resolve) => {
        this.#wakeUp = resolve
      }),
    ])
    timer.abort()
    this.#wakeUp = undefined
  }

  async #look(): Promise<void> {
    const state = await readCluster(this.#parts, this.#server)
    const primary = await this.#reachPrimary(state.primary)
    if (primary === undefined) {
      // Nobody ever saw it serve: it is only to be started, which is not our part.
      if (this.#hasServed) await this.#recover()
      return
    }
    this.#hasServed = true
    const isGood = await isInOrder(primary, state.members)
    if (!isGood) await this.#tend()
    else this.#awaySinceMs.clear()
    for (const { node } of state.rebuilding)
      if (!this.#rebuilding.has(node))
        this.rebuild(node).catch(async (fault) => {
          this.#parts.log.warn({ err: fault, server: this.#server, node }, 'a node could not be made anew yet')
        })
  }

  /** The connection to the primary, if that answers. */
  async #reachPrimary(node: ClusterNodeRow, withinMs?: number): Promise<pg.Client | undefined> {
    try {
      if (this.#primary === undefined || this.#primaryNode !== node.node) {
        await this.#letGo()
        const client = await connectNode(this.#parts, node, {
          queryTimeoutMs: SILENT_MS,
          ...(withinMs === undefined ? {} : { connectTimeoutMs: withinMs }),
        })
        this.#primary = client
        this.#primaryNode = node.node
        client.once('end', () => {
          if (this.#primary === client) this.#primary = undefined
          this.#wakeUp?.()
        })
      }
      // A new connection each time: a postmaster that hangs still has sessions that answer.
      await this.#knock(node, withinMs ?? SILENT_MS)
      return this.#primary !== undefined && (await isPrimary(this.#primary)) ? this.#primary : undefined
    } catch (fault) {
      this.#parts.log.debug({ err: fault, server: this.#server }, 'a primary does not answer')
      await this.#letGo()
      return undefined
    }
  }

  async #knock(node: ClusterNodeRow, withinMs: number): Promise<void> {
    const guest = await connectNode(this.#parts, node, { connectTimeoutMs: withinMs })
    await guest.end()
  }

  async #letGo(): Promise<void> {
    const client = this.#primary
    this.#primary = undefined
    if (client === undefined) return
    // One that hangs does not say goodbye either.
    void client.end().catch(() => {})
  }

  async #recover(): Promise<void> {
    await withClusterLock(this.#parts, this.#server, async () => {
      // Deleted, say, by another control: then it is to be as it is.
      if (this.#stopped || !(await isLivingCluster(this.#parts.pool, this.#server))) return
      const state = await readCluster(this.#parts, this.#server)
      // Another control was faster, or only our connection was gone.
      if ((await this.#reachPrimary(state.primary, LAST_WORD_MS)) !== undefined) return
      await failOver(this.#parts, state)
    })
  }

  async #tend(): Promise<void> {
    const nowMs = performance.now()
    const away = new Map<number, number>()
    await withClusterLock(this.#parts, this.#server, async () => {
      if (this.#stopped || !(await isLivingCluster(this.#parts.pool, this.#server))) return
      const state = await readCluster(this.#parts, this.#server)
      await tendMembers(this.#parts, state, ({ node }) => {
        away.set(node, this.#awaySinceMs.get(node) ?? nowMs)
        return nowMs - (away.get(node) ?? nowMs) > LOST_MS
      })
    })
    this.#awaySinceMs = away
  }
}
