import { Button, Group, Modal, Paper, Progress, Stack, Text, Transition } from '@mantine/core'
import { useDisclosure } from '@mantine/hooks'
import { useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import { type ListedTenant, setStatusOfMany } from '../api/tenants.ts'
import type { Picked } from '../parts/data-table.tsx'
import { reportDone, reportFailed } from '../parts/report.tsx'
import classes from './bulk-bar.module.css'

/** What can be done with all that are picked at once: it says whom it concerns, asks, and tells of each that refused. */
export function BulkBar(props: { picked: Picked; rows: readonly ListedTenant[]; onDone: () => void }) {
  const chosen = props.rows.filter((row) => props.picked[row.tenant_id] === true)
  const toSuspend = chosen.filter((row) => row.status === 'active' || row.status === 'paused')
  const toResume = chosen.filter((row) => row.status === 'suspended')
  const [asking, ask] = useDisclosure()
  const [done, setDone] = useState<number>()
  const client = useQueryClient()

  const run = async (rows: readonly ListedTenant[], status: 'active' | 'suspended') => {
    setDone(0)
    const failed = await setStatusOfMany(
      rows.map((row) => row.tenant_id),
      status,
      setDone,
    ).catch((fault: unknown) => {
      reportFailed('Stopped half-way', fault)
      return undefined
    })
    setDone(undefined)
    ask.close()
    await client.invalidateQueries({ queryKey: ['tenants'] })
    if (failed === undefined) return
    const count = rows.length - failed.length
    if (count > 0)
      reportDone(`${count} ${count === 1 ? 'tenant' : 'tenants'} ${status === 'active' ? 'resumed' : 'suspended'}.`)
    for (const { tenantId, fault } of failed)
      reportFailed(`${rows.find((row) => row.tenant_id === tenantId)?.name ?? tenantId} stays as it is`, fault)
    props.onDone()
  }

  return (
    <>
      <Transition mounted={chosen.length > 0} transition="slide-up">
        {(style) => (
          <Paper shadow="lg" className={classes.bar} style={style} role="region" aria-label="Picked tenants">
            <Text size="sm" fw={500} className="figures">
              {chosen.length} picked
            </Text>
            <Group gap="xs">
              <Button
                size="compact-sm"
                variant="default"
                disabled={toResume.length === 0}
                onClick={() => void run(toResume, 'active')}
              >
                Resume
              </Button>
              <Button
                size="compact-sm"
                color="red"
                variant="light"
                disabled={toSuspend.length === 0}
                onClick={ask.open}
              >
                Suspend
              </Button>
              <Button size="compact-sm" variant="subtle" color="gray" onClick={props.onDone}>
                Clear
              </Button>
            </Group>
          </Paper>
        )}
      </Transition>
      <Modal
        opened={asking}
        onClose={ask.close}
        title={`Suspend ${toSuspend.length} ${toSuspend.length === 1 ? 'tenant' : 'tenants'}?`}
      >
        <Stack>
          <Text size="sm">
            Within a second all their requests are answered with 403 <code>tenant_suspended</code>. Their data stays,
            and you can resume them at any time.
          </Text>
          <Text size="sm" c="dimmed">
            {toSuspend
              .slice(0, 8)
              .map((row) => row.name)
              .join(', ')}
            {toSuspend.length > 8 && ` and ${toSuspend.length - 8} more`}
          </Text>
          {done !== undefined && <Progress value={(done / toSuspend.length) * 100} aria-label="Suspended so far" />}
          <Group justify="flex-end">
            <Button variant="default" onClick={ask.close}>
              Cancel
            </Button>
            <Button color="red" loading={done !== undefined} onClick={() => void run(toSuspend, 'suspended')}>
              Suspend
            </Button>
          </Group>
        </Stack>
      </Modal>
    </>
  )
}
