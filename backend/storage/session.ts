import type { RequestContext, TenantRole } from '../../tenancy/request-context.ts'
import type { Principal } from '../postgres/principal.ts'
import type { Outcome, Statement } from '../postgres/statement.ts'
import { sqlState } from './errors.ts'
import { type StorageTables, storageTableStatements, storageTables } from './tables.ts'

/** Runs statements of a tenant on a database server; `database.ts` is the real one. */
export type StatementExecutor = {
  /** One transaction on behalf of `principal`; gives what its last statement gave. */
  run(server: string, principal: Principal, statements: readonly Statement[]): Promise<Outcome>
  /** One transaction as the owner of the tenant's schema. */
  define(server: string, principal: Principal, statements: readonly Statement[]): Promise<void>
}

/**
 * Opens the storage tables for the transaction (their own wall, see `tables.ts`), and lets no name in it be found in a tenant's
 * schema, where a tenant with SQL of its own could have made a function of that name.
 */
const AS_STORAGE: Statement = {
  text: `select set_config('app.service', 'storage', true), set_config('search_path', '', true)`,
  values: [],
}

/** SQLSTATEs that say: the tables are not there, or not as this release knows them. */
const TABLES_MISSING = new Set(['42P01', '42703'])

/** One caller at one tenant's storage tables. */
export class StorageSession {
  readonly principal: Principal
  readonly server: string
  readonly tables: StorageTables
  /** The `sub` of the caller's JWT: who owns what it uploads. */
  readonly subject: string | null
  readonly #executor: StatementExecutor

  constructor(executor: StatementExecutor, server: string, principal: Principal, subject: string | null) {
    this.#executor = executor
    this.server = server
    this.principal = principal
    this.subject = subject
    this.tables = storageTables(principal.schema)
  }

  get tenantId(): string {
    return this.principal.tenantId
  }

  get role(): TenantRole {
    return this.principal.role
  }

  /** The same tenant for another caller of it, whose rights a verified token has carried on. */
  actAs(role: TenantRole, subject: string | null): StorageSession {
    const claims = JSON.stringify({ role, ...(subject === null ? {} : { sub: subject }) })
    return new StorageSession(this.#executor, this.server, { ...this.principal, role, claims }, subject)
  }

  /**
   * The same tenant with all rights within it, for what the caller's own rights do not decide: a verified download token, a
   * public bucket, and our own bookkeeping.
   */
  asService(): StorageSession {
    return this.actAs('service_role', null)
  }

  /**
   * Runs `statements` as one transaction and reads the single JSON value that the last one gives; `undefined` for no row, and
   * when the tenant has no storage tables yet.
   */
  async ask<Result>(...statements: readonly Statement[]): Promise<Result | undefined> {
    const run = () => this.#executor.run(this.server, this.principal, [AS_STORAGE, ...statements])
    try {
      return readJson<Result>(await run())
    } catch (fault) {
      if (!TABLES_MISSING.has(sqlState(fault) ?? '')) throw fault
      if (sqlState(fault) === '42P01') return undefined
      await this.defineTables()
      return readJson<Result>(await run())
    }
  }

  /** Makes the tenant's storage tables, or brings them up to date. */
  async defineTables(): Promise<void> {
    await this.#executor.define(this.server, this.principal, storageTableStatements(this.principal.schema))
  }
}

/** The `sub` claim of a verified context, where there is one. */
export function subjectOf(context: RequestContext): string | null {
  const subject = context.claims?.sub
  return typeof subject === 'string' ? subject : null
}

function readJson<Result>(outcome: Outcome): Result | undefined {
  const text = outcome.rows[0]?.[0]
  return text === null || text === undefined ? undefined : (JSON.parse(text) as Result)
}
