import { Hono } from 'hono'
import { z } from 'zod'
import { type FieldError, Problem } from '../../runtime/problem.ts'
import type { Caller, TenantVariables } from '../request-contexts.ts'
import { alterCollectionSchema, collectionName, createCollectionSchema } from './collection.ts'
import type { Collections } from './collections.ts'

/** `/schema/v1/collections` and their versions: for the service role of a tenant only. */
export function schemaApi(collectionsOf: (caller: Caller) => Promise<Collections>) {
  const app = new Hono<{ Variables: TenantVariables }>()
  app.use(async (c, next) => {
    if (c.get('caller').context.role !== 'service_role')
      throw new Problem(403, 'service_role_required', { detail: 'Collections are managed with a service key.' })
    await next()
  })
  app.post('/collections', async (c) => {
    const body = await readJson(c.req)
    const input = parse(createCollectionSchema, body)
    const collection = await (await collectionsOf(c.get('caller'))).create(input, body)
    c.header('Location', `/schema/v1/collections/${encodeURIComponent(collection.name)}`)
    return c.json(collection, 201)
  })
  app.get('/collections', async (c) => {
    const data = await (await collectionsOf(c.get('caller'))).list()
    return c.json({ data, next_cursor: null })
  })
  app.get('/collections/:name', async (c) => {
    const name = parseName(c.req.param('name'))
    return c.json(await (await collectionsOf(c.get('caller'))).get(name))
  })
  app.patch('/collections/:name', async (c) => {
    const name = parseName(c.req.param('name'))
    const body = await readJson(c.req)
    const change = parse(alterCollectionSchema, body)
    return c.json(await (await collectionsOf(c.get('caller'))).alter(name, change, body))
  })
  app.delete('/collections/:name', async (c) => {
    const name = parseName(c.req.param('name'))
    await (await collectionsOf(c.get('caller'))).drop(name)
    return c.body(null, 204)
  })
  app.get('/versions', async (c) => {
    const { collection, cursor, limit } = parse(versionPage, c.req.query())
    const collections = await collectionsOf(c.get('caller'))
    const data = await collections.listVersions({ collection, before: cursor, limit })
    return c.json({ data, next_cursor: data.length < limit ? null : String(data.at(-1)?.version) })
  })
  app.post('/versions/:version/undo', async (c) => {
    const version = versionNumber.safeParse(c.req.param('version'))
    if (!version.success) throw new Problem(404, 'version_not_found', { detail: 'There is no such version.' })
    return c.json({ collection: await (await collectionsOf(c.get('caller'))).undo(version.data) })
  })
  return app
}

const versionNumber = z
  .string()
  .regex(/^[1-9]\d{0,14}$/, 'must be a version')
  .transform(Number)
const versionPage = z.strictObject({
  collection: collectionName.optional(),
  cursor: versionNumber.optional(),
  limit: z.coerce.number().int().min(1).max(100).default(50),
})

async function readJson(request: { json(): Promise<unknown> }): Promise<unknown> {
  try {
    return await request.json()
  } catch {
    throw new Problem(400, 'invalid_json', { detail: 'The body must be JSON.' })
  }
}

function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input)
  if (result.success) return result.data
  const errors = result.error.issues.map(
    (issue): FieldError => ({ path: issue.path.join('.'), message: issue.message }),
  )
  throw new Problem(400, 'validation_failed', { detail: 'The request is not valid.', errors })
}

/** A name that no collection can have names none. */
function parseName(name: string): string {
  if (collectionName.safeParse(name).success) return name
  throw new Problem(404, 'collection_not_found', { detail: 'There is no such collection.' })
}
