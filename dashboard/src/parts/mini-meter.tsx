import { VisuallyHidden } from '@mantine/core'
import { formatShare } from '../format.ts'
import classes from './mini-meter.module.css'

/** From which share of a quota on it is drawn as a warning, and as used up. */
export const WARN_SHARE = 0.8
export const FULL_SHARE = 1

export function toneOfShare(share: number): 'ok' | 'warn' | 'bad' {
  return share >= FULL_SHARE ? 'bad' : share >= WARN_SHARE ? 'warn' : 'ok'
}

/** A figure with a hair of a bar beside it: how much of its quota it is. Without a quota there is no bar. */
export function MiniMeter(props: { text: string; value: number; limit: number | null; label: string }) {
  const share = props.limit === null || props.limit === 0 ? undefined : props.value / props.limit
  return (
    <span className={classes.meter}>
      {props.text}
      <span className={classes.track} style={share === undefined ? { visibility: 'hidden' } : undefined} aria-hidden>
        {share !== undefined && share > 0 && (
          <span
            className={classes.fill}
            data-tone={toneOfShare(share)}
            style={{ width: `${Math.min(100, share * 100)}%` }}
          />
        )}
      </span>
      {share !== undefined && (
        <VisuallyHidden>
          , {formatShare(share)} {props.label}
        </VisuallyHidden>
      )}
    </span>
  )
}
