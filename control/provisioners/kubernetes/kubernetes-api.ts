import type { IncomingMessage } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { type KubeConfig, Watch } from '@kubernetes/client-node'
import type { Manifest } from './manifest.ts'
import { FIELD_MANAGER } from './names.ts'

const TIMEOUT_MS = 15_000
/** After this a watch is opened anew: none is believed for longer. */
const WATCH_SECONDS = 25
const RETRY_MS = 500

/** The kinds that we handle, with where the API has them. */
const KINDS = {
  Cluster: { apiVersion: 'postgresql.cnpg.io/v1', plural: 'clusters' },
  NetworkPolicy: { apiVersion: 'networking.k8s.io/v1', plural: 'networkpolicies' },
  Secret: { apiVersion: 'v1', plural: 'secrets' },
} as const
export type Kind = keyof typeof KINDS

/** What the API server refused, with its status and reason (`NotFound`, `Conflict`, ...). */
export class KubernetesError extends Error {
  readonly status: number
  readonly reason: string

  constructor(status: number, reason: string, message: string) {
    super(`Kubernetes answered ${status} ${reason}: ${message}`)
    this.name = 'KubernetesError'
    this.status = status
    this.reason = reason
  }
}

/**
 * One namespace of a Kubernetes API server. `@kubernetes/client-node` knows who we are and where that is, and watches; resources go over the
 * wire as the plain JSON that they are (its models would drop what they do not know).
 */
export class KubernetesApi {
  readonly #config: KubeConfig
  readonly #namespace: string

  constructor(config: KubeConfig, namespace: string) {
    this.#config = config
    this.#namespace = namespace
  }

