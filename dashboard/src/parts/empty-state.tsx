import { Center, Stack, Text } from '@mantine/core'
import type { ReactNode } from 'react'

/** Says why there is nothing here, and what can be done about it. */
export function EmptyState({ title, children, action }: { title: string; children?: ReactNode; action?: ReactNode }) {
  return (
    <Center py={48} px="md">
      <Stack align="center" gap={6} maw={420}>
        <Text fw={550}>{title}</Text>
        {children !== undefined && (
          <Text size="sm" c="dimmed" ta="center">
            {children}
          </Text>
        )}
        {action !== undefined && <div style={{ marginTop: 10 }}>{action}</div>}
      </Stack>
    </Center>
  )
}
