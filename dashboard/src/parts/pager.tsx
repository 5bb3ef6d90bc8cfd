import { Button, Group } from '@mantine/core'
import { ChevronLeftIcon, ChevronRightIcon } from '@radix-ui/react-icons'
import { useState } from 'react'

/** Walks a list whose pages hang together by cursors: forward by the platform's, back by the ones it has used. */
export function useCursorPages() {
  const [cursors, setCursors] = useState<string[]>([])
  return {
    cursor: cursors.at(-1),
    depth: cursors.length,
    reset: () => setCursors([]),
    back: () => setCursors(cursors.slice(0, -1)),
    go: (next: string) => setCursors([...cursors, next]),
  }
}

type PagerProps = { pages: ReturnType<typeof useCursorPages>; next: string | null | undefined }

/** Stands below a list that has more than one page. */
export function Pager({ pages, next }: PagerProps) {
  if (pages.depth === 0 && (next === null || next === undefined)) return null
  return (
    <Group justify="flex-end" p="sm" style={{ borderTop: '1px solid var(--hairline)' }}>
      <PagerButtons pages={pages} next={next} />
    </Group>
  )
}

export function PagerButtons({ pages, next }: PagerProps) {
  const hasNext = next !== null && next !== undefined
  return (
    <Group gap="xs">
      <Button
        size="compact-sm"
        variant="default"
        leftSection={<ChevronLeftIcon />}
        disabled={pages.depth === 0}
        onClick={pages.back}
      >
        Previous
      </Button>
      <Button
        size="compact-sm"
        variant="default"
        rightSection={<ChevronRightIcon />}
        disabled={!hasNext}
        onClick={() => hasNext && pages.go(next)}
      >
        Next
      </Button>
    </Group>
  )
}
