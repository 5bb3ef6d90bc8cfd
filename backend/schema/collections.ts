import pg from 'pg'
import { Problem } from '../../runtime/problem.ts'
import { type Catalogue, type Relation, TENANT_COLUMN } from '../catalogue/catalogue.ts'
import type { Catalogues } from '../catalogue/catalogues.ts'
import { contextStatement, type Principal } from '../postgres/principal.ts'
import type { Server } from '../postgres/servers.ts'
import type { Statement } from '../postgres/statement.ts'
import type { AlterCollection, Collection, CreateCollection } from './collection.ts'
import { renderAlter, renderCreate, renderDrop } from './collection-sql.ts'
import { type RowRules, type RuledCommand, readPolicy, readRules } from './policies.ts'
import { parseRowRule } from './row-rule.ts'

/** How long a change waits for a table that is in use before it gives up, so that it never blocks the tenant's requests. */
const LOCK_TIMEOUT = '3s'

const BEGIN_CHANGE = `select set_config('app.tenant_id', $1, true), set_config('lock_timeout', '${LOCK_TIMEOUT}', true)`

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
  join pg_namespace n on n.oid = c.relnamespace and n.nspname = $1
  join pg_policy p on p.polrelid = c.oid
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
  async create(collection: CreateCollection): Promise<Collection> {
    await this.#change(collection.name, renderCreate(this.#principal.schema, collection))
    return this.get(collection.name)
  }

  async alter(name: string, change: AlterCollection): Promise<Collection> {
    const { rls } = await this.get(name)
    await this.#change(name, renderAlter(this.#principal.schema, name, change, parseRules(rls.rules ?? {})))
    return this.get(name)
  }

  async drop(name: string): Promise<void> {
    await this.get(name)
    await this.#change(name, renderDrop(this.#principal.schema, name))
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

  async #change(name: string, texts: readonly string[]): Promise<void> {
    const { schema, tenantId } = this.#principal
    const statements: Statement[] = [
      { text: BEGIN_CHANGE, values: [tenantId] },
      ...texts.map((text) => ({ text, values: [] })),
    ]
    try {
      await this.#server.ddl.run(tenantId, statements)
    } catch (fault) {
      throw fault instanceof pg.DatabaseError ? asChangeProblem(fault, name, schema) : fault
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

function parseRules(texts: Readonly<Partial<Record<RuledCommand, string>>>): RowRules {
  return Object.fromEntries(Object.entries(texts).map(([command, text]) => [command, parseRowRule(text)]))
}

function notFound(name: string): Problem {
  return new Problem(404, 'collection_not_found', { detail: `There is no collection "${name}".` })
}

/** What Postgres said to a schema change, in our terms. */
function asChangeProblem(fault: pg.DatabaseError, name: string, schema: string): Problem {
  const detail = fault.message.replaceAll(`"${schema}".`, '').replaceAll(`${schema}.`, '').replaceAll(schema, 'public')
  switch (fault.code) {
    case '42P07':
      return new Problem(409, 'collection_exists', { detail: `A collection "${name}" exists already.` })
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
