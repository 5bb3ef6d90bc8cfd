import { Skeleton, Stack } from '@mantine/core'

/** Stands where a page is about to be. */
export function PageLoading() {
  return (
    <Stack gap="lg" role="status" aria-busy="true" aria-label="Loading">
      <Skeleton h={26} w={220} />
      <Skeleton h={120} radius="lg" />
      <Skeleton h={280} radius="lg" />
    </Stack>
  )
}
