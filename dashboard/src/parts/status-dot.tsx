import classes from './status-dot.module.css'

export type Tone = 'good' | 'warn' | 'bad' | 'info' | 'quiet'

const TONES: Readonly<Record<string, Tone>> = {
  active: 'good',
  succeeded: 'good',
  paid: 'good',
  approved: 'good',
  resolved: 'good',
  provisioning: 'info',
  migrating: 'info',
  running: 'info',
  issued: 'info',
  pending: 'warn',
  suspended: 'warn',
  warning: 'warn',
  deleting: 'warn',
  failed: 'bad',
  denied: 'bad',
  open: 'bad',
  critical: 'bad',
}

/** A state: its word, and a dot whose colour says how much it matters. The word alone is enough to understand it. */
export function StatusDot({ status, label }: { status: string; label?: string }) {
  const tone = TONES[status] ?? 'quiet'
  return (
    <span className={classes.status} data-tone={tone}>
      <span className={classes.dot} aria-hidden />
      {label ?? status}
    </span>
  )
}
