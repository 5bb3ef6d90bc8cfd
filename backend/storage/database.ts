import { contextStatement } from '../postgres/principal.ts'
import type { Servers } from '../postgres/servers.ts'
import type { StatementExecutor } from './session.ts'

/** Statements over the backend's pools: the context in front, one round trip, one transaction. */
export function executeOn(servers: Servers): StatementExecutor {
  return {
    run: async (server, principal, statements) =>
      (await servers.findFor(principal.tenantId, server)).requests.run(principal.tenantId, [
        contextStatement(principal),
        ...statements,
      ]),
    define: async (server, principal, statements) => {
      await (await servers.findFor(principal.tenantId, server)).ddl.run(principal.tenantId, statements)
    },
  }
}
