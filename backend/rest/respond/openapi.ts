import type { Catalogue, Column, Relation } from '../../catalogue/catalogue.ts'

type Json = Readonly<Record<string, unknown>>

const METHODS_WITH_FILTERS = ['get', 'patch', 'delete'] as const

/** The OpenAPI 2.0 document of a tenant's rows and functions, in the shape that PostgREST gives at its root. */
export function describeApi(catalogue: Catalogue): Json {
  const relations = [...catalogue.relations.values()]
  const paths: Record<string, Json> = {
    '/': { get: { tags: ['Introspection'], summary: 'OpenAPI description (this document)', responses: ok() } },
  }
  for (const relation of relations) paths[`/${relation.name}`] = relationPath(catalogue, relation)
  for (const [name, [first]] of catalogue.functions)
    paths[`/rpc/${name}`] = {
      post: {
        tags: [`(rpc) ${name}`],
        ...(first?.comment == null ? {} : { summary: first.comment }),
        parameters: [
          {
            name: 'args',
            in: 'body',
            required: true,
            schema: {
              type: 'object',
              required:
                first?.arguments.filter((argument) => !argument.hasDefault).map((argument) => argument.name) ?? [],
              properties: Object.fromEntries(
                first?.arguments.map((argument) => [
                  argument.name,
                  { ...typeOf(argument.type), format: publicName(catalogue, argument.type) },
                ]) ?? [],
              ),
            },
          },
        ],
        responses: ok(),
      },
    }
  return {
    swagger: '2.0',
    info: { title: 'AeroDB tenant API', description: 'Speaks the grammar of PostgREST', version: '12.0.2' },
    basePath: '/rest/v1',
    schemes: ['https'],
    consumes: ['application/json', 'application/vnd.pgrst.object+json', 'text/csv'],
    produces: ['application/json', 'application/vnd.pgrst.object+json', 'text/csv'],
    paths,
    definitions: Object.fromEntries(relations.map((relation) => [relation.name, definition(catalogue, relation)])),
    parameters: Object.fromEntries(
      ['select', 'order', 'limit', 'offset', 'on_conflict'].map((name) => [
        name,
        { name, in: 'query', required: false, type: 'string' },
      ]),
    ),
  }
}

function relationPath(catalogue: Catalogue, relation: Relation): Json {
  const parameters = (names: readonly string[]) => names.map((name) => ({ $ref: `#/parameters/${name}` }))
  const filters = [...relation.columns.values()].map((column) => ({
    name: column.name,
    in: 'query',
    required: false,
    type: 'string',
    format: publicName(catalogue, column.type),
  }))
  const body = { name: relation.name, in: 'body', required: false, schema: { $ref: `#/definitions/${relation.name}` } }
  const allowed = { get: true, patch: relation.updatable, delete: relation.deletable }
  const path: Record<string, Json> = {}
  for (const method of METHODS_WITH_FILTERS) {
    if (!allowed[method]) continue
    const own = method === 'get' ? parameters(['select', 'order', 'limit', 'offset']) : method === 'patch' ? [body] : []
    path[method] = { tags: [relation.name], parameters: [...filters, ...own], responses: ok() }
  }
  if (relation.insertable)
    path.post = { tags: [relation.name], parameters: [body, ...parameters(['select', 'on_conflict'])], responses: ok() }
  return path
}

function definition(catalogue: Catalogue, relation: Relation): Json {
  const required = [...relation.columns.values()].filter((column) => !column.nullable)
  return {
    type: 'object',
    ...(relation.comment === null ? {} : { description: relation.comment }),
    ...(required.length === 0 ? {} : { required: required.map((column) => column.name) }),
    properties: Object.fromEntries(
      [...relation.columns.values()].map((column) => [column.name, property(catalogue, relation, column)]),
    ),
  }
}

function property(catalogue: Catalogue, relation: Relation, column: Column): Json {
  const notes: string[] = []
  if (column.comment !== null) notes.push(column.comment)
  if (relation.primaryKey.includes(column.name)) notes.push('Note:\nThis is a Primary Key.<pk/>')
  const key = catalogue.foreignKeys.find(
    (candidate) =>
      candidate.table === relation.name && candidate.columns.length === 1 && candidate.columns[0] === column.name,
  )
  if (key !== undefined)
    notes.push(
      `Note:\nThis is a Foreign Key to \`${key.referencedTable}.${key.referencedColumns[0]}\`.<fk table='${key.referencedTable}' column='${key.referencedColumns[0]}'/>`,
    )
  return {
    format: publicName(catalogue, column.type),
    ...typeOf(column.type),
    ...(notes.length === 0 ? {} : { description: notes.join('\n\n') }),
  }
}

/** A type's name without the schema's, which is ours. */
function publicName(catalogue: Catalogue, type: string): string {
  return type.replaceAll(`${catalogue.schema}.`, '')
}

/** The JSON type of a Postgres type. */
function typeOf(type: string): Json {
  if (type.endsWith('[]')) return { type: 'array', items: typeOf(type.slice(0, -2)) }
  if (/^(?:smallint|integer|bigint)$/.test(type)) return { type: 'integer' }
  if (/^(?:numeric|real|double precision)/.test(type)) return { type: 'number' }
  if (type === 'boolean') return { type: 'boolean' }
  return /^jsonb?$/.test(type) ? {} : { type: 'string' }
}

function ok(): Json {
  return { 200: { description: 'OK' } }
}
