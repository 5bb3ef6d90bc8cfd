import { randomBytes } from 'node:crypto'
import { PassThrough, type Readable } from 'node:stream'
import type pg from 'pg'
import { connectPostgres } from '../../runtime/postgres-client.ts'

/** `BASE_BACKUP` with its options in parentheses, and archives that say their names. */
const OLDEST_SERVER = 150_000
/** What the chunks of a base backup begin with. https://www.postgresql.org/docs/18/protocol-replication.html */
const NEW_ARCHIVE = 0x6e
const DATA = 0x64
/** No slot is free: the backup goes without, and is tried again should the server have thrown its log away meanwhile. */
const NO_SLOT_FREE = '53400'

export type ServerFacts = { identity: string; versionNum: number; dataDirectory: string }

/** Opens a connection that may ask for backups and run SQL. `all` rules of `pg_hba.conf` admit it: it names a database. */
export function connectForBackup(config: pg.ClientConfig): Promise<pg.Client> {
  return connectPostgres({
    ...config,
    application_name: 'aerodb-backup',
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    replication: 'database',
  })
}

/** Which server it is (its system identifier), what it runs, and where its data lies. @throws when it is too old. */
export async function readServerFacts(client: pg.Client): Promise<ServerFacts> {
  const identified = await client.query<{ systemid: string }>('IDENTIFY_SYSTEM')
  const shown = await client.query<{ version_num: string; data_directory: string }>(
    `select current_setting('server_version_num') as version_num, current_setting('data_directory') as data_directory`,
  )
  const facts = {
    identity: identified.rows[0]?.systemid ?? '',
    versionNum: Number(shown.rows[0]?.version_num),
    dataDirectory: shown.rows[0]?.data_directory ?? '',
  }
  if (facts.versionNum < OLDEST_SERVER) throw new Error('The server is older than PostgreSQL 15')
  return facts
}

/**
 * Copies a whole server while it serves, as one tar archive with the write-ahead log in it that makes it consistent: what
 * was committed before this call is there when a server is started on it. The server checks its pages as it reads them.
 * @param client from `connectForBackup`, as superuser or a role with REPLICATION; used for nothing else until the stream ends.
 */
export async function streamBaseBackup(client: pg.Client): Promise<Readable> {
  const slot = `aerodb_backup_${randomBytes(6).toString('hex')}`
  try {
    // Gone with the connection; until then no log is thrown away that the copy needs.
    await client.query(`CREATE_REPLICATION_SLOT ${slot} TEMPORARY PHYSICAL (RESERVE_WAL)`)
  } catch (fault) {
    if ((fault as pg.DatabaseError).code !== NO_SLOT_FREE) throw fault
  }
  const output = new PassThrough({ highWaterMark: 1_048_576 })
  client.query(new BaseBackup(output))
  client.once(
    'end',
    () => output.destroyed || output.writableEnded || output.destroy(new Error('The server went away')),
  )
  return output
}

/** The part of pg's connection that holds the server back. */
type Wire = { query(text: string): void; stream: { pause(): void; resume(): void; destroy(): void } }

/** The command as a query of pg's: results before and after the copy are not looked at. */
class BaseBackup {
  readonly #output: PassThrough
  #archives = 0

  constructor(output: PassThrough) {
    this.#output = output
  }

  submit(connection: pg.Connection): void {
    const wire = connection as unknown as Wire
    this.#output.on('drain', () => wire.stream.resume())
    this.#output.once('close', () => this.#output.writableFinished || wire.stream.destroy())
    wire.query(`BASE_BACKUP (LABEL 'aerodb', CHECKPOINT 'fast', WAL true, MANIFEST 'no')`)
  }

  handleCopyData({ chunk }: { chunk: Buffer }, connection: Wire): void {
    if (chunk[0] === NEW_ARCHIVE && ++this.#archives > 1)
      this.#output.destroy(new Error('A server with tablespaces cannot be backed up'))
    // The chunk lies in a buffer that the next ones are read into.
    else if (chunk[0] === DATA && !this.#output.write(Buffer.from(chunk.subarray(1)))) connection.stream.pause()
  }

  handleRowDescription(): void {}
  handleDataRow(): void {}
  handleCommandComplete(): void {}
  handleEmptyQuery(): void {}
  handlePortalSuspended(): void {}

  handleError(fault: Error): void {
    this.#output.destroy(fault)
  }

  handleReadyForQuery(): void {
    if (!this.#output.destroyed) this.#output.end()
  }
}
