import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import type { Logger } from '../../runtime/log.ts'
import { connectPostgres } from '../../runtime/postgres-client.ts'
import { makePostgresPool, type PostgresPool } from '../../runtime/postgres-pool.ts'
import type { Sealer } from '../../runtime/seal.ts'
import { makeChange, type PublishTouched } from '../stores/change.ts'
import { findServerByIdentity, insertSharedServer, moveServer, type ServerRow } from '../stores/server-store.ts'
import { refuseSchemaSharding } from './citus.ts'
import { readServerIdentity, setUpServer } from './server-setup.ts'

/** Tenants that one shared server takes. */
const CAPACITY = 20_000
/** Share of a server's connections that one backend process may hold. */
const BACKEND_SHARE = 0.25
const ADMIN_CONNECTIONS = 6

/**
 * The servers of the shared tier as this process reaches them, each by its administrator's URL. A server is known by its
 * system identifier and database, so its address may change and the order of the URLs means nothing.
 */
export class SharedServers {
  readonly #pools = new Map<string, PostgresPool>()
  readonly #urls = new Map<string, string>()

  /** Registers and prepares every server; repeated on every start of control, by any number of replicas. */
  async open(options: {
    urls: readonly string[]
    metadata: PostgresPool
    sealer: Sealer
    publish: PublishTouched
    log: Logger
  }): Promise<void> {
    for (const url of options.urls) {
      const pool = makePostgresPool({
        url,
        applicationName: 'aerodb-control-provisioner',
        maxConnections: ADMIN_CONNECTIONS,
        statementTimeoutMs: 60_000,
        log: options.log,
      })
      let row: ServerRow
      try {
        await refuseSchemaSharding(pool, new URL(url).host)
        row = await register(url, pool, options)
        await setUpServer(pool, {
          requestPassword: options.sealer.open(row.sealed_request_password, `server:${row.server}`),
          ddlPassword: options.sealer.open(row.sealed_ddl_password, `server:${row.server}`),
        })
      } catch (fault) {
        await pool.end()
        throw fault
      }
      this.#pools.set(row.server, pool)
      this.#urls.set(row.server, url)
    }
  }

  /** Names of the servers that this process can reach. */
  names(): string[] {
    return [...this.#pools.keys()]
  }

  /** The servers that this process can reach, each with its administrator's connections. */
  list(): { name: string; pool: PostgresPool }[] {
    return [...this.#pools].map(([name, pool]) => ({ name, pool }))
  }

  /** @throws when the server is not among the configured ones. */
  pool(server: string): PostgresPool {
    const pool = this.#pools.get(server)
    if (pool === undefined) throw new Error(`The server ${server} is not in AERODB_SHARED_DATABASE_URLS`)
    return pool
  }

  /** A connection outside of the pool, for what takes long or keeps a state. @throws when the server is not configured. */
  async connect(server: string, { replication = false }: { replication?: boolean }): Promise<pg.Client> {
    const url = this.#urls.get(server)
    if (url === undefined) throw new Error(`The server ${server} is not in AERODB_SHARED_DATABASE_URLS`)
    return connectPostgres({
      connectionString: url,
      application_name: 'aerodb-control',
      connectionTimeoutMillis: 5_000,
      ...(replication ? { replication: 'database' as const } : {}),
    })
  }

  async close(): Promise<void> {
    await Promise.all([...this.#pools.values()].map((pool) => pool.end()))
    this.#pools.clear()
  }
}

async function register(
  url: string,
  pool: PostgresPool,
  { metadata, sealer, publish }: { metadata: PostgresPool; sealer: Sealer; publish: PublishTouched },
): Promise<ServerRow> {
  const address = new URL(url)
  const host = address.hostname
  const port = Number(address.port === '' ? 5_432 : address.port)
  const { system, database, maxConnections } = await readServerIdentity(pool)
  const identity = `${system}/${database}`
  return makeChange(metadata, publish, async (change) => {
    await change.tx.query(`select pg_advisory_xact_lock(hashtext('control.register-server'))`)
    const known = await findServerByIdentity(change.tx, identity)
    if (known !== undefined) {
      await moveServer(change, known.server, host, port)
      return known
    }
    // Logins belong to the whole server: two databases of one server have the same passwords.
    const sibling = await change.tx.query<ServerRow>(
      `select * from control.servers where split_part(identity, '/', 1) = $1 limit 1`,
      [system],
    )
    const open = (row: ServerRow, sealed: string) => sealer.open(sealed, `server:${row.server}`)
    const [first] = sibling.rows
    const requestPassword = first === undefined ? makePassword() : open(first, first.sealed_request_password)
    const ddlPassword = first === undefined ? makePassword() : open(first, first.sealed_ddl_password)
    return insertSharedServer(change, {
      identity,
      host,
      port,
      database,
      capacity: CAPACITY,
      max_connections: Math.max(2, Math.floor(maxConnections * BACKEND_SHARE)),
      sealPasswords: (server) => ({
        sealed_request_password: sealer.seal(requestPassword, `server:${server}`),
        sealed_ddl_password: sealer.seal(ddlPassword, `server:${server}`),
      }),
    })
  })
}

/** 256 random bits in base64url. */
export function makePassword(): string {
  return randomBytes(32).toString('base64url')
}
