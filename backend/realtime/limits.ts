/** Bounds of the realtime service, each with its default. */
export type RealtimeLimits = {
  /** Bytes of one frame or HTTP body from a client; a larger one closes the socket (1009). */
  maxMessageBytes: number
  /** Bytes that may wait for a reader that is slow; past them its socket is closed (1013 `slow_reader`). */
  maxBufferedBytes: number
  /** Channels of one socket. */
  maxChannelsPerConnection: number
  /** Sockets of this process. */
  maxConnections: number
  /** Characters of a topic. */
  maxTopicLength: number
  /** Bytes of what one client tracks in a presence. */
  maxPresenceBytes: number
  /** `postgres_changes` entries of one channel. */
  maxBindingsPerChannel: number
  /** Messages that a tenant's clients may send to this process each second, per request that its plan allows each second. */
  messagesPerRequestRate: number
  /** The same for a tenant whose plan sets no request rate. */
  unlimitedMessagesPerSecond: number
  /** Refusals within ten seconds after which a socket that goes on sending is closed (1008 `rate_limited`). */
  maxRefusals: number
  /** How often sockets are pinged; one that has shown no life since the ping before is ended. */
  pingIntervalMs: number
  /** How long a join waits for Redis, so that nothing published after its reply is missed. */
  joinRedisTimeoutMs: number
  /** How long a join waits for the stream of changes before it is answered all the same. */
  joinChangesTimeoutMs: number
}

export const DEFAULT_LIMITS: RealtimeLimits = {
  maxMessageBytes: 256 * 1024,
  maxBufferedBytes: 1024 * 1024,
  maxChannelsPerConnection: 100,
  maxConnections: 20_000,
  maxTopicLength: 1_000,
  maxPresenceBytes: 16 * 1024,
  maxBindingsPerChannel: 100,
  messagesPerRequestRate: 5,
  unlimitedMessagesPerSecond: 10_000,
  maxRefusals: 200,
  pingIntervalMs: 30_000,
  joinRedisTimeoutMs: 2_000,
  joinChangesTimeoutMs: 8_000,
}
