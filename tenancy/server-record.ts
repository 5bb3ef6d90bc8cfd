import { z } from 'zod'

/** One login of a database server; the password is sealed (`Sealer`, context `server:<server>`). */
const loginSchema = z.object({ user: z.string(), sealed_password: z.string() })

/**
 * A database server as published for the backends: a server of the shared tier (`shared-0` ...) or a tenant's own
 * (named by the tenant's id). Gateways never read these.
 */
export const serverRecordSchema = z.object({
  server: z.string(),
  version: z.number().int().positive(),
  /** A host name or address, or the absolute path of a Unix socket's directory. */
  host: z.string(),
  port: z.number().int(),
  database: z.string(),
  /** Serves requests: may become the tenants' roles and nothing else; owns nothing, bypasses nothing. */
  request_login: loginSchema,
  /** Changes tenants' schemas on behalf of the schema API; owns the tenants' tables; never used for requests on rows. */
  ddl_login: loginSchema,
  /**
   * Reads the stream of changes for realtime (`REPLICATION`, no rights on any row); absent where a server has no logical
   * replication.
   */
  replication_login: loginSchema.optional(),
  /** Connections that one backend process may hold to this server. */
  max_connections: z.number().int().positive(),
  /** Standbys that reads may go to on request (cluster tenants). */
  replicas: z.array(z.object({ host: z.string(), port: z.number().int() })),
})
export type ServerRecord = z.output<typeof serverRecordSchema>

/** @throws when `text` is not a server record. */
export function parseServerRecord(text: string): ServerRecord {
  return serverRecordSchema.parse(JSON.parse(text))
}
