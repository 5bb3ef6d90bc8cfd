/** Templates kept per tenant; what comes later is counted under its family's `{other}`. */
const MAX_TEMPLATES = 200
/** Paths whose template is remembered, so that the common ones cost one look-up. */
const MAX_REMEMBERED_PATHS = 500
/** A segment that may stand in a template: nothing that a screen, a spreadsheet or a query could take for more than a name. */
const PLAIN_SEGMENT = /^[A-Za-z0-9_-]{1,63}$/

/** Turns paths into endpoint templates without ids, bounded in number, for one tenant. */
export class EndpointTemplates {
  #byPath: Map<string, string> | undefined
  #known: Set<string> | undefined

  /** The template under which a request for `path` (no query) is counted. */
  of(path: string): string {
    const remembered = this.#byPath?.get(path)
    if (remembered !== undefined) return remembered
    const template = this.#bound(templateOf(path))
    this.#byPath ??= new Map()
    if (this.#byPath.size >= MAX_REMEMBERED_PATHS) this.#byPath.clear()
    if (path.length <= 256) this.#byPath.set(path, template)
    return template
  }

  #bound(template: string): string {
    this.#known ??= new Set()
    if (this.#known.has(template)) return template
    if (this.#known.size >= MAX_TEMPLATES) return familyOther(template)
    this.#known.add(template)
    return template
  }
}

/** The template of one path, before the bound. */
export function templateOf(path: string): string {
  const segments = path.split('/')
  const [, family, version, third, fourth] = segments
  if (version !== 'v1') return path === '/' ? '/' : '/{other}'
  switch (family) {
    case 'rest':
      if (third === undefined || third === '') return '/rest/v1/'
      if (third === 'rpc') return plain(fourth) ? `/rest/v1/rpc/${fourth}` : '/rest/v1/rpc/{other}'
      return plain(third) ? `/rest/v1/${third}` : '/rest/v1/{other}'
    case 'schema':
      if (third !== 'collections') return '/schema/v1/{other}'
      return fourth === undefined || fourth === '' ? '/schema/v1/collections' : '/schema/v1/collections/{name}'
    case 'storage':
      return storageTemplate(segments.slice(3))
    case 'realtime':
      return third === 'websocket' ? '/realtime/v1/websocket' : '/realtime/v1/{other}'
    case 'sql':
      return '/sql/v1'
    case 'platform':
      return third === 'access-grants' ? '/platform/v1/access-grants/{id}' : '/platform/v1/{other}'
    default:
      return '/{other}'
  }
}

/** Words of the storage API's paths that are not bucket names. */
const OBJECT_ACTIONS: ReadonlySet<string> = new Set([
  'sign',
  'public',
  'authenticated',
  'list',
  'list-v2',
  'info',
  'move',
  'copy',
  'upload',
])

function storageTemplate(rest: readonly string[]): string {
  const [kind, first, second] = rest
  if (kind === 'bucket') {
    if (first === undefined || first === '') return '/storage/v1/bucket'
    return second === 'empty' ? '/storage/v1/bucket/{bucket}/empty' : '/storage/v1/bucket/{bucket}'
  }
  if (kind === 'upload') return '/storage/v1/upload/resumable'
  if (kind !== 'object') return '/storage/v1/{other}'
  if (first === 'move' || first === 'copy') return `/storage/v1/object/${first}`
  const isAction = first !== undefined && OBJECT_ACTIONS.has(first)
  const prefix = isAction ? `/storage/v1/object/${first}` : '/storage/v1/object'
  return rest.length > (isAction ? 3 : 2) ? `${prefix}/{bucket}/{path}` : `${prefix}/{bucket}`
}

function plain(segment: string | undefined): boolean {
  return segment !== undefined && PLAIN_SEGMENT.test(segment)
}

function familyOther(template: string): string {
  if (template.startsWith('/rest/v1/rpc/')) return '/rest/v1/rpc/{other}'
  return template.startsWith('/rest/v1/') ? '/rest/v1/{other}' : template
}
