import { Tooltip } from '@mantine/core'
import { formatAgo, formatDateTime } from '../format.ts'

/** How long ago it was; when exactly, on hover and on focus. */
export function TimeAgo({ at }: { at: string }) {
  return (
    <Tooltip label={formatDateTime(at)}>
      <time dateTime={at} style={{ whiteSpace: 'nowrap' }}>
        {formatAgo(at)}
      </time>
    </Tooltip>
  )
}
