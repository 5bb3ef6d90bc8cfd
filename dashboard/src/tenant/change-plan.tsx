import { Button, Group, Modal, Select, Stack, Text } from '@mantine/core'
import { type FormEvent, useState } from 'react'
import { usePlans } from '../api/plans.ts'
import { type Tenant, usePatchTenant } from '../api/tenants.ts'
import { formatMoney } from '../format.ts'
import { ProblemAlert } from '../parts/problem-alert.tsx'
import { reportDone } from '../parts/report.tsx'

type Props = { tenant: Tenant; etag: string | undefined; opened: boolean; onClose: () => void }

/** Puts a tenant on another plan, and says before what that costs more or less. */
export function ChangePlan(props: Props) {
  return (
    <Modal opened={props.opened} onClose={props.onClose} title={`Plan of ${props.tenant.name}`}>
      {props.opened && <PlanForm {...props} />}
    </Modal>
  )
}

function PlanForm({ tenant, etag, onClose }: Props) {
  const plans = usePlans()
  const patch = usePatchTenant(tenant.tenant_id)
  const [planId, setPlanId] = useState(tenant.plan)
  const find = (id: string) => plans?.data.find((plan) => plan.id === id)
  const [from, to] = [find(tenant.plan), find(planId)]
  const difference = (to?.base_fee_micros ?? 0) - (from?.base_fee_micros ?? 0)
  const money = (micros: number) => formatMoney(micros, plans?.currency ?? 'USD')
  const submit = (event: FormEvent) => {
    event.preventDefault()
    patch.mutate(
      { patch: { plan: planId }, etag },
      {
        onSuccess: ({ requestId }) => {
          reportDone(`${tenant.name} is on ${to?.title ?? planId} now.`, requestId)
          onClose()
        },
      },
    )
  }
  return (
    <form onSubmit={submit}>
      <Stack>
        <Select
          label="Plan"
          allowDeselect={false}
          data={plans?.data.map((plan) => ({ value: plan.id, label: plan.title })) ?? []}
          value={planId}
          onChange={(next) => setPlanId(next ?? planId)}
        />
        <Text size="sm" c="dimmed" aria-live="polite">
          {planId === tenant.plan
            ? 'This is the plan that the tenant is on.'
            : `The base fee ${difference === 0 ? 'stays the same' : difference > 0 ? `rises by ${money(difference)} a month` : `falls by ${money(-difference)} a month`}, from this second on. The quotas of the new plan are in force at once; overrides stay.`}
        </Text>
        {patch.error !== null && <ProblemAlert fault={patch.error} />}
        <Group justify="flex-end">
          <Button variant="default" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" disabled={planId === tenant.plan} loading={patch.isPending}>
            Change the plan
          </Button>
        </Group>
      </Stack>
    </form>
  )
}
