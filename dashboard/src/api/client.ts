import { makePlatformClient, PlatformProblem } from '../../../client/platform-client.ts'

export { type Document, PlatformProblem, readProblem } from '../../../client/platform-client.ts'

/** The platform API as the signed-in browser calls it. The header tells control that the call comes from a page of its own. */
export const api = makePlatformClient({
  baseUrl: window.location.origin,
  headers: { 'X-CSRF-Protection': '1' },
})

/** What a call has answered; the client has thrown everything that is no success. */
export function unwrap<Data>(answer: { data?: Data; response: Response }): Data {
  if (answer.data === undefined)
    throw new PlatformProblem({
      status: answer.response.status,
      code: 'empty_answer',
      detail: 'The platform answered with nothing.',
      requestId: answer.response.headers.get('x-request-id') ?? undefined,
    })
  return answer.data
}

/** The request's id, as support asks for it. */
export function requestIdOf(response: Response): string | undefined {
  return response.headers.get('x-request-id') ?? undefined
}
