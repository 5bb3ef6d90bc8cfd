import type { MediaType } from './media-type.ts'

/** Ask for Postgres's plan of a request instead of its answer: `application/vnd.pgrst.plan+json; options=analyze|verbose`. */
export type PlanMediaType = {
  kind: 'plan'
  format: 'text' | 'json'
  options: readonly PlanOption[]
  /** Whose plan: the answer of this type's. */
  of: Exclude<MediaType, PlanMediaType>
  contentType: string
}

const OPTIONS = ['analyze', 'verbose', 'settings', 'buffers', 'wal'] as const
type PlanOption = (typeof OPTIONS)[number]

/**
 * Reads the parameters of `application/vnd.pgrst.plan`, as PostgREST does: `for="<media type>"` and `options=a|b`; options that
 * are not known are passed over.
 */
export function planMediaType(
  type: string,
  parameters: readonly string[],
  parseAccept: (header: string) => MediaType,
): PlanMediaType | undefined {
  const format = type.endsWith('+json') ? 'json' : 'text'
  const parameter = (name: string) => parameters.find((text) => text.startsWith(`${name}=`))?.slice(name.length + 1)
  const inner = parseAccept(parameter('for')?.replaceAll('"', '') ?? 'application/json')
  if (inner.kind === 'plan') return undefined
  const asked = parameter('options')?.split('|') ?? []
  const options = OPTIONS.filter((option) => asked.includes(option))
  const shown = [
    `application/vnd.pgrst.plan+${format}`,
    `for="${inner.contentType.split('; charset')[0]}"`,
    ...(options.length === 0 ? [] : [`options=${options.join('|')}`]),
    'charset=utf-8',
  ]
  return { kind: 'plan', format, options, of: inner, contentType: shown.join('; ') }
}
