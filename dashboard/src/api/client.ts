import { makePlatformClient } from '../../../client/platform-client.ts'

export { type Document, PlatformProblem, readProblem, unwrap } from '../../../client/platform-client.ts'

/** The platform API as the signed-in browser calls it. The header tells control that the call comes from a page of its own. */
export const api = makePlatformClient({
  baseUrl: window.location.origin,
  headers: { 'X-CSRF-Protection': '1' },
})

/** The request's id, as support asks for it. */
export function requestIdOf(response: Response): string | undefined {
  return response.headers.get('x-request-id') ?? undefined
}
