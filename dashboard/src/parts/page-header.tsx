import { Group, Text, Title } from '@mantine/core'
import { type ReactNode, useEffect } from 'react'

/** A page's name, also in the tab, with what can be done on the whole of it. */
export function PageHeader(props: { title: string; detail?: ReactNode; before?: ReactNode; children?: ReactNode }) {
  useEffect(() => {
    document.title = `${props.title} · AeroDB`
  }, [props.title])
  return (
    <Group justify="space-between" align="flex-start" mb="lg" gap="md">
      <div style={{ minWidth: 0 }}>
        {props.before}
        <Title order={1}>{props.title}</Title>
        {props.detail !== undefined && (
          <Text c="dimmed" size="sm" component="div" mt={2}>
            {props.detail}
          </Text>
        )}
      </div>
      {props.children !== undefined && <Group gap="xs">{props.children}</Group>}
    </Group>
  )
}
