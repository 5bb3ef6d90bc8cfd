import type { Hook } from '@hono/zod-openapi'
import { HTTPException } from 'hono/http-exception'
import { Problem } from '../../runtime/problem.ts'
import type { AppEnv } from './environment.ts'

/** Turns what a schema refuses into a 400 `validation_failed` that names every violated rule. */
// biome-ignore lint/suspicious/noExplicitAny: the hook takes the input of any route; that is the library's own type for it
export const validationHook: Hook<any, AppEnv, any, any> = (result) => {
  if (result.success) return
  throw new Problem(400, 'validation_failed', {
    detail: 'The request breaks the rules that `errors` names.',
    errors: result.error.issues.flatMap((issue) => {
      const path = issue.path.map(String).join('.')
      if (issue.code === 'unrecognized_keys')
        return issue.keys.map((key) => ({
          path: path === '' ? key : `${path}.${key}`,
          message: 'is not a known member',
        }))
      return [{ path, message: issue.message }]
    }),
  })
}

/** What Hono's own parts throw, as a problem of ours: malformed JSON, a body that is no JSON, one that is too large. */
export function problemOfHttpException(fault: unknown): unknown {
  if (!(fault instanceof HTTPException)) return fault
  switch (fault.status) {
    case 400:
      return new Problem(400, 'malformed_json', { detail: 'The body is not valid JSON.' })
    case 413:
      return new Problem(413, 'body_too_large', { detail: 'The body is too large.' })
    case 415:
      return new Problem(415, 'unsupported_media_type', { detail: 'The body must be application/json.' })
    default:
      return new Problem(fault.status, 'refused', { detail: 'The request was refused.' })
  }
}
