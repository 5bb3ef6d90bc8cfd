/** What a member of the quorum says of itself once the old primary can send it nothing more. */
export type Candidate = {
  node: number
  /** It was promoted already: by a control that died before it could tell. */
  isPromoted: boolean
  /** The end of what it has on its disk, in bytes of the log; `undefined` when it could not be asked. */
  receivedLsn: bigint | undefined
}

/**
 * Which member becomes the primary. A commit is acknowledged when one member (`ANY 1`) has it on its disk, so the one with the
 * longest log has every acknowledged commit, provided that all were asked: if one could not be, the last commits may lie on it
 * alone, and nobody is elected.
 * @returns the node, or `undefined` when there is none without loss. Pure.
 */
export function elect(members: readonly Candidate[]): number | undefined {
  const promoted = members.find(({ isPromoted }) => isPromoted)
  if (promoted !== undefined) return promoted.node
  let best: { node: number; lsn: bigint } | undefined
  for (const { node, receivedLsn: lsn } of members) {
    if (lsn === undefined) return undefined
    if (best === undefined || lsn > best.lsn || (lsn === best.lsn && node < best.node)) best = { node, lsn }
  }
  return best?.node
}

/** The number that Postgres writes as `16/B374D848`. */
export function parseLsn(text: string): bigint {
  const [high = '', low = ''] = text.split('/')
  return (BigInt(`0x${high}`) << 32n) | BigInt(`0x${low}`)
}
