import type { Identity } from '../access/identity.ts'
import type { OutboundMessage } from '../wire/outbound.ts'
import type { RequestedBinding } from './join-config.ts'
import type { SocketTenant } from './socket.ts'

/** Whoever wants to hear of database changes: a channel. */
export type ChangeSubscriber = {
  readonly tenant: SocketTenant
  /** Whose rights each change is checked against; asked anew for each, because a token may be refreshed. */
  readonly identity: Identity
  /** The topic as the client names it. */
  readonly clientTopic: string
  /** Takes a change: a `postgres_changes` message, the same one for all whom it reaches alike. */
  onChange(message: OutboundMessage): void
  /** Whether changes flow, for the client's `system` listener. */
  onStatus(status: 'ok' | 'error', message: string): void
}

export type ChangeSubscription = {
  /** Resolves when every later commit will be seen; rejects with a `BindingError` when that can never be. */
  readonly ready: Promise<void>
  close(): void
}

/** A binding asks for what does not exist or may not be asked. The message is for the client. */
export class BindingError extends Error {
  constructor(message: string) {
    super(message)
    this.name = 'BindingError'
  }
}

/** What a subscriber is told once changes flow, in Supabase's words, which clients wait for. */
export const SUBSCRIBED = 'Subscribed to PostgreSQL'

/** Where channels get database changes from. */
export type ChangesPort = {
  subscribe(subscriber: ChangeSubscriber, bindings: readonly (RequestedBinding & { id: number })[]): ChangeSubscription
  /** Tables of the schema were made, changed or dropped. */
  schemaChanged(server: string, schema: string): void
}
