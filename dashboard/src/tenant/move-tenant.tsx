import { Button, Group, Loader, Modal, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { usePlans } from '../api/plans.ts'
import { operationQuery, type Tenant, usePatchTenant } from '../api/tenants.ts'
import { IsolationChoice } from '../parts/isolation-choice.tsx'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { StatusDot } from '../parts/status-dot.tsx'

type Props = { tenant: Tenant; etag: string | undefined; opened: boolean; onClose: () => void }

/** Moves a tenant to another degree of isolation while it serves, and shows how far that is. */
export function MoveTenant(props: Props) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={`Move ${props.tenant.name}`} size="lg">
      {props.opened && <MoveForm {...props} />}
    </Modal>
  )
}

function MoveForm({ tenant, etag, onClose }: Props) {
  const plans = usePlans()
  const patch = usePatchTenant(tenant.tenant_id)
  const [from] = useState(tenant.isolation)
  const [isolation, setIsolation] = useState(tenant.isolation)
  const operationId = patch.data?.tenant.operation_id
  if (operationId !== undefined)
    return <Progress operationId={operationId} name={tenant.name} to={isolation} onClose={onClose} />
  const submit = (event: FormEvent) => {
    event.preventDefault()
    patch.mutate({ patch: { isolation }, etag })
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <Text size="sm">
          It goes on serving at its address and with its keys. At the end writes wait for a moment, well under a second;
          nothing is lost, and nothing fails.
        </Text>
        <IsolationChoice
          plan={plans?.data.find(({ id }) => id === tenant.plan)}
          currency={plans?.currency ?? 'USD'}
          value={isolation}
          onChange={setIsolation}
        />
        {patch.error !== null && <ProblemAlert fault={patch.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={isolation === from} loading={patch.isPending}>
            Move it
          </Button>
        </Group>
      </Stack>
    </form>
  )
}

/** The window may be closed meanwhile: the move goes on, and stands under the operations. */
function Progress(props: { operationId: string; name: string; to: string; onClose: () => void }) {
  const { data, error } = useQuery(operationQuery(props.operationId))
  return (
    <Stack aria-live="polite">
      {error !== null && <ProblemAlert fault={error} />}
      <Group gap="sm">
        {data?.status === 'succeeded' || data?.status === 'failed' ? null : <Loader size="sm" aria-label="Moving" />}
        <StatusDot status={data?.status ?? 'running'} />
        <Text size="sm">
          {data?.status === 'succeeded'
            ? `${props.name} has ${props.to} isolation now.`
            : data?.status === 'failed'
              ? `${props.name} is as it was: ${data.error?.detail ?? 'the move failed'}`
              : `Step: ${data?.step ?? 'begun'}`}
        </Text>
      </Group>
      <Group justify="flex-end">
        <Button variant="default" onClick={props.onClose}>
          Close
        </Button>
      </Group>
    </Stack>
  )
}
