import { RestError } from '../rest-error.ts'
import { type PlanMediaType, planMediaType } from './plan-media-type.ts'

/** What a body is written as. */
export type MediaType =
  | PlanMediaType
  | { kind: 'json'; stripNulls: boolean; contentType: string }
  | { kind: 'object'; stripNulls: boolean; contentType: string }
  | { kind: 'csv'; contentType: string }
  | { kind: 'openapi'; contentType: string }

export const JSON_TYPE: MediaType = { kind: 'json', stripNulls: false, contentType: 'application/json; charset=utf-8' }

/** Reads `Accept` (RFC 9110 12.5.1); plans are for those who allow them. @throws RestError PGRST107 when nothing in it can be made. */
export function parseAccept(header: string | undefined, allowsPlans = false): MediaType {
  if (header === undefined || header === '' || header === '*/*' || header === 'application/json') return JSON_TYPE
  const ranges = header
    .split(',')
    .map((part, order) => {
      const [type = '', ...parameters] = part.split(';').map((text) => text.trim().toLowerCase())
      const quality = Number(parameters.find((text) => text.startsWith('q='))?.slice(2) ?? 1)
      return { type, parameters, quality: Number.isNaN(quality) ? 1 : quality, order }
    })
    .filter((range) => range.quality > 0)
    .sort((a, b) => b.quality - a.quality || a.order - b.order)
  for (const { type, parameters } of ranges) {
    const stripNulls = parameters.includes('nulls=stripped')
    const suffix = stripNulls ? ';nulls=stripped' : ''
    switch (type) {
      case '*/*':
      case 'application/*':
      case 'application/json':
        return JSON_TYPE
      case 'application/vnd.pgrst.array+json':
      case 'application/vnd.pgrst.array':
        return {
          kind: 'json',
          stripNulls,
          contentType: `${stripNulls ? 'application/vnd.pgrst.array+json' : 'application/json'}${suffix}; charset=utf-8`,
        }
      case 'application/vnd.pgrst.object+json':
      case 'application/vnd.pgrst.object':
        return { kind: 'object', stripNulls, contentType: `application/vnd.pgrst.object+json${suffix}; charset=utf-8` }
      case 'text/csv':
        return { kind: 'csv', contentType: 'text/csv; charset=utf-8' }
      case 'application/vnd.pgrst.plan':
      case 'application/vnd.pgrst.plan+text':
      case 'application/vnd.pgrst.plan+json': {
        const plan = allowsPlans ? planMediaType(type, parameters, parseAccept) : undefined
        if (plan === undefined) break
        return plan
      }
      case 'application/openapi+json':
        return { kind: 'openapi', contentType: 'application/openapi+json; charset=utf-8' }
    }
  }
  throw new RestError(406, 'PGRST107', `None of these media types are available: ${header}`)
}