  /** Brings the fields that the manifest names to what it says, and takes away those that we named before (server-side apply). */
  async apply<Result = Manifest>(manifest: Manifest): Promise<Result> {
    const query = new URLSearchParams({ fieldManager: FIELD_MANAGER, force: 'true', fieldValidation: 'Strict' })
    const path = this.#path(manifest.kind as Kind, manifest.metadata.name)
    // JSON is YAML.
    const body = { type: 'application/apply-patch+yaml', value: manifest }
    return (await this.#ask('PATCH', `${path}?${query}`, body)) as Result
  }

  async find<Result>(kind: Kind, name: string): Promise<Result | undefined> {
    return (await unlessMissing(this.#ask('GET', this.#path(kind, name)))) as Result | undefined
  }

  /** All of a kind that have the labels. */
  async list<Result>(kind: Kind, labelSelector: string): Promise<Result[]> {
    const found: Result[] = []
    let after = ''
    do {
      const query = new URLSearchParams({ labelSelector, limit: '500', ...(after === '' ? {} : { continue: after }) })
      const page = (await this.#ask('GET', `${this.#path(kind)}?${query}`)) as {
        items: Result[]
        metadata: { continue?: string }
      }
      found.push(...page.items)
      after = page.metadata.continue ?? ''
    } while (after !== '')
    return found
  }

  /** Changes single fields (JSON Merge Patch). @returns `undefined` when it is not there. */
  async merge<Result>(kind: Kind, name: string, change: unknown): Promise<Result | undefined> {
    const path = `${this.#path(kind, name)}?${new URLSearchParams({ fieldManager: FIELD_MANAGER })}`
    const body = { type: 'application/merge-patch+json', value: change }
    return (await unlessMissing(this.#ask('PATCH', path, body))) as Result | undefined
  }

  /** Asks for the removal; one that has finalizers is there until they are gone. Nothing when it is not there. */
  async remove(kind: Kind, name: string): Promise<void> {
    await unlessMissing(this.#ask('DELETE', `${this.#path(kind, name)}?propagationPolicy=Background`))
  }

  /**
   * Waits, by watching, until `isDone` says so of the resource, which is `undefined` while there is none.
   * @returns how it was last seen: `isDone` of it may be false, once `timeoutMs` have passed.
   */
  async waitFor<Result extends { metadata: { resourceVersion: string } }>(
    kind: Kind,
    name: string,
    isDone: (found: Result | undefined) => boolean,
    timeoutMs: number,
  ): Promise<Result | undefined> {
    const deadline = performance.now() + timeoutMs
    for (;;) {
      let found = await this.find<Result>(kind, name)
      const leftMs = deadline - performance.now()
      if (isDone(found) || leftMs <= 0) return found
      // What is not there yet cannot be watched from a version on: it is looked for again.
      if (found === undefined) {
        await sleep(Math.min(RETRY_MS, leftMs))
        continue
      }
      const seen = (event: string, next: Result): boolean => {
        found = event === 'DELETED' ? undefined : next
        return isDone(found)
      }
      const hasSeen = await this.#watch(kind, name, found.metadata.resourceVersion, seen, leftMs)
      if (hasSeen) return found
      await sleep(Math.min(RETRY_MS, Math.max(0, deadline - performance.now())))
    }
  }

  /** True once `seen` was; false when the watch has ended without it. */
  #watch<Result>(
    kind: Kind,
    name: string,
    resourceVersion: string,
    seen: (event: string, object: Result) => boolean,
    timeoutMs: number,
  ): Promise<boolean> {
    return new Promise((resolve) => {
      const query = {
        fieldSelector: `metadata.name=${name}`,
        resourceVersion,
        timeoutSeconds: Math.max(1, Math.min(WATCH_SECONDS, Math.ceil(timeoutMs / 1_000))),
      }
      let controller: AbortController | undefined
      let isOver = false
      const end = (hasSeen: boolean): void => {
        isOver = true
        controller?.abort()
        clearTimeout(timer)
        resolve(hasSeen)
      }
      const timer = setTimeout(() => end(false), timeoutMs)
      new Watch(this.#config)
        .watch(
          this.#path(kind),
          query,
          (event, object: Result) => {
            // An `ERROR` tells that the version is too old: we look, and watch from there.
            if (isOver || event === 'BOOKMARK' || event === 'ERROR') return
            if (seen(event, object)) end(true)
          },
          () => end(false),
        )
        .then(
          (opened) => {
            controller = opened
            if (isOver) opened.abort()
          },
          () => end(false),
        )
    })
  }

  #path(kind: Kind, name?: string): string {
    const { apiVersion, plural } = KINDS[kind]
    const root = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`
    return `${root}/namespaces/${this.#namespace}/${plural}${name === undefined ? '' : `/${name}`}`
  }

  async #ask(method: string, path: string, body?: { type: string; value: unknown }): Promise<unknown> {
    const cluster = this.#config.getCurrentCluster()
    if (cluster === null) throw new Error('The kubeconfig names no cluster')
    const options: RequestOptions = {
      method,
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: { Accept: 'application/json', ...(body === undefined ? {} : { 'Content-Type': body.type }) },
    }
    // Tokens of a service account are replaced while we run: each request asks anew.
    await this.#config.applyToHTTPSOptions(options)
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request(new URL(path, cluster.server), options, resolve)
        .once('error', reject)
        .end(body === undefined ? undefined : JSON.stringify(body.value))
    })
    const answer = await text(response)
    const status = response.statusCode ?? 0
    if (status >= 200 && status < 300) return answer === '' ? undefined : JSON.parse(answer)
    const { reason = '', message = answer.slice(0, 200) } = parseStatus(answer)
    throw new KubernetesError(status, reason, message)
  }
}

/** The `Status` that the API server explains itself with; something in front of it may answer otherwise. */
function parseStatus(answer: string): { reason?: string; message?: string } {
  try {
    return JSON.parse(answer) as { reason?: string; message?: string }
  } catch {
    return {}
  }
}

async function unlessMissing<Result>(work: Promise<Result>): Promise<Result | undefined> {
  try {
    return await work
  } catch (fault) {
    if (fault instanceof KubernetesError && fault.status === 404) return undefined
    throw fault
  }
}
