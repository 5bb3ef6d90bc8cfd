import pg from 'pg'
import { objectsOfSchema } from '../../runtime/objects-of-schema.ts'
import { Problem } from '../../runtime/problem.ts'
import { type Catalogue, type Relation, TENANT_COLUMN } from '../catalogue/catalogue.ts'
import type { Catalogues } from '../catalogue/catalogues.ts'
import { contextStatement, type Principal } from '../postgres/principal.ts'
import type { Server } from '../postgres/servers.ts'
import type { Statement } from '../postgres/statement.ts'
import type { AlterCollection, Collection, CreateCollection } from './collection.ts'
import { renderAlter, renderCreate, renderDrop, renderRefusalOfRows } from './collection-sql.ts'
import { type RowRules, readPolicy, readRules } from './policies.ts'
import { parseRowRule } from './row-rule.ts'
import { planUndo, type Undoing } from './undo.ts'
import {
  AS_SCHEMA_API,
  listVersionsStatement,
  type NewVersion,
  recordVersionStatements,
  type SchemaVersion,
  versionTableStatements,
} from './versions.ts'

/** How long a change waits for a table that is in use before it gives up, so that it never blocks the tenant's requests. */
const LOCK_TIMEOUT = '3s'

const BEGIN_CHANGE = `select set_config('app.tenant_id', $1, true), set_config('app.role', 'service_role', true), set_config('lock_timeout', '${LOCK_TIMEOUT}', true)`

/** Policies of each table, and the columns that they rest on. */
const POLICIES_OF = `
select coalesce(json_object_agg(name, json_build_object('policies', policies, 'columns', columns)), '{}')::text
from (
  select c.relname as name, json_object_agg(p.polname, obj_description(p.oid, 'pg_policy')) as policies,
    (select coalesce(array_agg(distinct a.attname), '{}') from pg_policy p2
      join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p2.oid
        and d.refclassid = 'pg_class'::regclass and d.refobjid = c.oid and d.refobjsubid > 0
      join pg_attribute a on a.attrelid = c.oid and a.attnum = d.refobjsubid
      where p2.polrelid = c.oid and a.attname <> '${TENANT_COLUMN}') as columns
  from pg_class c
  join pg_policy p on p.polrelid = c.oid
  where c.oid = any ${objectsOfSchema('pg_class')}
  group by c.oid, c.relname
) t`

/** By table: its policies with their comments, and the columns that they rest on. */
type PolicyFacts = Readonly<Record<string, { policies: Record<string, string | null>; columns: string[] }>>

/** The collections of one tenant: read from the live catalogue, changed in one transaction each as the schema's owner. */
export class Collections {
  readonly #catalogues: Catalogues
  readonly #server: Server
  readonly #principal: Principal

  constructor(catalogues: Catalogues, server: Server, principal: Principal) {
    this.#catalogues = catalogues
    this.#server = server
    this.#principal = principal
  }

