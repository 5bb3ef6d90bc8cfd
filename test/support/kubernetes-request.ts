import type { IncomingMessage } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { text } from 'node:stream/consumers'
import type { KubeConfig } from '@kubernetes/client-node'

/** One request to an API server, as it is. @throws Error with what it answered, unless that is a success. */
export async function askKubernetes(
  config: KubeConfig,
  method: string,
  path: string,
  body?: unknown,
  contentType = 'application/json',
): Promise<unknown> {
  const options: RequestOptions = { method, headers: { Accept: 'application/json', 'Content-Type': contentType } }
  await config.applyToHTTPSOptions(options)
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    request(new URL(path, config.getCurrentCluster()?.server), options, resolve)
      .once('error', reject)
      .end(body === undefined ? undefined : JSON.stringify(body))
  })
  const answer = await text(response)
  if (response.statusCode === undefined || response.statusCode >= 300)
    throw new Error(`${method} ${path}: ${response.statusCode} ${answer}`)
  return response.headers['content-type']?.includes('json') === true ? JSON.parse(answer) : answer
}
