/** The versions of the Phoenix protocol that realtime-js can be told to speak (`?vsn=`). */
export const VSNS = ['1.0.0', '2.0.0'] as const
export type Vsn = (typeof VSNS)[number]

/** A client's reference; replies carry it back as it came. */
export type Ref = string | number | null

/** What names a message: its channel and its place in that channel's conversation. */
export type Address = { joinRef: Ref; ref: Ref; topic: string; event: string }

/**
 * What a broadcast carries, kept as bytes so that it is encoded once for all its receivers:
 * - `json`, `binary`: the user's payload alone, as it came in a binary frame or over HTTP;
 * - `envelope`: the whole payload object of a text frame (`{"type","event","payload",...}`).
 */
export type BroadcastBody = { event: string; encoding: 'json' | 'binary' | 'envelope'; bytes: Buffer }

/** One message of a client. */
export type InboundMessage = Address & {
  body: { kind: 'json'; payload: unknown } | { kind: 'broadcast'; broadcast: BroadcastBody; wantsPersistence: boolean }
}

/** The frame is not one of the protocol: nothing that follows on this socket can be trusted to be. */
export class MalformedFrameError extends Error {
  constructor(reason: string) {
    super(reason)
    this.name = 'MalformedFrameError'
  }
}

/** The event under which broadcasts travel. */
export const BROADCAST_EVENT = 'broadcast'
