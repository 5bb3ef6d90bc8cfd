import { LRUCache } from 'lru-cache'
import type { Catalogue } from '../catalogue/catalogue.ts'
import type { Statement } from '../postgres/statement.ts'
import { plainFilterPrefix } from './grammar/plain-filter.ts'
import type { RequestPlan } from './plan/plan-request.ts'
import type { RawRequest, RestRequest } from './request/rest-request.ts'
import type { RenderedStatement } from './sql/render-request.ts'

/** Shapes that are remembered, over all tenants. */
const MAX_TEMPLATES = 10_000
const MAX_KEY_LENGTH = 2_000

/** A read without the values of its plain filters: what parsing, planning and rendering depend on. */
export type ReadShape = {
  key: string
  parameters: readonly (readonly [string, string])[]
  /** By parameter: the value of a plain filter. */
  values: readonly (string | undefined)[]
}

export type ReadTemplate = {
  request: RestRequest
  plan: Extract<RequestPlan, { kind: 'read' }>
  statement: RenderedStatement
}

/** The shape of a read of one relation; `undefined` for anything else. */
export function readShape(raw: RawRequest, parameters: readonly (readonly [string, string])[]): ReadShape | undefined {
  if (raw.method !== 'GET' && raw.method !== 'HEAD') return undefined
  const { accept = '', prefer = '', range = '' } = raw.headers
  const profile = raw.headers['accept-profile'] ?? ''
  let key = `${raw.method} ${raw.path}\n${accept}\n${prefer}\n${range}\n${profile}`
  const values: (string | undefined)[] = []
  for (const [name, value] of parameters) {
    const prefix = plainFilterPrefix(name, value)
    values.push(prefix === undefined ? undefined : value.slice(prefix.length))
    // A length in front keeps one parameter's text from passing for the beginning of another.
    key +=
      prefix === undefined
        ? `\n=${name.length}:${name}=${value.length}:${value}`
        : `\n~${name.length}:${name}=${prefix}`
  }
  return key.length > MAX_KEY_LENGTH ? undefined : { key, parameters, values }
}

/**
 * Reads that were planned before, by catalogue and shape: the next one of the same shape skips the grammar, the planner and
 * the renderer, and only its own values are bound. A new catalogue has templates of its own; the old one's age out.
 */
export class ReadTemplates {
  readonly #templates = new LRUCache<string, ReadTemplate>({ max: MAX_TEMPLATES })

  find(catalogue: Catalogue, shape: ReadShape): ReadTemplate | undefined {
    return this.#templates.get(`${catalogue.id}\n${shape.key}`)
  }

  keep(catalogue: Catalogue, shape: ReadShape, template: ReadTemplate): void {
    this.#templates.set(`${catalogue.id}\n${shape.key}`, template)
  }
}

/** The template's statement with the shape's values in their places. */
export function fill({ statement }: ReadTemplate, shape: ReadShape): Statement {
  const values = [...statement.values]
  for (const { at, parameter } of statement.slots) values[at] = shape.values[parameter] ?? null
  return { text: statement.text, values }
}
