import { readFile } from 'node:fs/promises'
import { CONTEXT_HEADER } from '../../tenancy/request-context.ts'
import { PostgrestServer } from './postgrest-server.ts'
import { TenantDatabase, type TestTenant } from './tenant-database.ts'
import { signContext, TestBackend } from './test-backend.ts'

export type OracleRequest = { method?: string; path: string; headers?: Record<string, string>; body?: string }

/** What is compared of a response. */
export type Seen = {
  status: number
  contentType: string | null
  contentRange: string | null
  location: string | null
  contentLocation: string | null
  applied: string | null
  allow: string | null
  body: unknown
}

const MAX_ROWS = 1_000

/** The backend and a real PostgREST over the same schema and rows. Its tables are plain: no tenant column, no policies. */
export class Oracle {
  readonly database: TenantDatabase
  readonly backend: TestBackend
  readonly postgrest: PostgrestServer
  readonly tenant: TestTenant
  readonly #rows: string

  private constructor(
    database: TenantDatabase,
    backend: TestBackend,
    postgrest: PostgrestServer,
    tenant: TestTenant,
    rows: string,
  ) {
    this.database = database
    this.backend = backend
    this.postgrest = postgrest
    this.tenant = tenant
    this.#rows = rows
  }

  static async start(): Promise<Oracle> {
    const database = await TenantDatabase.create()
    const tenant = await database.addTenant()
    const folder = new URL('../oracle/', import.meta.url)
    const [tables, rows] = await Promise.all(
      ['library.sql', 'library-rows.sql'].map((file) => readFile(new URL(file, folder), 'utf8')),
    )
    const path = `set search_path = ${tenant.schema}`
    await database.asOwner(`${path}; ${tables}; set search_path = ''`)
    await database.asAdmin(`alter event trigger aerodb_ddl disable; do $$ declare r record; begin
      for r in select oid::regclass as t from pg_class where relnamespace = '${tenant.schema}'::regnamespace and relkind = 'r' loop
        execute format('alter table %s no force row level security, disable row level security', r.t);
      end loop; end $$`)
    const backend = await TestBackend.start([database.record], {
      AERODB_BACKEND_MAX_ROWS: String(MAX_ROWS),
      AERODB_BACKEND_PLANS: 'true',
      AERODB_BACKEND_TX_OVERRIDE: 'true',
    })
    const postgrest = await PostgrestServer.start({
      databaseUrl: database.url,
      schema: tenant.schema,
      role: tenant.schema,
      maxRows: MAX_ROWS,
    })
    const oracle = new Oracle(database, backend, postgrest, tenant, `${path}; ${rows}; set search_path = ''`)
    await oracle.reset()
    return oracle
  }

  async stop(): Promise<void> {
    await this.postgrest.stop()
    await this.backend.stop()
    await this.database.drop()
  }

  /** Puts the rows back as they were. */
  async reset(): Promise<void> {
    await this.database.asAdmin(this.#rows)
  }

  /** Sends the same request to both, each on the same rows. */
  async ask(request: OracleRequest): Promise<{ ours: Seen; theirs: Seen }> {
    const isRead = ['GET', 'HEAD', 'OPTIONS'].includes(request.method ?? 'GET')
    const ours = await this.#see(`${this.backend.url}/rest/v1`, request, {
      [CONTEXT_HEADER]: signContext(this.tenant, { role: 'anon', isolation: 'database' }),
    })
    if (!isRead) await this.reset()
    const theirs = await this.#see(this.postgrest.url, request, {})
    if (!isRead) await this.reset()
    return { ours, theirs }
  }

  /** Sends a read to the backend only. */
  async askOurs(request: OracleRequest): Promise<Seen> {
    const context = signContext(this.tenant, { role: 'anon', isolation: 'database' })
    return this.#see(`${this.backend.url}/rest/v1`, request, { [CONTEXT_HEADER]: context })
  }

  async #see(base: string, request: OracleRequest, headers: Record<string, string>): Promise<Seen> {
    const response = await fetch(`${base}${request.path}`, {
      method: request.method ?? 'GET',
      headers: { ...headers, ...request.headers },
      ...(request.body === undefined ? {} : { body: request.body }),
    })
    const text = (await response.text()).replaceAll(this.tenant.schema, 'public')
    return {
      status: response.status,
      contentType: response.headers.get('content-type'),
      contentRange: response.headers.get('content-range'),
      location: response.headers.get('location'),
      contentLocation: response.headers.get('content-location'),
      applied: response.headers.get('preference-applied'),
      allow: response.headers.get('allow'),
      // Plans have costs in them that no two statements share.
      body: response.headers.get('content-type')?.includes('pgrst.plan') ? '' : parse(text),
    }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}
