import { z } from 'zod'

const changeBindingSchema = z.object({
  event: z.string().max(64),
  schema: z.string().max(256).optional(),
  table: z.string().max(256).nullish(),
  filter: z.string().max(4_096).nullish(),
  select: z.array(z.string().max(256)).max(1_600).nullish(),
})
/** One `postgres_changes` entry as the client wrote it. */
export type RequestedBinding = z.output<typeof changeBindingSchema>

const flagSchema = z.boolean().nullish()

/** The payload of `phx_join`. Clients of other languages leave out or null what they do not use. */
const joinSchema = z.object({
  config: z
    .object({
      broadcast: z.object({ ack: flagSchema, self: flagSchema }).nullish(),
      presence: z.object({ key: z.string().max(1_024).nullish(), enabled: flagSchema }).nullish(),
      postgres_changes: z.array(changeBindingSchema).nullish(),
      postgres_changes_options: z.object({ wait: flagSchema, timeout: z.number().nullish() }).nullish(),
      private: flagSchema,
    })
    .nullish(),
  access_token: z.string().nullish(),
})

/** What a client asks of a channel. */
export type JoinConfig = {
  broadcast: { ack: boolean; self: boolean }
  presence: { key: string; enabled: boolean }
  bindings: readonly RequestedBinding[]
  /** How long the reply is held until the changes flow, in milliseconds; `undefined`: not for the client's sake. */
  waitForChangesMs: number | undefined
  isPrivate: boolean
  accessToken: string | undefined
}

/** The longest that a client may have a join held. */
const MAX_WAIT_MS = 20_000
const DEFAULT_WAIT_MS = 15_000

/** Reads the payload of `phx_join`, or says what is wrong with it. */
export function parseJoinConfig(payload: unknown): JoinConfig | { error: string } {
  const result = joinSchema.safeParse(payload ?? {})
  if (!result.success) {
    const [issue] = result.error.issues
    return { error: `InvalidJoin: ${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}` }
  }
  const { config, access_token: accessToken } = result.data
  const options = config?.postgres_changes_options
  return {
    broadcast: { ack: config?.broadcast?.ack ?? false, self: config?.broadcast?.self ?? false },
    presence: { key: config?.presence?.key ?? '', enabled: config?.presence?.enabled ?? false },
    bindings: config?.postgres_changes ?? [],
    waitForChangesMs:
      options?.wait === true ? Math.min(Math.max(options.timeout ?? DEFAULT_WAIT_MS, 0), MAX_WAIT_MS) : undefined,
    isPrivate: config?.private ?? false,
    accessToken: accessToken ?? undefined,
  }
}