  async list(): Promise<readonly Collection[]> {
    const [catalogue, facts] = await Promise.all([this.#catalogue(), this.#policies()])
    return [...catalogue.relations.values()]
      .filter((relation) => relation.kind === 'table')
      .map((relation) => describe(catalogue, relation, facts))
  }

  /** @throws Problem 404 `collection_not_found`. */
  async get(name: string): Promise<Collection> {
    const [catalogue, facts] = await Promise.all([this.#catalogue(), this.#policies()])
    const relation = catalogue.relations.get(name)
    if (relation === undefined || relation.kind !== 'table') throw notFound(name)
    return describe(catalogue, relation, facts)
  }

  /** @throws Problem 409 `collection_exists`, 400 `schema_change_refused`, 503 `schema_busy`. */
  async create(collection: CreateCollection, request: unknown): Promise<Collection> {
    const { name } = collection
    await this.#change(renderCreate(this.#schema, collection), { collection: name, action: 'create', change: request })
    return this.get(name)
  }

  async alter(name: string, change: AlterCollection, request: unknown): Promise<Collection> {
    const before = await this.get(name)
    const texts = renderAlter(this.#schema, name, change, rulesOf(before))
    await this.#change(texts, { collection: name, action: 'alter', change: request, before })
    return this.get(name)
  }

  async drop(name: string): Promise<void> {
    const before = await this.get(name)
    await this.#change(renderDrop(this.#schema, name), { collection: name, action: 'drop', before })
  }

  /** The changes of all collections or one, the newest first; @param before a version. */
  async listVersions(page: {
    collection?: string | undefined
    before?: number | undefined
    limit: number
  }): Promise<readonly SchemaVersion[]> {
    const statements = [contextStatement(this.#principal), AS_SCHEMA_API, listVersionsStatement(this.#schema, page)]
    try {
      const outcome = await this.#server.requests.run(this.#principal.tenantId, statements)
      return JSON.parse(outcome.rows[0]?.[0] ?? '[]') as SchemaVersion[]
    } catch (fault) {
      if (hasNoVersions(fault)) return []
      throw fault
    }
  }

  /**
   * Takes the latest change of a collection back that has not been.
   * @returns the collection as it is then; `null` when it was made by that change.
   * @throws Problem 404 `version_not_found`, 409 `version_not_latest`, `version_not_undoable`, `collection_not_empty`, and what a
   * change can meet.
   */
  async undo(number: number): Promise<Collection | null> {
    const [version] = await this.listVersions({ before: number + 1, limit: 1 })
    if (version?.version !== number)
      throw new Problem(404, 'version_not_found', { detail: 'There is no such version.' })
    const { collection } = version
    const undoing = planUndo(version)
    const later = await this.listVersions({ collection, limit: 1_000 })
    const latest = later.find((one) => one.action !== 'undo' && one.undone_by === null)
    if (latest?.version !== number)
      throw new Problem(409, 'version_not_latest', {
        detail: `The latest change of "${collection}" that is not undone is ${latest?.version ?? 'none'}.`,
      })
    await this.#change(await this.#renderUndo(collection, undoing), { collection, action: 'undo', undoes: number })
    return undoing.kind === 'drop' ? null : this.get(collection)
  }

  async #renderUndo(name: string, undoing: Undoing): Promise<readonly string[]> {
    if (undoing.kind === 'create') return renderCreate(this.#schema, undoing.collection)
    if (undoing.kind === 'drop') return [renderRefusalOfRows(this.#schema, name), ...renderDrop(this.#schema, name)]
    const rules = rulesOf(await this.get(name))
    return undoing.steps.flatMap((step) => renderAlter(this.#schema, name, step, rules))
  }

  get #schema(): string {
    return this.#principal.schema
  }

  #catalogue(): Promise<Catalogue> {
    return this.#catalogues.getFresh(this.#server, this.#principal)
  }

  async #policies(): Promise<PolicyFacts> {
    const outcome = await this.#server.requests.run(this.#principal.tenantId, [
      contextStatement(this.#principal),
      { text: POLICIES_OF, values: [this.#principal.schema] },
    ])
    return JSON.parse(outcome.rows[0]?.[0] ?? '{}') as PolicyFacts
  }

  /** Makes a change and its version in one transaction; the tenant's first change makes the table of versions first. */
  async #change(texts: readonly string[], version: NewVersion): Promise<void> {
    const { schema, tenantId } = this.#principal
    const begin: Statement = { text: BEGIN_CHANGE, values: [tenantId] }
    const statements = [
      begin,
      AS_SCHEMA_API,
      ...texts.map((text) => ({ text, values: [] })),
      ...recordVersionStatements(schema, version),
    ]
    try {
      await this.#server.ddl.run(tenantId, statements).catch(async (fault) => {
        if (!hasNoVersions(fault)) throw fault
        await this.#server.ddl.run(tenantId, [begin, ...versionTableStatements(schema)]).catch((refusal) => {
          if (!(refusal instanceof pg.DatabaseError && MADE_BY_ANOTHER.has(refusal.code ?? ''))) throw refusal
        })
        await this.#server.ddl.run(tenantId, statements)
      })
    } catch (fault) {
      throw fault instanceof pg.DatabaseError ? asChangeProblem(fault, version.collection, schema) : fault
    } finally {
      this.#catalogues.drop(this.#server.name, schema)
    }
  }
}

function describe(catalogue: Catalogue, relation: Relation, facts: PolicyFacts): Collection {
  const fact = facts[relation.name]
  const isUnique = (name: string) => relation.uniques.some((columns) => columns.length === 1 && columns[0] === name)
  const reference = (name: string) => {
    const key = catalogue.foreignKeys.find(
      (candidate) =>
        candidate.table === relation.name && candidate.columns.length === 1 && candidate.columns[0] === name,
    )
    return key === undefined ? null : `${key.referencedTable}.${key.referencedColumns[0]}`
  }
  return {
    name: relation.name,
    columns: [...relation.columns.values()].map((column) => ({
      name: column.name,
      type: column.type,
      nullable: column.nullable,
      default: column.defaultText,
      unique: isUnique(column.name),
      references: reference(column.name),
    })),
    primary_key: [...relation.primaryKey],
    rls: describeRowSecurity(fact),
  }
}

function describeRowSecurity(fact: PolicyFacts[string] | undefined): Collection['rls'] {
  const policy = readPolicy(Object.keys(fact?.policies ?? {})) ?? null
  if (policy === 'custom') return { policy, owner_column: null, rules: readRules(fact?.policies ?? {}) }
  return { policy, owner_column: fact?.columns[0] ?? null }
}

function rulesOf({ rls }: Collection): RowRules {
  return Object.fromEntries(Object.entries(rls.rules ?? {}).map(([command, text]) => [command, parseRowRule(text)]))
}

/** The tenant has had no change yet (or another of its tables is missing, which a second try tells). */
function hasNoVersions(fault: unknown): boolean {
  return fault instanceof pg.DatabaseError && fault.code === '42P01'
}

/** SQLSTATEs of making what is there: two first changes at once. */
const MADE_BY_ANOTHER: ReadonlySet<string> = new Set(['23505', '42P07', '42710', 'XX000'])

function notFound(name: string): Problem {
  return new Problem(404, 'collection_not_found', { detail: `There is no collection "${name}".` })
}

/** What Postgres said to a schema change, in our terms. */
function asChangeProblem(fault: pg.DatabaseError, name: string, schema: string): Problem {
  const detail = fault.message.replaceAll(`"${schema}".`, '').replaceAll(`${schema}.`, '').replaceAll(schema, 'public')
  switch (fault.code) {
    case '42P07':
      return new Problem(409, 'collection_exists', { detail: `A collection "${name}" exists already.` })
    case '22012':
      return new Problem(409, 'collection_not_empty', {
        detail: 'To undo this would delete the rows of the collection. Delete the collection to do so.',
      })
    case '42701':
      return new Problem(409, 'column_exists', { detail })
    case '2BP01':
      return new Problem(409, 'collection_in_use', { detail: 'Another collection or a rule of a policy refers to it.' })
    case '55P03':
    case '57014':
      return new Problem(503, 'schema_busy', {
        detail: 'The collection is in use at the moment. Try again.',
        headers: { 'Retry-After': '1' },
      })
    default:
      if (fault.code === undefined || !/^(?:0A|22|23|42|54)/.test(fault.code))
        return new Problem(500, 'internal', { cause: fault })
      return new Problem(fault.code.startsWith('23') ? 409 : 400, 'schema_change_refused', { detail })
  }
}
