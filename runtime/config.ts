import { z } from 'zod'

/** Wrong configuration: every violation at once, each naming its variable and rule, never its value (it may be a secret). */
export class ConfigError extends Error {
  readonly violations: readonly string[]

  constructor(violations: readonly string[]) {
    super(`The configuration is not usable:\n${violations.map((line) => `  - ${line}`).join('\n')}`)
    this.name = 'ConfigError'
    this.violations = violations
  }
}

/**
 * Reads the variables that `schema` names from `env` and checks them all. An empty value counts as unset.
 * @throws ConfigError with every violation.
 */
export function readConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  env: Readonly<Record<string, string | undefined>> = process.env,
): z.output<z.ZodObject<Shape>> {
  const input: Record<string, string> = {}
  for (const name of Object.keys(schema.shape)) {
    const value = env[name]
    if (value !== undefined && value !== '') input[name] = value
  }
  const result = schema.safeParse(input)
  if (result.success) return result.data
  throw new ConfigError(
    result.error.issues.map((issue) => {
      const name = issue.path.join('.')
      const missing = issue.code === 'invalid_type' && !(name in input)
      return `${name}: ${missing ? 'is required' : issue.message}`
    }),
  )
}

/** A TCP port; 0 picks a free one. */
export const port = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number, 0 to 65535')
  .transform(Number)
  .refine((n) => n <= 65535, 'must be a port number, 0 to 65535')

/** A whole number within bounds, written in decimal digits. */
export function wholeNumber(min: number, max: number = Number.MAX_SAFE_INTEGER) {
  const rule = `must be a whole number from ${min} to ${max}`
  return z
    .string()
    .regex(/^\d{1,16}$/, rule)
    .transform(Number)
    .refine((n) => n >= min && n <= max, rule)
}

/** `1`/`true` or `0`/`false`. */
export const flag = z
  .enum(['0', '1', 'true', 'false'], 'must be 0 or 1')
  .transform((value) => value === '1' || value === 'true')

/** A URL with one of the given protocols (`http:` ...). */
export function url(...protocols: string[]) {
  const names = protocols.map((p) => `${p}//`).join(' or ')
  return z
    .string()
    .refine((value) => URL.canParse(value) && protocols.includes(new URL(value).protocol), `must be a ${names} URL`)
}

/** A comma-separated list of URLs, at least one. */
export function urlList(...protocols: string[]) {
  const one = url(...protocols)
  return z
    .string()
    .transform((value) =>
      value
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(one).min(1, 'must name at least one URL'))
}

/** A secret of at least 32 characters, from which keys are derived. */
export const secret = z.string().min(32, 'must be a secret of at least 32 characters')

/** A comma-separated list of secrets: the first is used, all are accepted, so one is rotated by putting the new one in front. */
export const secretList = z
  .string()
  .transform((value) => value.split(',').map((part) => part.trim()))
  .pipe(z.array(secret).min(1))

/** A DNS name without a trailing dot, in lower case. */
export const domainName = z
  .string()
  .max(253, 'must be a DNS name')
  .regex(
    /^(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be a DNS name in lower case',
  )
