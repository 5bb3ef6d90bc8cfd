import { Hono } from 'hono'
import type { z } from 'zod'
import { type FieldError, Problem } from '../../runtime/problem.ts'
import type { Caller, TenantVariables } from '../request-contexts.ts'
import { alterCollectionSchema, collectionName, createCollectionSchema } from './collection.ts'
import type { Collections } from './collections.ts'

/** `/schema/v1/collections`: for the service role of a tenant only. */
export function schemaApi(collectionsOf: (caller: Caller) => Promise<Collections>) {
  const app = new Hono<{ Variables: TenantVariables }>()
  app.use(async (c, next) => {
    if (c.get('caller').context.role !== 'service_role')
      throw new Problem(403, 'service_role_required', { detail: 'Collections are managed with a service key.' })
    await next()
  })
  app.post('/collections', async (c) => {
    const input = parse(createCollectionSchema, await readJson(c.req))
    const collection = await (await collectionsOf(c.get('caller'))).create(input)
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
    const change = parse(alterCollectionSchema, await readJson(c.req))
    return c.json(await (await collectionsOf(c.get('caller'))).alter(name, change))
  })
  app.delete('/collections/:name', async (c) => {
    const name = parseName(c.req.param('name'))
    await (await collectionsOf(c.get('caller'))).drop(name)
    return c.body(null, 204)
  })
  return app
}

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
  throw new Problem(400, 'validation_failed', { detail: 'The body is not valid.', errors })
}

/** A name that no collection can have names none. */
function parseName(name: string): string {
  if (collectionName.safeParse(name).success) return name
  throw new Problem(404, 'collection_not_found', { detail: 'There is no such collection.' })
}
