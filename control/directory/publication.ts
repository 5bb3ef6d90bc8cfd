import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '../../runtime/log.ts'
import type { PostgresPool } from '../../runtime/postgres-pool.ts'
import type { DirectoryPublisher } from '../../tenancy/directory-publisher.ts'
import type { PlanCatalogue } from '../../tenancy/plan.ts'
import type { TouchedDocument } from '../stores/change.ts'
import { clearOutbox, listOutbox } from '../stores/outbox-store.ts'
import { buildServerRecord, buildSnapshot, findPublishable, findPublishableServer } from './documents.ts'

/** A name that no living tenant has keeps its document for a day, for whoever missed the announcement. */
const DEAD_DOCUMENT_TTL_SECONDS = 86_400

/**
 * Keeps the directory equal to the tables. Three ways lead there: a change publishes what it touched right after its
 * commit; the outbox is drained every `intervalMs`, for changes whose process died or whose Redis was away; and when Redis
 * has lost its data, or may have lost the last of it, everything is published again.
 */
export class DirectoryPublication {
  readonly #pool: PostgresPool
  readonly #publisher: DirectoryPublisher
  readonly #catalogue: PlanCatalogue
  readonly #log: Logger
  #running: Promise<void> | undefined
  #isInDoubt = false
  #stopped = false

  constructor(options: {
    pool: PostgresPool
    publisher: DirectoryPublisher
    catalogue: PlanCatalogue
    log: Logger
  }) {
    this.#pool = options.pool
    this.#publisher = options.publisher
    this.#catalogue = options.catalogue
    this.#log = options.log
  }

  /** Publishes documents now; a failure is left to the outbox. Never throws. */
  readonly publish = async (touched: readonly TouchedDocument[]): Promise<void> => {
    const unique = new Map(touched.map((document) => [`${document.kind}:${document.key}`, document]))
    await Promise.all(
      [...unique.values()].map((document) =>
        this.#publishOne(document).catch((fault) =>
          this.#log.warn({ err: fault, ...document }, 'a change waits in the outbox to be published'),
        ),
      ),
    )
  }

  /** Begins to keep the directory; goes on until `stop`. */
  start(intervalMs = 500): void {
    this.#running = (async () => {
      while (!this.#stopped) {
        try {
          await this.catchUp()
        } catch (fault) {
          this.#log.warn({ err: fault }, 'the directory is behind')
        }
        await sleep(intervalMs)
      }
    })()
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }

  /** What was published last may be lost (`onRedisLoss`): the next round publishes everything again. */
  doubt(): void {
    this.#isInDoubt = true
  }

  /** One round: everything if the directory is not complete or in doubt, then whatever waits in the outbox. */
  async catchUp(): Promise<void> {
    if (this.#isInDoubt || !(await this.#publisher.isComplete())) {
      this.#isInDoubt = false
      await this.publishAll().catch((fault: unknown) => {
        this.#isInDoubt = true
        throw fault
      })
    }
    for (;;) {
      const waiting = await listOutbox(this.#pool, 100)
      for (const document of waiting) await this.#publishOne(document)
      if (waiting.length < 100) return
    }
  }

  /** Publishes every server and every living tenant, then declares the directory complete. */
  async publishAll(): Promise<void> {
    const servers = await this.#pool.query<{ server: string }>('select server from control.servers')
    for (const { server } of servers.rows) await this.#publishOne({ kind: 'server', key: server })
    let after = ''
    for (;;) {
      const page = await this.#pool.query<{ name: string }>(
        `select name from control.tenants
         where status not in ('deleting', 'deleted', 'failed') and name > $1 order by name limit 500`,
        [after],
      )
      for (let i = 0; i < page.rows.length; i += 20) {
        await Promise.all(page.rows.slice(i, i + 20).map(({ name }) => this.#publishOne({ kind: 'tenant', key: name })))
      }
      const last = page.rows.at(-1)
      if (last === undefined) break
      after = last.name
    }
    await this.#publisher.markComplete()
    this.#log.info('the whole directory was published')
  }

  async #publishOne(document: TouchedDocument): Promise<void> {
    const published =
      document.kind === 'server' ? await this.#publishServer(document.key) : await this.#publishTenant(document.key)
    await clearOutbox(this.#pool, document, published)
  }

  async #publishServer(server: string): Promise<number> {
    const row = await findPublishableServer(this.#pool, server)
    if (row === undefined) {
      await this.#publisher.withdraw('server', server, await this.#newestVersion())
      return Number.MAX_SAFE_INTEGER
    }
    await this.#publisher.publish('server', server, row.version, JSON.stringify(buildServerRecord(row)))
    return row.version
  }

  /** By name, not by id: of all tenants that ever had it, the living one is published, else the last. */
  async #publishTenant(name: string): Promise<number> {
    const found = await findPublishable(this.#pool, name)
    if (found === undefined || found.purged_at !== null) {
      // The last that had the name is gone for good; a document of whoever takes it from now on has a higher version.
      await this.#publisher.withdraw('tenant', name, found?.version ?? 0)
      return found?.version ?? Number.MAX_SAFE_INTEGER
    }
    const snapshot = buildSnapshot(found, this.#catalogue)
    const isDead = snapshot.status === 'deleted' || snapshot.status === 'deleting' || snapshot.status === 'failed'
    await this.#publisher.publish('tenant', name, snapshot.version, JSON.stringify(snapshot), {
      ...(isDead ? { ttlSeconds: DEAD_DOCUMENT_TTL_SECONDS } : {}),
    })
    return snapshot.version
  }

  async #newestVersion(): Promise<number> {
    const result = await this.#pool.query<{ last_value: number }>('select last_value from control.directory_version')
    return result.rows[0]?.last_value ?? 0
  }
}
